//! The camera app on an emulated Raspberry Pi 3: it captures from /dev/video0, classifies with the NEON kernels, draws
//! on /dev/fb0 and logs with defmt. What it recorded is then classified again on this machine: the same tokens and
//! the same logits, bit for bit.
//!
//! The board is QEMU's raspi3b with Debian's kernel (`tests/board/`). Without those tools the test is skipped with a
//! line that says so; with `CI=true` it is required.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod programs;

use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use programs::{native, root, run};
use serde_json::Value;

/// Frames to classify. The first is slow (the model is loaded), the others come while the camera goes on.
const FRAMES: usize = 5;
/// Seconds until the emulated board is given up; it takes about half a minute alone on two cores.
const LIMIT_S: &str = "300";

/// A program by the name it has at the end of one of a build script's lines, `PATH: N bytes`.
fn program(lines: &str, name: &str) -> PathBuf {
    let paths = lines
        .lines()
        .filter_map(|line| line.rsplit_once(": "))
        .map(|(path, _)| Path::new(path));
    paths
        .into_iter()
        .find(|path| path.ends_with(name))
        .unwrap_or_else(|| panic!("no {name} in:\n{lines}"))
        .to_owned()
}

/// The verdicts of a recording.
fn verdicts(recording: &Path) -> Vec<Value> {
    let path = recording.join("verdicts.jsonl");
    let text =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
        .collect()
}

/// The screen holds a picture: the camera's eight bars and the panel's background, accent, bar and text, so a dozen colours
/// at the least (a 16-bit screen has no shades between them), and not one flat or black field.
fn check_screen(path: &Path) {
    let screen = image::open(path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .into_rgb8();
    assert_eq!(screen.dimensions(), (640, 480));
    let mut colours: Vec<_> = screen.pixels().map(|pixel| pixel.0).collect();
    colours.sort_unstable();
    let longest = colours
        .chunk_by(|a, b| a == b)
        .map(<[_]>::len)
        .max()
        .unwrap_or(0);
    let black = colours
        .iter()
        .filter(|colour| **colour == [0, 0, 0])
        .count();
    colours.dedup();
    assert!(
        colours.len() >= 12,
        "{}: {} colours only",
        path.display(),
        colours.len()
    );
    assert!(
        longest < 640 * 480 * 9 / 10,
        "{}: one colour covers nine tenths",
        path.display()
    );
    assert!(
        black < 640 * 480 / 2,
        "{}: more than half of the screen is black",
        path.display()
    );
}

/// The binary log holds frames; with defmt-print at hand, readable ones.
fn check_log(program: &Path, log: &Path) {
    let bytes = fs::read(log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
    assert!(!bytes.is_empty(), "{}: empty", log.display());
    let stdin = fs::File::open(log).expect("just read");
    match Command::new("defmt-print")
        .arg("-e")
        .arg(program)
        .stdin(stdin)
        .output()
    {
        Err(error) => println!(
            "defmt-print: {error} (cargo install --locked defmt-print); the log is not decoded"
        ),
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout);
            println!("the board's log, as defmt-print reads it:\n{text}");
            assert!(
                text.contains("INFO"),
                "defmt-print made nothing of {}: {output:?}",
                log.display()
            );
        }
    }
}

#[test]
fn a_raspberry_pi_3_classifies_its_camera_and_a_pc_gets_the_same_bits() {
    let board = root().join("tests/board");
    let missing = run(&mut Command::new(board.join("missing.sh")));
    if !missing.is_empty() {
        let missing = missing.trim_end().replace('\n', ", ");
        let advice =
            format!("missing: {missing}. On Debian 12, tests/board/setup.sh gets all of it");
        assert_ne!(
            env::var("CI").as_deref(),
            Ok("true"),
            "the emulated board is required in CI; {advice}"
        );
        // Not println!, which the test harness swallows when a test passes.
        let _ = writeln!(io::stderr(), "skipped: the emulated board; {advice}");
        return;
    }

    let arm = program(
        &run(&mut Command::new(root().join("tests/arm/build.sh"))),
        "igpt-cam",
    );
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("board");
    if out.exists() {
        fs::remove_dir_all(&out).unwrap_or_else(|error| panic!("{}: {error}", out.display()));
    }
    let command = format!(
        "igpt-cam --source /dev/video0 --sink /dev/fb0 --frames {FRAMES} --record /out/recording \
         --log defmt:/out/log.defmt --json >/out/verdicts.txt 2>/out/messages.txt; code=$?; \
         cat /out/verdicts.txt /out/messages.txt; (exit $code)"
    );
    let mut pi3 = Command::new("python3");
    pi3.arg(board.join("pi3.py"))
        .arg("--limit")
        .arg(LIMIT_S)
        .arg("--out")
        .arg(&out);
    print!(
        "{}",
        run(pi3.arg("--program").arg(&arm).arg("--").arg(&command))
    );

    check_screen(&out.join("screen.png"));
    check_log(&arm, &out.join("log.defmt"));
    let recording = out.join("recording");
    let on_board = verdicts(&recording);
    assert_eq!(on_board.len(), FRAMES);

    let again = out.join("again");
    run(Command::new(native("--bin", "igpt-cam"))
        .arg("--source")
        .arg(&recording)
        .arg("--record")
        .arg(&again));
    let on_pc = verdicts(&again);
    assert_eq!(on_pc.len(), FRAMES);
    // Every bit of it, by the command that whoever has two machines would use.
    print!(
        "{}",
        run(Command::new(native("--bin", "igpt"))
            .arg("verify")
            .arg(&recording)
            .arg(&again))
    );
    for (board, pc) in on_board.iter().zip(&on_pc) {
        for key in ["tokens_crc32", "logits", "class", "label"] {
            assert!(
                !board[key].is_null(),
                "the board's verdict has no {key}: {board}"
            );
            assert_eq!(board[key], pc[key], "{key} of {} differs", board["file"]);
        }
    }
}
