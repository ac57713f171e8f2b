//! The unit and the app as a service: what needs mending is not tried again for ever, what the unit hides is
//! said, and systemd finds nothing wrong with the unit.

mod program;

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;

use program::{bundled, cam, ends_with, refused, run, text};

fn unit() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/igpt-cam.service");
    fs::read_to_string(path).unwrap()
}

fn setting<'a>(unit: &'a str, key: &str) -> &'a str {
    let lines: Vec<&str> = unit
        .lines()
        .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='))
        .collect();
    assert_eq!(lines.len(), 1, "{key}: {lines:?}");
    lines[0]
}

#[test]
fn what_somebody_has_to_mend_is_not_tried_for_ever_and_what_may_come_is() {
    let unit = unit();
    assert_eq!(setting(&unit, "Restart"), "always");
    let prevented: Vec<i32> = setting(&unit, "RestartPreventExitStatus")
        .split(' ')
        .map(|code| code.parse().unwrap())
        .collect();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("bad.toml"), "top-k = 0").unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    for mend in [
        &["--config", "bad.toml"][..],
        &["--source", "rtsp://camera/1"],
        &["--source", "pattern:9"],
        &["--source", ""],
        &["--model", "missing.onnx", "--sink", "none"],
        &["--source", "sample", "--sink", "file"],
    ] {
        let code = run(dir.path(), mend).status.code().unwrap();
        assert!(prevented.contains(&code), "{mend:?}: {code}");
    }
    for may_come in [
        &["--source", "/dev/video987", "--retries", "0"][..],
        &["--source", "sample", "--sink", "/dev/fb987"],
    ] {
        let code = run(dir.path(), may_come).status.code().unwrap();
        assert!(
            code != 0 && !prevented.contains(&code),
            "{may_come:?}: {code}"
        );
    }
}

#[test]
fn a_model_that_does_not_load_gives_way_to_the_one_that_worked() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = [
        "--model",
        "m.onnx",
        "--state-dir",
        "state",
        "--sink",
        "none",
        "--frames",
        "1",
    ];
    fs::copy(bundled(), dir.path().join("m.onnx")).unwrap();
    assert!(run(dir.path(), &arguments).status.success());
    fs::write(dir.path().join("m.onnx"), "damaged in transfer").unwrap();
    for _ in 0..2 {
        let output = run(dir.path(), &arguments);
        let errors = text(&output.stderr);
        assert!(output.status.success(), "{errors}");
        assert!(
            errors.contains("m.onnx") && errors.contains("last-good.onnx instead"),
            "{errors}"
        );
    }
    fs::remove_file(dir.path().join("state/last-good.onnx")).unwrap();
    refused(dir.path(), &arguments, 4, "m.onnx");
}

#[test]
fn outputs_that_cannot_be_opened_are_not_held_against_the_model() {
    let dir = tempfile::tempdir().unwrap();
    fs::copy(bundled(), dir.path().join("m.onnx")).unwrap();
    let with = |sink| {
        [
            "--model",
            "m.onnx",
            "--state-dir",
            "state",
            "--frames",
            "1",
            "--sink",
            sink,
        ]
    };
    for _ in 0..4 {
        refused(dir.path(), &with("/dev/fb987"), 3, "/dev/fb987");
    }
    let errors = text(&run(dir.path(), &with("none")).stderr);
    assert!(!errors.contains("set aside"), "{errors}");
}

#[test]
fn what_the_unit_hides_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let missing = "/home/igpt-nobody/m.onnx";
    let as_service = |arguments: &[&str]| {
        let mut command = cam(dir.path());
        command
            .args(arguments)
            .env("NOTIFY_SOCKET", "/nonexistent")
            .output()
            .unwrap()
    };
    ends_with(
        &as_service(&["--sink", "none", "--model", missing]),
        4,
        "ProtectHome=",
    );
    ends_with(
        &as_service(&["--source", "/home/igpt-nobody/photos"]),
        3,
        "ProtectHome=",
    );
    ends_with(
        &as_service(&["--source", "/tmp/igpt-nobody"]),
        3,
        "PrivateTmp=",
    );
    let plain = run(dir.path(), &["--sink", "none", "--model", missing]);
    ends_with(&plain, 4, missing);
    assert!(!text(&plain.stderr).contains("ProtectHome"));
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    assert_eq!(setting(&unit(), "Documentation"), "man:igpt-cam(1)");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("igpt-cam.service");
    // The program is not installed here; any other that is there stands for it.
    fs::write(&path, unit().replace("/usr/bin/igpt-cam", "/bin/true")).unwrap();
    let verified = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(&path)
        .output();
    match verified {
        Err(error) => {
            // Not println!, which the test harness swallows when a test passes.
            let _ = writeln!(
                io::stderr(),
                "skipped: the unit is not verified: systemd-analyze: {error}"
            );
        }
        Ok(output) => {
            let said = text(&output.stderr);
            let ours: Vec<&str> = said
                .lines()
                .filter(|line| line.contains("igpt-cam"))
                .collect();
            assert!(ours.is_empty(), "{said}");
        }
    }
}
