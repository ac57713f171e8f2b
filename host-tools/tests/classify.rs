//! `igpt classify` as its user sees it, and every verb on pictures that cannot be read.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use igpt_runtime::{ImageGptForImageClassification, LoadOptions, image_io};
use serde_json::Value;
use tempfile::TempDir;

fn model(name: &str) -> PathBuf {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/fashion-mnist");
    models.join(name)
}

fn igpt() -> Command {
    Command::cargo_bin("igpt").unwrap()
}

fn classify(images: &Path) -> Command {
    let mut command = igpt();
    command
        .arg("classify")
        .arg(model("igpt-fashion-mnist-int8.onnx"))
        .arg(images);
    command
}

fn json(command: &mut Command) -> Value {
    serde_json::from_slice(&command.arg("--json").unwrap().stdout).unwrap()
}

fn refusal(command: &mut Command, code: i32) -> String {
    let refused = command.assert().code(code);
    String::from_utf8_lossy(&refused.get_output().stderr).into_owned()
}

/// Two classes of four pictures each, and one in the first that is none.
fn photos() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let samples = fs::read_dir(model("sample"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut samples: Vec<PathBuf> = samples.collect();
    samples.sort();
    for (index, sample) in samples.iter().take(8).enumerate() {
        let class = folder.path().join(["Coat", "Dress"][index % 2]);
        fs::create_dir_all(&class).unwrap();
        fs::copy(sample, class.join(format!("{index}.png"))).unwrap();
    }
    fs::write(folder.path().join("Coat/bad.png"), "no picture").unwrap();
    folder
}

#[test]
fn labels_and_probabilities_are_the_models() {
    let path = model("igpt-fashion-mnist-int8.onnx");
    let runtime = ImageGptForImageClassification::load(path, &LoadOptions::default()).unwrap();
    let report = json(classify(&model("sample")).args(["--top-k", "4"]));
    let verdicts = report["verdicts"].as_array().unwrap();
    assert_eq!((verdicts.len(), &report["images"]), (24, &24.into()));
    assert_eq!(
        (&report["skipped_images"], &report["skipped"]),
        (&0.into(), &serde_json::json!([]))
    );
    for verdict in verdicts {
        let image = image_io::decode_file(verdict["file"].as_str().unwrap()).unwrap();
        let mut session = runtime.session().unwrap();
        let expected = session
            .classify_rgb8(image.rgb(), image.width(), image.height())
            .unwrap()
            .top_k(4);
        let top = verdict["top"].as_array().unwrap();
        assert_eq!(top.len(), 4);
        for (found, expected) in top.iter().zip(&expected) {
            assert_eq!(found["label"], expected.label.as_str());
            assert_eq!(found["class"], expected.index);
            assert_eq!(
                found["probability"].as_f64().unwrap() as f32,
                expected.score.number()
            );
        }
        assert_eq!(verdict["label"], top[0]["label"]);
    }
    let boot = model("sample/0000-ankle-boot.png");
    let text = String::from_utf8(classify(&boot).unwrap().stdout).unwrap();
    let start = format!("{}: Ankle boot ", boot.display());
    assert!(
        text.starts_with(&start) && text.matches(" %").count() == 3,
        "{text}"
    );
}

#[test]
fn what_it_cannot_do_comes_with_the_next_step() {
    let boot = model("sample/0000-ankle-boot.png");
    let folder = tempfile::tempdir().unwrap();
    let lm = folder.path().join("lm.onnx");
    igpt()
        .arg("quantize")
        .arg(model("lm"))
        .arg("-o")
        .arg(&lm)
        .assert()
        .success();
    let message = refusal(igpt().arg("classify").arg(&lm).arg(&boot), 3);
    let step = format!("`igpt probe {} --data IMAGES -o ", lm.display());
    assert!(
        message.contains("made for task causal") && message.contains(&step),
        "{message}"
    );
    // A checkpoint of a language model has no classifier's head.
    let message = refusal(igpt().arg("classify").arg(model("lm")).arg(&boot), 3);
    assert!(
        message.contains("no score.weight") && message.contains("`igpt probe "),
        "{message}"
    );
    let mut quantize = igpt();
    quantize
        .arg("quantize")
        .arg(model("lm"))
        .args(["--task", "classify", "-o"])
        .arg(&lm);
    let message = refusal(&mut quantize, 3);
    assert!(
        message.contains("no score.weight") && message.contains("`igpt probe "),
        "{message}"
    );
    let clf = model("igpt-fashion-mnist-int8.onnx");
    let mut complete = igpt();
    complete
        .arg("complete")
        .arg(&clf)
        .arg("-o")
        .arg(folder.path().join("x.png"));
    let message = refusal(&mut complete, 3);
    assert!(
        message.contains("task classify") && message.contains("--task causal"),
        "{message}"
    );
    let mut complete = igpt();
    complete
        .arg("complete")
        .arg(model("clf"))
        .arg("-o")
        .arg(folder.path().join("x.png"));
    let message = refusal(&mut complete, 3);
    assert!(message.contains("no lm_head.weight"), "{message}");

    refusal(&mut classify(&folder.path().join("nowhere.png")), 3);
    refusal(classify(&boot).args(["--top-k", "0"]), 2);
    let message = refusal(&mut classify(&folder.path().join("nowhere.png")), 3);
    assert!(message.contains("nowhere.png: No such file"), "{message}");
}

#[test]
fn a_checkpoint_without_its_image_processor_is_refused_unless_tokens_will_do() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("checkpoint")).unwrap();
    for file in ["config.json", "model.safetensors"] {
        fs::copy(model("clf").join(file), at("checkpoint").join(file)).unwrap();
    }
    let quantize = |rest: &[&str]| {
        let mut command = igpt();
        command.current_dir(folder.path());
        command
            .args(["quantize", "checkpoint", "-o", "m.onnx"])
            .args(rest);
        command
    };
    let message = refusal(&mut quantize(&[]), 3);
    for words in [
        "no preprocessor_config.json",
        "--processor-config FILE.json",
        "--tokens-only",
    ] {
        assert!(message.contains(words), "{words}: {message}");
    }
    assert!(!at("m.onnx").exists());
    let report = json(&mut quantize(&["--tokens-only"]));
    assert_eq!(report["takes_images"], false);
    let boot = model("sample/0000-ankle-boot.png");
    let run = |verb: &str| {
        let mut command = igpt();
        command
            .current_dir(folder.path())
            .args([verb, "m.onnx"])
            .arg(&boot);
        command.args(if verb == "run" {
            &["-o", "x.npz"][..]
        } else {
            &[]
        });
        command
    };
    let message = refusal(&mut run("run"), 3);
    assert!(message.contains("--tokens FILE.npy"), "{message}");
    refusal(&mut run("classify"), 3);
    let own = model("clf/preprocessor_config.json");
    let report = json(&mut quantize(&[
        "--processor-config",
        own.to_str().unwrap(),
    ]));
    assert_eq!(report["takes_images"], true);
    run("classify").assert().success();
    // Features may be all that is wanted: a warning.
    let features = quantize(&["--task", "features"]).assert().success();
    let message = String::from_utf8_lossy(&features.get_output().stderr).into_owned();
    assert!(message.contains("takes tokens and no images"), "{message}");
}

#[test]
fn one_bad_picture_is_skipped_named_and_counted_by_every_verb() {
    let photos = photos();
    let out = tempfile::tempdir().unwrap();
    let file = model("igpt-fashion-mnist-int8.onnx");
    let file = file.to_str().unwrap();
    let (lm, clf) = (model("lm"), model("clf"));
    let runs: [(&[&str], &str, u64); 7] = [
        (&["classify", file, "photos"], "images", 8),
        (&["eval", file, "--data", "photos"], "images", 8),
        (
            &[
                "eval",
                file,
                "--data",
                "photos",
                "--against",
                clf.to_str().unwrap(),
            ],
            "images",
            8,
        ),
        (
            &["probe", file, "--data", "photos", "--test", "photos"],
            "train_images",
            8,
        ),
        (
            &["palette", "photos", "--colors", "4", "-o", "p.json"],
            "images",
            8,
        ),
        (
            &[
                "complete",
                lm.to_str().unwrap(),
                "photos",
                "--greedy",
                "--rows",
                "13",
                "-o",
                "g.png",
            ],
            "rows",
            13,
        ),
        (
            &[
                "quantize",
                clf.to_str().unwrap(),
                "--calibrate",
                "photos",
                "--calibrate-images",
                "9",
                "-o",
                "m.onnx",
            ],
            "file_bytes",
            0,
        ),
    ];
    let at = out.path().join("photos");
    fs::rename(photos.path(), &at).unwrap();
    for (arguments, key, count) in runs {
        let run = || {
            let mut command = igpt();
            command.current_dir(out.path()).args(arguments);
            command
        };
        let output = run().arg("--json").assert().success().get_output().clone();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        if count > 0 {
            assert_eq!(report[key], count, "{arguments:?}");
        }
        let parts = if arguments[0] == "probe" { 2 } else { 1 };
        assert_eq!(report["skipped_images"], parts, "{arguments:?}");
        let skipped = &report["skipped"][0];
        assert_eq!(skipped["file"], "photos/Coat/bad.png");
        let reason = skipped["reason"].as_str().unwrap();
        assert!(
            !reason.is_empty() && !reason.contains("bad.png"),
            "{reason}"
        );
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            told.contains("igpt: skipped photos/Coat/bad.png: "),
            "{arguments:?}: {told}"
        );
        let message = refusal(run().arg("--strict"), 3);
        assert!(message.contains("bad.png"), "{arguments:?}: {message}");
        assert!(!message.contains("skipped"), "{arguments:?}: {message}");
    }
    // Nothing that can be read is no success.
    fs::create_dir_all(out.path().join("bad/Coat")).unwrap();
    fs::write(out.path().join("bad/Coat/1.png"), "no picture").unwrap();
    for arguments in [
        &["classify", file, "bad"][..],
        &["eval", file, "--data", "bad"],
        &["palette", "bad", "-o", "p.json"],
    ] {
        let message = refusal(igpt().current_dir(out.path()).args(arguments), 3);
        assert!(
            message.contains("no picture can be read"),
            "{arguments:?}: {message}"
        );
    }
}
