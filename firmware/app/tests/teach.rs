//! Classes taught by showing: from files, over the control socket while the app runs, kept, bound, undone, exported.
#![cfg(target_os = "linux")]

mod program;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use program::{bundled, cam, refused, run, text};
use serde_json::{Value, json};

/// The pictures of some classes in the bundled sample, a folder for each.
fn photos(dir: &Path, classes: &[&str]) {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/fashion-mnist/sample");
    for class in classes {
        fs::create_dir_all(dir.join(class)).unwrap();
    }
    for entry in fs::read_dir(sample).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if let Some(class) = classes.iter().find(|class| name.contains(*class)) {
            fs::copy(&path, dir.join(class).join(&name)).unwrap();
        }
    }
}

fn model(dir: &Path) -> PathBuf {
    let model = dir.join("m.onnx");
    fs::copy(bundled(), &model).unwrap();
    model
}

fn lines(bytes: &[u8]) -> Vec<Value> {
    let text = text(bytes);
    let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
    text.lines().map(line).collect()
}

/// Teaches, and gives the last answer.
fn teach(dir: &Path, arguments: &[&str]) -> Value {
    let common = ["teach", "--model", "m.onnx", "--json"];
    let output = run(dir, &[&common[..], arguments].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    lines(&output.stdout).pop().unwrap()
}

#[test]
fn classes_shown_from_folders_are_told_undone_forgotten_and_exported() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    photos(dir, &["trouser", "bag", "sandal"]);
    model(dir);
    let first = teach(dir, &["trouser", "--source", "trouser"]);
    assert_eq!(first["event"], "done");
    assert_eq!(first["classes"][0]["label"], "trouser");
    assert_eq!(first["accuracy"], Value::Null);
    let second = teach(dir, &["bag", "--source", "bag"]);
    let accuracy = second["accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.5, "{second}");
    assert!(dir.join("m.taught").exists());
    let negatives = teach(dir, &["--none", "--source", "sandal"]);
    assert!(negatives["none"]["examples"].as_u64().unwrap() >= 2);

    let told = |arguments: &[&str]| {
        let common = ["--model", "m.onnx", "--json", "--log", "none", "--source"];
        let output = run(dir, &[&common[..], arguments].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        lines(&output.stdout)
    };
    let events = told(&["trouser"]);
    assert_eq!(
        events[0]["labels"],
        json!(["bag", "trouser", "none of these"])
    );
    assert_eq!(events[1]["event"], "taught");
    let verdicts: Vec<_> = events.iter().filter(|e| e["event"] == "verdict").collect();
    assert!(!verdicts.is_empty());
    for verdict in verdicts {
        assert_eq!(verdict["taught"]["label"], "trouser", "{verdict}");
        assert!(verdict["taught"]["distance"].as_f64().is_some());
        assert!(verdict["taught"]["limit"].as_f64().unwrap() > 0.0);
    }
    // Off, the model's own classes.
    let off = told(&["trouser", "--taught", "off"]);
    assert_eq!(off[1]["label"], "Trouser");
    assert!(off[1].get("taught").is_none());

    // Exported, it is a model file as any other, of the same verdicts.
    let place = |arguments: &[&str]| {
        let output = run(dir, &[arguments, &["--model", "m.onnx"]].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    assert!(place(&["export", "two.onnx"]).contains("2 classes"));
    let events = run(
        dir,
        &["two.onnx", "--json", "--log", "none", "--source", "bag"],
    );
    let events = lines(&events.stdout);
    assert_eq!(events[0]["labels"], json!(["bag", "trouser"]));
    assert!(
        events
            .iter()
            .filter(|e| e["event"] == "verdict")
            .all(|e| e["label"] == "bag")
    );
    refused(
        dir,
        &["export", "m.onnx", "--model", "m.onnx"],
        1,
        "is the model itself",
    );
    refused(
        dir,
        &["export", "m.taught", "--model", "m.onnx"],
        1,
        "what was taught",
    );

    assert!(place(&["undo"]).contains("\"none of these\" taken back"));
    assert!(place(&["forget", "bag"]).contains("\"bag\" is forgotten"));
    assert!(!place(&["list"]).contains("bag "));
    refused(
        dir,
        &["export", "one.onnx", "--model", "m.onnx"],
        1,
        "two classes",
    );
    assert!(place(&["undo"]).contains("\"bag\" is remembered again"));
    assert!(place(&["status"]).contains("bag "));
    refused(
        dir,
        &["forget", "cup", "--model", "m.onnx"],
        1,
        "\"cup\" was not taught",
    );
}

#[test]
fn a_model_without_classes_of_its_own_is_taught_some_and_another_model_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    photos(dir, &["trouser", "bag"]);
    let mit = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../models/fashion-mnist/mit-fashion-mnist-int8.onnx");
    fs::copy(mit, dir.join("m.onnx")).unwrap();
    teach(dir, &["trouser", "--source", "trouser"]);
    let both = teach(dir, &["bag", "--source", "bag"]);
    assert!(both["accuracy"].as_f64().unwrap() > 0.5, "{both}");
    let kept = fs::read(dir.join("m.taught")).unwrap();
    // The model is replaced: what was taught of the other means nothing to it.
    model(dir);
    let arguments = ["--model", "m.onnx", "--source", "bag"];
    refused(dir, &arguments, 4, "another model: m (");
    refused(
        dir,
        &[&["teach", "x"][..], &arguments].concat(),
        4,
        "another model",
    );
    assert_eq!(fs::read(dir.join("m.taught")).unwrap(), kept);
    let mut damaged = kept.clone();
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(dir.join("m.taught"), &damaged).unwrap();
    refused(dir, &arguments, 4, "checksum");
}

#[test]
fn what_cannot_be_shown_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    model(dir);
    for (arguments, culprit) in [
        (&["teach", "mug"][..], "--source"),
        (&["teach", "mug", "--source", "pattern"], "--taught"),
        (
            &["teach", " ", "--source", "pattern", "--model", "m.onnx"],
            "expected a name",
        ),
        (
            &["teach", "mug", "--examples", "0", "--source", "pattern"],
            "examples 0",
        ),
        (&["teach", "--source", "pattern"], "LABEL"),
        (
            &["teach", "mug", "--source", "pattern", "--control", "c"],
            "leave one of them out",
        ),
        (&["list"], "--taught"),
        (&["list", "--control", "nobody"], "no igpt-cam listens"),
    ] {
        let output = run(dir, arguments);
        let errors = text(&output.stderr);
        assert!(!output.status.success(), "{arguments:?}");
        assert!(errors.contains(culprit), "{arguments:?}: {errors}");
        assert!(!errors.contains("panicked"), "{errors}");
    }
    assert!(!dir.join("m.taught").exists());
}

/// An app that runs and listens.
struct Running {
    child: Child,
    socket: PathBuf,
}

impl Running {
    fn start(dir: &Path, source: &str) -> Self {
        let socket = dir.join("control");
        let child = cam(dir)
            .args(["--model", "m.onnx", "--json", "--control", "control"])
            .args(["--source", source, "--interval", "20ms"])
            .stdin(Stdio::null())
            .stdout(fs::File::create(dir.join("out.jsonl")).unwrap())
            .stderr(fs::File::create(dir.join("log")).unwrap())
            .spawn()
            .unwrap();
        let running = Self { child, socket };
        let begun = Instant::now();
        while UnixStream::connect(&running.socket).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(30), "nobody listens");
            thread::sleep(Duration::from_millis(20));
        }
        running
    }

    /// Asks on a connection of its own, and gives all answers.
    fn ask(&self, request: &str) -> Vec<Value> {
        let mut stream = UnixStream::connect(&self.socket).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        writeln!(stream, "{request}").unwrap();
        let mut answers = Vec::new();
        for line in BufReader::new(stream).lines() {
            let answer: Value = serde_json::from_str(&line.unwrap()).unwrap();
            let last = answer["event"] != "example";
            answers.push(answer);
            if last {
                break;
            }
        }
        answers
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_running_app_is_taught_over_its_socket() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    model(dir);
    let mut app = Running::start(dir, "pattern:64x48");
    let mode = fs::metadata(&app.socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let status = app.ask(r#"{"do":"status"}"#).pop().unwrap();
    assert!(
        status["model"].as_str().unwrap().starts_with("m ("),
        "{status}"
    );
    assert_eq!(status["classes"], json!([]));

    let shown = app.ask(r#"{"do":"teach","label":"pattern","examples":3,"interval":0.1}"#);
    assert_eq!(shown.last().unwrap()["event"], "done", "{shown:?}");
    assert!(shown.len() >= 2);
    assert_eq!(shown[0]["label"], "pattern");
    // While it is being shown nothing else can be.
    let mut long = UnixStream::connect(&app.socket).unwrap();
    writeln!(
        long,
        r#"{{"do":"teach","none":true,"examples":500,"interval":1}}"#
    )
    .unwrap();
    let mut answers = BufReader::new(long.try_clone().unwrap()).lines();
    answers.next().unwrap().unwrap();
    let busy = app.ask(r#"{"do":"teach","label":"x"}"#).pop().unwrap();
    assert!(
        busy["error"].as_str().unwrap().contains("is being shown"),
        "{busy}"
    );
    drop(answers);
    drop(long);
    // Whoever showed it went away: the next frame ends it.
    let begun = Instant::now();
    while app.ask(r#"{"do":"status"}"#).pop().unwrap()["teaching"] != Value::Null {
        assert!(begun.elapsed() < Duration::from_secs(30));
        thread::sleep(Duration::from_millis(50));
    }
    for (request, said) in [
        ("nonsense", "expected an object"),
        (r#"{"do":"forget","label":"cup"}"#, "was not taught"),
        (r#"{"do":"teach","label":"a\nb"}"#, "control characters"),
        (r#"{"do":"export","file":"x.onnx"}"#, "a full path"),
    ] {
        let answer = app.ask(request).pop().unwrap();
        assert!(answer["error"].as_str().unwrap().contains(said), "{answer}");
    }
    // The client of the same program.
    let client = run(dir, &["list", "--control", "control"]);
    assert!(
        text(&client.stdout).contains("pattern "),
        "{}",
        text(&client.stderr)
    );
    let client = run(
        dir,
        &[
            "teach",
            "again",
            "--examples",
            "2",
            "--interval",
            "50ms",
            "--control",
            "control",
        ],
    );
    assert!(
        text(&client.stdout).contains("again 1 of 2"),
        "{}",
        text(&client.stdout)
    );

    // A second app at the same socket is refused; the first one's stays.
    refused(
        dir,
        &[
            "--model",
            "m.onnx",
            "--source",
            "pattern",
            "--control",
            "control",
        ],
        5,
        "another program listens",
    );
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&app.child),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    assert!(app.child.wait().unwrap().success());
    assert!(!app.socket.exists(), "the socket goes with the app");
    let events = lines(&fs::read(dir.join("out.jsonl")).unwrap());
    let swap = events.iter().position(|e| e["event"] == "taught").unwrap();
    assert!(
        events[..swap]
            .iter()
            .any(|e| e["event"] == "verdict" && e.get("taught").is_none())
    );
    let after = events[swap..]
        .iter()
        .find(|e| e["event"] == "verdict")
        .unwrap();
    assert_eq!(after["taught"]["label"], "pattern", "{after}");
    assert!(
        fs::read_to_string(dir.join("log"))
            .unwrap()
            .contains("taught: pattern")
    );
}

#[test]
fn a_file_that_cannot_be_written_leaves_what_was_taught() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    photos(dir, &["trouser", "bag"]);
    model(dir);
    teach(dir, &["trouser", "--source", "trouser"]);
    let before = fs::read(dir.join("m.taught")).unwrap();
    // As a power cut leaves it: the next file half written.
    fs::write(dir.join("m.taught.new"), &before[..20]).unwrap();
    teach(dir, &["bag", "--source", "bag"]);
    assert_ne!(fs::read(dir.join("m.taught")).unwrap(), before);
    assert!(!dir.join("m.taught.new").exists());
    let before = fs::read(dir.join("m.taught")).unwrap();
    fs::create_dir(dir.join("m.taught.new")).unwrap();
    refused(dir, &["undo", "--model", "m.onnx"], 1, "m.taught");
    assert_eq!(fs::read(dir.join("m.taught")).unwrap(), before);
}
