//! `--stabilize`: a camera's noise costs nothing, and a file says what a command line does.
#![cfg(target_os = "linux")]

mod program;

use std::fs;
use std::path::Path;

use program::{refused, run, text};
use serde_json::Value;

/// Frames of one grey ramp with noise that no two have alike.
fn noisy(path: &Path, frames: u32) {
    let mut stream = b"YUV4MPEG2 W64 H64 F10:1 Ip A1:1 Cmono\n".to_vec();
    let mut random = 1u32;
    for _ in 0..frames {
        stream.extend_from_slice(b"FRAME\n");
        for at in 0..64 * 64 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = i32::from((random >> 24) as u8 % 7) - 3;
            stream.push((40 + at / 32 + noise) as u8);
        }
    }
    fs::write(path, stream).unwrap();
}

/// `changed_tokens` and `reused_tokens` of each verdict.
fn tokens(dir: &Path, arguments: &[&str]) -> Vec<[u64; 2]> {
    let output = run(
        dir,
        &[
            &["--source", "noisy.y4m", "--json", "--log", "none"],
            arguments,
        ]
        .concat(),
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines = text(&output.stdout);
    let events = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let verdicts = events.filter(|event| event["event"] == "verdict");
    let number = |event: &Value, key: &str| event[key].as_u64().unwrap();
    verdicts
        .map(|v| ["changed_tokens", "reused_tokens"].map(|key| number(&v, key)))
        .collect()
}

#[test]
fn noise_changes_nothing_where_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    noisy(&dir.path().join("noisy.y4m"), 6);
    let off = tokens(dir.path(), &[]);
    assert_eq!(off[0], [196, 0]);
    assert!(off[1..].iter().any(|[changed, _]| *changed > 0), "{off:?}");
    let on = tokens(dir.path(), &["--stabilize", "0.05"]);
    assert_eq!(on[0], [196, 0]);
    assert_eq!(on[1..], [[0, 196]; 5]);
    fs::write(dir.path().join("cam.toml"), "stabilize = 0.05\n").unwrap();
    assert_eq!(tokens(dir.path(), &["--config", "cam.toml"]), on);
    assert_eq!(
        tokens(dir.path(), &["--config", "cam.toml", "--stabilize", "off"]),
        off
    );
}

#[test]
fn what_is_no_margin_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    refused(dir.path(), &["--stabilize", "2"], 2, "--stabilize");
}
