//! `--events`: one line a change, in a file or among the verdicts, and what cannot be is refused by name.
#![cfg(target_os = "linux")]

mod program;

use std::fs;
use std::path::Path;

use program::{ends_with, refused, run, text};
use serde_json::Value;

/// Pictures of the sample, in this order.
fn pictures(folder: &Path, names: &[&str]) {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/fashion-mnist/sample");
    fs::create_dir(folder).unwrap();
    for (place, name) in names.iter().enumerate() {
        let from = sample.join(format!("{name}.png"));
        fs::copy(from, folder.join(format!("{place:02}.png"))).unwrap();
    }
}

const BOOT: &str = "0000-ankle-boot";
const TROUSER: &str = "0002-trouser";

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Which frame, from what, to what, why.
fn changes(events: &[Value]) -> Vec<(u64, Value, Value, Value)> {
    let of = |event: &Value| {
        let get = |key: &str| event[key].clone();
        (
            get("seq").as_u64().unwrap(),
            get("from"),
            get("to"),
            get("reason"),
        )
    };
    let changes = events.iter().filter(|event| event["event"] == "change");
    changes.map(of).collect()
}

#[test]
fn three_of_five_frames_make_a_change_and_it_is_told_once() {
    let dir = tempfile::tempdir().unwrap();
    let names = [
        BOOT, BOOT, BOOT, TROUSER, BOOT, TROUSER, TROUSER, TROUSER, BOOT,
    ];
    pictures(&dir.path().join("in"), &names);
    let asked = ["--source", "in", "--events", "events.jsonl"];
    for _ in 0..2 {
        let output = run(dir.path(), &asked);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    let told = lines(&fs::read_to_string(dir.path().join("events.jsonl")).unwrap());
    let label = |name: &str| Value::from(name);
    let once = [
        (2, Value::Null, label("Ankle boot"), label("3 of 3 frames")),
        (
            6,
            label("Ankle boot"),
            label("Trouser"),
            label("3 of 5 frames"),
        ),
    ];
    // The file is appended to.
    assert_eq!(changes(&told), [&once[..], &once[..]].concat());
    assert_eq!(
        (&told[0]["first"], &told[1]["after"]),
        (&true.into(), &4.into())
    );
    // Among the verdicts, as JSON and for people.
    let output = run(dir.path(), &["--source", "in", "--events", "-", "--json"]);
    assert_eq!(changes(&lines(&text(&output.stdout))), once);
    let output = run(dir.path(), &["--source", "in", "--events", "-"]);
    let said = text(&output.stdout);
    assert!(
        said.contains("  Ankle boot -> Trouser (3 of 5 frames)"),
        "{said}"
    );
    // Of every frame, and what is not believed is unknown; from a file, too.
    let toml =
        "events = \"all.jsonl\"\nevent-frames = \"1/1\"\nevent-threshold = [\"Trouser=1.0\"]\n";
    fs::write(dir.path().join("cam.toml"), toml).unwrap();
    let output = run(dir.path(), &["--source", "in", "--config", "cam.toml"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let told = lines(&fs::read_to_string(dir.path().join("all.jsonl")).unwrap());
    let seen: Vec<u64> = changes(&told).iter().map(|(seq, ..)| *seq).collect();
    assert_eq!(seen, [0, 3, 4, 5, 8]);
    assert_eq!(changes(&told)[1].2, Value::Null);
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let refuse = |arguments: &[&str], code, words: &str| {
        let all = [&["--events", "e.jsonl"], arguments].concat();
        refused(dir.path(), &all, code, words);
    };
    for wrong in ["0/5", "6/5", "3/33", "3", "x/y"] {
        refuse(&["--event-frames", wrong], 2, "event-frames");
    }
    for wrong in ["Bag", "Bag=2", "Bag=x"] {
        refuse(&["--event-threshold", wrong], 2, "event-threshold");
    }
    refuse(&["--event-threshold", "Cat=0.5"], 2, "\"Ankle boot\"");
    let output = run(dir.path(), &["--events", "none/e.jsonl", "--sink", "none"]);
    ends_with(&output, 5, "none/e.jsonl");
    fs::write(
        dir.path().join("m.onnx"),
        fs::read(program::bundled()).unwrap(),
    )
    .unwrap();
    let over = ["--model", "m.onnx", "--events", "m.onnx"];
    refused(dir.path(), &over, 2, "m.onnx");
}
