//! The program `igpt-cam` as a person runs it: the bundled model, exit codes, errors that name the
//! culprit, the same bits from every kernel, signals.

mod program;

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use program::{bundled, cam, refused, run, text};
use serde_json::Value;

/// The verdicts of a recording without what may differ between machines and file names.
fn verdicts(recording: &Path) -> Vec<(String, Vec<String>, String)> {
    let text = fs::read_to_string(recording.join("verdicts.jsonl")).unwrap();
    let of = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let logits = line["logits"]
            .as_array()
            .unwrap()
            .iter()
            .map(|bits| bits.as_str().unwrap().to_owned());
        (
            line["tokens_crc32"].as_str().unwrap().to_owned(),
            logits.collect(),
            line["label"].to_string(),
        )
    };
    text.lines().map(of).collect()
}

#[test]
fn without_arguments_the_sample_is_classified_and_drawn() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(dir.path(), &[]);
    let (lines, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{errors}");
    let pictures = fs::read_dir(dir.path().join("out")).unwrap().count();
    assert_eq!(lines.lines().count(), pictures);
    assert!(pictures >= 10);
    assert!(
        lines
            .lines()
            .all(|line| line.contains(".png") && line.contains(" %") && line.ends_with(" ms"))
    );
    assert!(
        errors.contains("out") && errors.contains("frames classified"),
        "{errors}"
    );
    // The samples' names tell their class. A model that has learnt nothing gets a tenth of them.
    let plain = |text: &str| {
        text.to_lowercase()
            .replace(|c: char| !c.is_ascii_lowercase(), "")
    };
    let right = lines.lines().filter(|line| {
        let mut words = line.split_whitespace().skip(1);
        let name = plain(words.next().unwrap().trim_end_matches(".png"));
        plain(line.split(".png").nth(1).unwrap()).contains(&name)
    });
    assert!(right.count() * 3 >= pictures * 2, "{lines}");
}

#[test]
fn a_recording_replayed_with_other_kernels_gives_the_same_bits() {
    let dir = tempfile::tempdir().unwrap();
    let first = run(
        dir.path(),
        &["--sink", "none", "--record", "first", "--frames", "4"],
    );
    assert!(first.status.success(), "{}", text(&first.stderr));
    let expected = verdicts(&dir.path().join("first"));
    assert_eq!(expected.len(), 4);
    let bundled = crc32fast::hash(&fs::read(bundled()).unwrap());
    let named = format!("\"crc32\":\"{bundled:08x}\"");
    let recorded = fs::read_to_string(dir.path().join("first/verdicts.jsonl")).unwrap();
    assert!(
        recorded.lines().all(|line| line.contains(&named)),
        "{recorded}"
    );
    for (copy, cpu, threads) in [("scalar", Some("scalar"), "2"), ("best", None, "1")] {
        let mut arguments = vec!["--source", "first", "--record", copy, "--threads", threads];
        arguments.extend(cpu.map(|cpu| ["--cpu", cpu]).iter().flatten());
        let replay = run(dir.path(), &arguments);
        assert!(replay.status.success(), "{}", text(&replay.stderr));
        assert_eq!(verdicts(&dir.path().join(copy)), expected, "{copy}");
    }
}

#[test]
fn json_lines_are_json_from_start_to_end() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(
        dir.path(),
        &["--sink", "none", "--json", "--top-k", "2", "--log", "none"],
    );
    let lines: Vec<Value> = text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (start, lines) = lines.split_first().unwrap();
    let (summary, verdicts) = lines.split_last().unwrap();
    assert_eq!(start["event"], "start");
    let bundled = crc32fast::hash(&fs::read(bundled()).unwrap());
    assert_eq!(start["model"]["crc32"], format!("{bundled:08x}"));
    assert_eq!(start["labels"].as_array().unwrap().len(), 10);
    assert_eq!(summary["event"], "end");
    assert_eq!(
        (&summary["error"], &summary["exit_code"]),
        (&Value::Null, &0.into())
    );
    assert_eq!(summary["classified"].as_u64(), Some(verdicts.len() as u64));
    let queue = |name: &str| summary["queue"][name].as_u64().unwrap();
    assert_eq!(
        queue("produced"),
        queue("consumed") + queue("dropped") + queue("queued")
    );
    for verdict in verdicts {
        assert_eq!(verdict["event"], "verdict");
        assert_eq!(verdict["top"].as_array().unwrap().len(), 2);
    }
}

#[test]
fn wrong_command_lines_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    refused(dir.path(), &["--wat"], 2, "--wat");
    refused(dir.path(), &["--cpu", "mmx"], 2, "mmx");
    refused(dir.path(), &["--threshold", "1.5"], 2, "threshold");
    refused(dir.path(), &["--frames", "many"], 2, "many");
    refused(dir.path(), &["--interval", "soon"], 2, "soon");
    refused(dir.path(), &["--log", "syslog"], 2, "syslog");
    refused(dir.path(), &["--config", "none.toml"], 2, "none.toml");
    fs::write(dir.path().join("bad.toml"), "sauce = \"-\"").unwrap();
    refused(dir.path(), &["--config", "bad.toml"], 2, "sauce");
    fs::write(dir.path().join("far.toml"), "# far\nthreshold = 1.5").unwrap();
    let far = ["--config", "far.toml"];
    refused(
        dir.path(),
        &far,
        2,
        "far.toml:2: threshold = 1.5: expected 0 to 1",
    );
    refused(
        dir.path(),
        &["--config", "far.toml", "--threshold", "2"],
        2,
        "--threshold 2",
    );
    refused(dir.path(), &["a.onnx", "--model", "b.onnx"], 2, "--model");
    // One of the two is never there.
    let foreign = if cfg!(target_arch = "x86_64") {
        "neon"
    } else {
        "avx2"
    };
    refused(dir.path(), &["--cpu", foreign], 2, foreign);
}

/// Runs with this configuration, and expects this exit code and an error that begins with its file and line.
fn refused_of(dir: &Path, config: &str, code: i32, culprit: &str) {
    fs::write(dir.join("cam.toml"), format!("# the camera\n{config}\n")).unwrap();
    let output = run(dir, &["--config", "cam.toml"]);
    let key = config.split(' ').next().unwrap();
    program::ends_with(&output, code, &format!("igpt-cam: cam.toml:2: {key}"));
    program::ends_with(&output, code, culprit);
}

#[test]
fn a_source_that_can_never_be_one_is_a_wrong_setting_and_one_that_may_come_is_not() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("film"), b"\0\0\0\x20ftypisom\0\0\0\0").unwrap();
    fs::write(dir.path().join("film.mkv"), b"no Matroska at all").unwrap();
    fs::create_dir(dir.path().join("empty")).unwrap();
    let long = "x".repeat(300);
    for never in [
        "",
        "pattern:",
        "pattern:9",
        "pattern:0x9",
        "pattern:65536x65536",
        "pattern:9x9x9",
        "rtsp://x",
        "http://cam/stream",
        "v4l2:///dev/video0",
        "film",
        "film.mkv",
        &long,
        "a\\u0000b",
    ] {
        let named = never.split('\\').next().unwrap();
        refused_of(dir.path(), &format!("source = \"{never}\""), 2, named);
    }
    for may_come in ["nowhere", "empty", "empty/photos", "/dev/video987"] {
        let config = format!("source = \"{may_come}\"\nretries = 0");
        refused_of(dir.path(), &config, 3, may_come);
    }
    // The same on the command line, where no file is to be named.
    refused(
        dir.path(),
        &["--source", "pattern:9"],
        2,
        "igpt-cam: source \"pattern:9\"",
    );
    refused(dir.path(), &["--source", ""], 2, "igpt-cam: source \"\"");
    refused(
        dir.path(),
        &["--source", "film"],
        2,
        "igpt-cam: film: an MP4",
    );
}

#[test]
fn a_value_of_the_configuration_is_named_with_its_file_wherever_it_fails() {
    let dir = tempfile::tempdir().unwrap();
    let foreign = if cfg!(target_arch = "x86_64") {
        "neon"
    } else {
        "avx2"
    };
    for isa in ["foo", foreign] {
        let config = format!("isa = \"{isa}\"");
        let culprit = format!(
            "isa = \"{isa}\": expected an instruction set of this machine, which has scalar"
        );
        refused_of(dir.path(), &config, 2, &culprit);
    }
    let folder = fs::canonicalize(dir.path()).unwrap();
    let start = format!(
        "; relative paths start in the working folder, {},",
        folder.display()
    );
    fs::write(dir.path().join("file"), "x").unwrap();
    refused_of(
        dir.path(),
        "model = \"nix.onnx\"",
        4,
        "nix.onnx: No such file",
    );
    refused_of(dir.path(), "model = \"nix.onnx\"", 4, &start);
    refused_of(dir.path(), "model = \"file\"", 4, "file: ");
    refused_of(dir.path(), "source = \"nowhere\"", 3, &start);
    refused_of(dir.path(), "sink = [\"file\"]", 5, "file");
    refused_of(dir.path(), "sink = [\"/dev/fb987\"]", 3, "/dev/fb987");
    refused_of(dir.path(), "record = \"file\"", 5, "file");
    refused_of(dir.path(), "log = \"defmt:no/log\"", 5, &start);
    refused_of(
        dir.path(),
        "log = \"defmt:cam.toml\"",
        2,
        "is the input --config cam.toml",
    );
    if Path::new("/dev/full").exists() {
        let full = "log = \"defmt:/dev/full\"\nframes = 1\nsink = [\"none\"]";
        refused_of(
            dir.path(),
            full,
            1,
            "log = \"defmt:/dev/full\": No space left",
        );
    }
    // The command line's has the word, and is named as such.
    let line = ["--config", "cam.toml", "--model", "nix.onnx"];
    fs::write(dir.path().join("cam.toml"), "model = \"other.onnx\"").unwrap();
    refused(dir.path(), &line, 4, "igpt-cam: nix.onnx: No such file");
}

#[test]
fn missing_and_broken_sources_are_named() {
    let dir = tempfile::tempdir().unwrap();
    refused(
        dir.path(),
        &["--source", "/dev/video987"],
        3,
        "/dev/video987",
    );
    refused(dir.path(), &["--source", "nowhere"], 3, "nowhere");
    fs::create_dir(dir.path().join("empty")).unwrap();
    refused(dir.path(), &["--source", "empty"], 3, "empty");
    fs::write(
        dir.path().join("film.y4m"),
        "YUV4MPEG2 W64 H64 F25:1\nFRAME\nshort",
    )
    .unwrap();
    refused(dir.path(), &["--source", "film.y4m"], 3, "film.y4m");
    fs::write(dir.path().join("broken.png"), "\u{89}PNG not really").unwrap();
    refused(dir.path(), &["--source", "broken.png"], 3, "broken.png");
    // Root may read everything, so as root there is no unreadable directory.
    let locked = dir.path().join("locked");
    fs::create_dir(&locked).unwrap();
    let closed = std::os::unix::fs::PermissionsExt::from_mode(0o000);
    fs::set_permissions(&locked, closed).unwrap();
    if fs::read_dir(&locked).is_err() {
        refused(dir.path(), &["--source", "locked"], 3, "locked");
    }
}

#[test]
fn missing_and_damaged_models_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let good = fs::read(bundled()).unwrap();
    let damaged = dir.path().join("damaged.onnx");
    refused(dir.path(), &["--model", "nowhere.onnx"], 4, "nowhere.onnx");
    for length in [0, 1, 100, good.len() / 2, good.len() - 1] {
        fs::write(&damaged, &good[..length]).unwrap();
        refused(
            dir.path(),
            &["--model", "damaged.onnx", "--sink", "none"],
            4,
            "damaged.onnx",
        );
    }
    for at in [10, good.len() / 3, good.len() - 40] {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        fs::write(&damaged, &bytes).unwrap();
        refused(
            dir.path(),
            &["--model", "damaged.onnx", "--sink", "none"],
            4,
            "damaged.onnx",
        );
    }
    fs::write(&damaged, &good).unwrap();
    let output = run(
        dir.path(),
        &["--model", "damaged.onnx", "--sink", "none", "--frames", "1"],
    );
    assert!(
        output.status.success(),
        "undamaged, it runs: {}",
        text(&output.stderr)
    );
}

#[test]
fn outputs_that_cannot_be_opened_are_named() {
    let dir = tempfile::tempdir().unwrap();
    refused(dir.path(), &["--sink", "/dev/fb987"], 3, "/dev/fb987");
    fs::write(dir.path().join("file"), "").unwrap();
    refused(
        dir.path(),
        &["--sink", "none", "--record", "file"],
        5,
        "file",
    );
    refused(
        dir.path(),
        &["--log", "defmt:no/such/dir/log"],
        5,
        "no/such/dir/log",
    );
    assert!(
        run(dir.path(), &["--sink", "none", "--record", "twice"])
            .status
            .success()
    );
    refused(
        dir.path(),
        &["--sink", "none", "--record", "twice"],
        5,
        "twice",
    );
}

#[test]
fn a_crash_looping_model_is_set_aside_for_the_bundled_one() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("new.onnx"), "damaged in transfer").unwrap();
    let arguments = [
        "--model",
        "new.onnx",
        "--state-dir",
        "state",
        "--sink",
        "none",
        "--frames",
        "1",
    ];
    for _ in 0..3 {
        refused(dir.path(), &arguments, 4, "new.onnx");
    }
    let output = run(dir.path(), &arguments);
    let errors = text(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert!(
        errors.contains("new.onnx: set aside") && errors.contains("bundled"),
        "{errors}"
    );
}

#[test]
fn the_log_in_defmt_is_frames_and_says_nothing_on_a_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(
        dir.path(),
        &["--sink", "none", "--frames", "2", "--log", "defmt:log.bin"],
    );
    assert!(output.status.success());
    assert!(!text(&output.stderr).contains("kernels, loaded"));
    let log = fs::read(dir.path().join("log.bin")).unwrap();
    // rzCOBS: each frame ends with a zero, which occurs nowhere else. Model, source, states, verdicts.
    let frames = log
        .split(|byte| *byte == 0)
        .filter(|frame| !frame.is_empty())
        .count();
    assert!(frames >= 6, "{frames} frames");
    assert_eq!(log.last(), Some(&0));
    // The words stay in the program: what travels is their addresses.
    assert!(!text(&log).contains("pipeline"));
}

/// Waits for the end, but not for ever.
fn end_of(child: &mut Child) -> Option<i32> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if begun.elapsed() > Duration::from_secs(20) {
            child.kill().unwrap();
            panic!("it did not end");
        }
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn signals_end_it_with_a_summary_while_its_source_is_silent() {
    let dir = tempfile::tempdir().unwrap();
    for signal in ["TERM", "INT"] {
        // The pipe stays open and nothing comes.
        let mut child = cam(dir.path())
            .args(["--source", "-", "--log", "none"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Long enough for the handlers to stand: before that the signal simply kills it.
        thread::sleep(Duration::from_millis(700));
        let sent = Command::new("kill")
            .args(["-s", signal, &child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
        assert_eq!(end_of(&mut child), Some(0), "SIG{signal}");
        let mut errors = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut errors)
            .unwrap();
        assert!(
            errors.contains("0 frames classified") && errors.contains("as asked"),
            "{errors}"
        );
    }
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = cam(dir.path())
        .args(["--source", "pattern", "--log", "none"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(end_of(&mut child), Some(0));
}
