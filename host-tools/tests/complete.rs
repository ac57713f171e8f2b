//! `igpt complete` as its user sees it: transformers' completions, pictures that hold what they say, nonsense refused.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use igpt_runtime::image_io;
use npyz::npz::NpzArchive;
use serde_json::Value;
use tempfile::TempDir;

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn complete(output: &Path) -> Command {
    let mut command = Command::cargo_bin("igpt").unwrap();
    command.arg("complete").arg("-m");
    command
        .arg(root("models/fashion-mnist/lm"))
        .arg("-o")
        .arg(output);
    command
}

fn sample(name: &str) -> PathBuf {
    root("models/fashion-mnist/sample").join(name)
}

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("grid.png");
    (folder, output)
}

fn report(command: &mut Command) -> Value {
    serde_json::from_slice(&command.arg("--json").unwrap().stdout).unwrap()
}

#[test]
fn greedy_completions_in_f32_are_those_of_transformers() {
    let sources = fs::read(root("tests/golden/default/sources.json")).unwrap();
    let sources: Value = serde_json::from_slice(&sources).unwrap();
    let images = sources["images"].as_array().unwrap().iter();
    let images = images.map(|name| sample(name.as_str().unwrap()));
    let mut npz = NpzArchive::open(root("tests/golden/default/lm.npz")).unwrap();
    let expected = npz.by_name("greedy").unwrap().unwrap();
    let length = expected.shape()[1] as usize;
    let expected = expected.into_vec::<i64>().unwrap();

    let (_folder, output) = folder();
    let report = report(
        complete(&output)
            .args(images)
            .args(["--greedy", "--dtype", "f32"]),
    );
    assert_eq!(report["rows"], 7);
    let found = report["completions"].as_array().unwrap();
    assert_eq!(found.len(), expected.len() / length);
    for (found, expected) in found.iter().zip(expected.chunks_exact(length)) {
        // transformers has the start token before the picture.
        assert_eq!(
            found["samples"][0],
            Value::from(&expected[1..]),
            "{}",
            found["image"]
        );
    }
}

#[test]
fn the_picture_holds_the_original_the_given_rows_and_the_samples() {
    let (_folder, output) = folder();
    let images = [sample("0000-ankle-boot.png"), sample("0008-sandal.png")];
    let how = ["--rows", "5", "-n", "3", "--scale", "2", "--seed", "9"];
    let report = report(complete(&output).args(images).args(how));
    assert_eq!(report["tokens"], 2 * 3 * 9 * 14);
    let picture = image_io::decode_file(&output).unwrap();
    let cell = 14 * 2 + 4;
    assert_eq!(
        (picture.width(), picture.height()),
        (4 + 5 * cell, 4 + 2 * cell)
    );
    let pixel = |column: usize, row: usize, x: usize, y: usize| {
        let at = (4 + row * cell + 2 * y) * picture.width() + 4 + column * cell + 2 * x;
        &picture.rgb()[3 * at..3 * at + 3]
    };
    for row in 0..2 {
        for (x, y) in (0..14).flat_map(|x| (0..14).map(move |y| (x, y))) {
            let given = pixel(1, row, x, y);
            if y >= 5 {
                assert_eq!(given, [160; 3], "unknown to the model");
                continue;
            }
            for column in [0, 2, 3, 4] {
                assert_eq!(
                    pixel(column, row, x, y),
                    given,
                    "column {column} of {row}: {x}, {y}"
                );
            }
        }
    }
    let samples = report["completions"][0]["samples"].as_array().unwrap();
    assert_ne!(samples[0], samples[1], "each draws for itself");
}

#[test]
fn samples_depend_on_the_seed_and_not_on_threads_or_company() {
    let (_folder, output) = folder();
    let samples = |arguments: &[&str]| {
        let report = report(complete(&output).args(arguments));
        report["completions"][0]["samples"]
            .as_array()
            .unwrap()
            .clone()
    };
    let three = samples(&["-n", "3", "--threads", "1"]);
    assert_eq!(three, samples(&["-n", "3", "--threads", "3"]));
    assert_eq!(three[..1], samples(&["-n", "1"]));
    assert_ne!(three, samples(&["-n", "3", "--seed", "1"]));
    // The likeliest token alone is left by each of these.
    let cold = samples(&["-n", "1", "--temperature", "0.0001"]);
    assert_eq!(cold, samples(&["--greedy"]));
    assert_eq!(cold, samples(&["-n", "1", "--top-k", "1"]));
    assert_eq!(cold, samples(&["-n", "1", "--top-p", "0.0001"]));
}

#[test]
fn nonsense_is_refused_by_name() {
    let (folder, output) = folder();
    let text = folder.path().join("notes.txt");
    fs::write(&text, "no picture").unwrap();
    let refuse = |arguments: &[&Path], code: i32, words: &str| {
        let assert = complete(&output).args(arguments).assert().code(code);
        let error = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        assert!(error.contains(words), "{error} does not say {words}");
        assert!(!output.exists(), "{words}: a picture all the same");
    };
    let boot = sample("0000-ankle-boot.png");
    refuse(&[&boot, "--rows".as_ref(), "14".as_ref()], 3, "0 to 13");
    refuse(&["--rows".as_ref(), "3".as_ref()], 2, "IMAGES");
    refuse(&["-n".as_ref(), "0".as_ref()], 2, "samples");
    refuse(
        &["--greedy".as_ref(), "--seed".as_ref(), "1".as_ref()],
        2,
        "--seed",
    );
    refuse(
        &["--temperature".as_ref(), "0".as_ref()],
        2,
        "--temperature",
    );
    refuse(&["--top-p".as_ref(), "1.5".as_ref()], 2, "--top-p");
    refuse(
        &[
            "-n".as_ref(),
            "65535".as_ref(),
            "--scale".as_ref(),
            "999".as_ref(),
        ],
        3,
        "pixels",
    );
    refuse(&[&text], 3, "notes.txt");
    refuse(&[&folder.path().join("nowhere.png")], 3, "nowhere.png");
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    refuse(&[&empty], 3, "no image in it");
    let mut dtype = Command::cargo_bin("igpt").unwrap();
    let lm = folder.path().join("lm.onnx");
    let checkpoint = root("models/fashion-mnist/lm");
    dtype.arg("quantize").arg(checkpoint).arg("-o").arg(&lm);
    dtype.assert().success();
    let mut dtype = Command::cargo_bin("igpt").unwrap();
    dtype
        .arg("complete")
        .arg(&lm)
        .args(["--dtype", "f32", "-o"]);
    dtype.arg(&output).assert().code(2);
    // A classifier predicts no token.
    let mut command = Command::cargo_bin("igpt").unwrap();
    command.args(["complete", "-m"]);
    command.arg(root("models/fashion-mnist/igpt-fashion-mnist-int8.onnx"));
    command.arg("-o").arg(&output).assert().code(3);
}
