//! What `igpt-cam` writes: nothing succeeds silently when an output did not take it, and nothing is written into
//! what is read.

mod program;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Output, Stdio};

use program::{cam, ends_with, refused, run, save, text};

fn full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

fn onto_full(dir: &Path, arguments: &[&str]) -> Output {
    cam(dir).args(arguments).stdout(full()).output().unwrap()
}

#[test]
fn a_full_standard_output_is_a_failure_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let reason = "standard output: No space left on device";
    // Nothing else would get the verdicts: it ends with the first.
    let output = onto_full(dir.path(), &["--sink", "none"]);
    ends_with(&output, 1, reason);
    assert!(text(&output.stderr).contains("\n1 frame classified"));
    ends_with(
        &onto_full(dir.path(), &["--sink", "none", "--json"]),
        1,
        reason,
    );
    // The pictures are wanted too: it goes on to the end, and all the same it is a failure.
    let output = onto_full(dir.path(), &[]);
    ends_with(&output, 1, reason);
    assert!(fs::read_dir(dir.path().join("out")).unwrap().count() >= 10);
    assert!(text(&output.stderr).contains("lines lost"));
}

#[test]
fn help_that_cannot_be_written_is_a_failure() {
    let dir = tempfile::tempdir().unwrap();
    for ask in ["--help", "-h", "--version"] {
        let output = onto_full(dir.path(), &[ask]);
        ends_with(&output, 1, "standard output: No space left on device");
        let output = run(dir.path(), &[ask]);
        assert!(output.status.success() && output.stdout.len() > 5, "{ask}");
        // Whoever went away has read enough.
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let gone = cam(dir.path()).arg(ask).stdout(writer).output().unwrap();
        assert_eq!(
            (gone.status.code(), text(&gone.stderr).as_str()),
            (Some(0), "")
        );
    }
}

#[test]
fn a_link_to_nothing_is_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    for (option, code) in [("--sink", 5), ("--record", 5)] {
        symlink("unmounted/run", dir.path().join("link")).unwrap();
        let arguments = ["--source", "sample", "--frames", "1", option, "link"];
        refused(
            dir.path(),
            &arguments,
            code,
            "link is a link to unmounted/run, which is not there",
        );
        assert!(dir.path().join("link").is_symlink());
        assert!(!dir.path().join("unmounted").exists());
        fs::remove_file(dir.path().join("link")).unwrap();
    }
    // Nor is one where a recording would begin; a log goes to where its link leads.
    fs::create_dir(dir.path().join("run")).unwrap();
    symlink("gone", dir.path().join("run/verdicts.jsonl")).unwrap();
    let record = ["--sink", "none", "--record", "run"];
    refused(dir.path(), &record, 5, "run: holds a recording already");
    symlink("real.log", dir.path().join("linked.log")).unwrap();
    let arguments = [
        "--sink",
        "none",
        "--frames",
        "1",
        "--log",
        "defmt:linked.log",
    ];
    assert!(run(dir.path(), &arguments).status.success());
    assert!(dir.path().join("linked.log").is_symlink());
    assert!(fs::metadata(dir.path().join("real.log")).unwrap().len() > 0);
}

#[test]
fn a_summary_that_cannot_be_written_is_a_failure() {
    let dir = tempfile::tempdir().unwrap();
    let output = cam(dir.path())
        .args(["--sink", "none", "--log", "none"])
        .stdout(Stdio::null())
        .stderr(full())
        .status();
    assert_eq!(output.unwrap().code(), Some(1));
}

#[test]
fn a_full_log_is_a_failure_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = [
        "--sink",
        "none",
        "--frames",
        "1",
        "--log",
        "defmt:/dev/full",
    ];
    refused(
        dir.path(),
        &arguments,
        1,
        "--log defmt:/dev/full: No space left on device",
    );
    let output = onto_full(
        dir.path(),
        &["--sink", "none", "--frames", "1", "--log", "defmt:-"],
    );
    ends_with(&output, 1, "--log defmt:-: No space left");
}

#[test]
fn a_record_and_pictures_that_are_not_kept_are_failures_that_name_them() {
    let dir = tempfile::tempdir().unwrap();
    let run_dir = dir.path().join("run");
    fs::create_dir(&run_dir).unwrap();
    // Somebody's picture has the name of the second frame.
    fs::write(run_dir.join("frame-000001.png"), "mine").unwrap();
    refused(
        dir.path(),
        &["--sink", "none", "--frames", "3", "--record", "run"],
        1,
        "run/frame-000001.png: cannot create: File exists (os error 17) (1 frame lost)",
    );
    assert_eq!(fs::read(run_dir.join("frame-000001.png")).unwrap(), b"mine");
    assert!(run_dir.join("frame-000002.png").exists(), "it went on");
}

#[test]
fn one_bad_picture_is_skipped_and_named_and_strict_ends_the_run() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("photos/cat")).unwrap();
    save(&dir.path().join("photos/cat/1.png"), 28, 28, 9);
    fs::write(dir.path().join("photos/cat/2.png"), "no picture").unwrap();
    save(&dir.path().join("photos/cat/3.png"), 28, 28, 7);
    let output = run(dir.path(), &["--source", "photos"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let (lines, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(
        lines.contains("cat/1.png") && lines.contains("cat/3.png"),
        "{lines}"
    );
    assert!(
        errors.contains("photos/cat/2.png") && errors.contains("1 skipped"),
        "{errors}"
    );

    let strict = run(dir.path(), &["--source", "photos", "--strict"]);
    ends_with(&strict, 3, "photos/cat/2.png");
    let lines = text(&strict.stdout);
    assert!(
        lines.contains("1.png") && !lines.contains("3.png"),
        "{lines}"
    );

    fs::remove_file(dir.path().join("photos/cat/1.png")).unwrap();
    fs::remove_file(dir.path().join("photos/cat/3.png")).unwrap();
    refused(dir.path(), &["--source", "photos"], 3, "2.png");
    fs::rename(
        dir.path().join("photos/cat/2.png"),
        dir.path().join("photos/notes.txt"),
    )
    .unwrap();
    refused(dir.path(), &["--source", "photos"], 3, "1 other files");
}

#[test]
fn nothing_is_written_into_what_is_read() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("photos/cat")).unwrap();
    save(&dir.path().join("photos/cat/1.png"), 28, 28, 9);
    symlink("photos", dir.path().join("alias")).unwrap();
    for arguments in [
        ["--source", "photos", "--sink", "photos"],
        ["--source", "photos", "--sink", "alias/cat"],
        ["--source", "alias", "--sink", "photos/cat/new"],
        ["--source", "photos/", "--record", "photos/run"],
        ["--source", "photos/cat", "--record", "alias/cat"],
    ] {
        refused(dir.path(), &arguments, 2, arguments[3]);
    }
    let before = fs::read(dir.path().join("photos/cat/1.png")).unwrap();
    let log = [
        "--source",
        "photos/cat/1.png",
        "--log",
        "defmt:photos/cat/1.png",
    ];
    refused(dir.path(), &log, 2, "--source photos/cat/1.png");
    assert_eq!(
        fs::read(dir.path().join("photos/cat/1.png")).unwrap(),
        before
    );
    let output = cam(dir.path())
        .args(["--source", "-", "--log", "defmt:photos/cat/1.png"])
        .stdin(File::open(dir.path().join("photos/cat/1.png")).unwrap())
        .output()
        .unwrap();
    ends_with(&output, 2, "standard input");
    let left = fs::read_dir(dir.path().join("photos/cat")).unwrap().count();
    assert_eq!(
        (
            left,
            fs::read_dir(dir.path().join("photos")).unwrap().count()
        ),
        (1, 1)
    );
}

#[test]
fn a_picture_of_48_megapixels_is_classified_one_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("photos")).unwrap();
    let picture = dir.path().join("photos/1.jpg");
    let (width, height) = (8000, 6000);
    jpeg_encoder::Encoder::new_file(&picture, 90)
        .unwrap()
        .encode(
            &vec![128; 8000 * 6000],
            width,
            height,
            jpeg_encoder::ColorType::Luma,
        )
        .unwrap();
    for copy in 2..=5 {
        symlink("1.jpg", dir.path().join(format!("photos/{copy}.jpg"))).unwrap();
    }
    let mut child = cam(dir.path())
        .args(["--source", "photos", "--log", "none"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0_u64;
    while child.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        peak = peak.max(kib.unwrap_or(0));
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(text(&output.stdout).lines().count(), 5);
    // 144 MB are one picture; a decoder may hold another, five waiting ones would be 720.
    assert!(peak < 450 << 10, "{} MiB at the most", peak >> 10);
}
