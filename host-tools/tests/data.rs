//! Data sets as their user has them: splits, links, notes among the pictures, pointers of Git LFS.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/fashion-mnist")
}

fn model() -> PathBuf {
    models().join("igpt-fashion-mnist-int8.onnx")
}

const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n";

/// The sample images of three classes as `folder/class`. Their names are 0002-trouser.png.
fn classes(folder: &Path) -> usize {
    let mut count = 0;
    for entry in fs::read_dir(models().join("sample")).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        if ["bag", "coat", "trouser"].contains(&&stem[5..]) {
            let class = folder.join(&stem[5..]);
            fs::create_dir_all(&class).unwrap();
            fs::copy(&path, class.join(path.file_name().unwrap())).unwrap();
            count += 1;
        }
    }
    count
}

fn igpt(verb: &str, model: &Path, data: &Path) -> Command {
    let mut command = Command::cargo_bin("igpt").unwrap();
    command.arg(verb).arg(model).arg("--data").arg(data);
    command
}

fn report(mut command: Command) -> Value {
    serde_json::from_slice(&command.arg("--json").unwrap().stdout).unwrap()
}

/// What standard error says of a failure whose exit code is 3.
fn refusal(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn the_right_split_is_measured_and_what_is_no_picture_is_named() {
    let data = tempfile::tempdir().unwrap();
    let at = |name: &str| data.path().join(name);
    let images = classes(&at("Train"));
    classes(&at("valid"));
    fs::write(at("valid/bag/.DS_Store"), "").unwrap();
    fs::write(at("valid/bag/notes.txt"), "").unwrap();
    fs::write(at("valid/coat/later.png"), POINTER).unwrap();
    let found = report(igpt("eval", &model(), data.path()));
    assert_eq!(
        (&found["images"], &found["split"]),
        (&images.into(), &"valid".into())
    );
    assert_eq!(found["passed_over_files"], 2);
    let name = |file: &str| Value::from(at(file).to_str().unwrap());
    let expected = serde_json::json!([
        {"file": name("valid/bag/.DS_Store"), "reason": "is hidden"},
        {"file": name("valid/bag/notes.txt"), "reason": "is no picture by its name"},
    ]);
    assert_eq!(found["passed_over"], expected);
    let skipped = found["skipped"][0]["reason"].as_str().unwrap();
    assert!(
        skipped.contains("is a Git LFS pointer") && skipped.contains("git lfs pull"),
        "{skipped}"
    );
    let text = igpt("eval", &model(), data.path()).unwrap().stdout;
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("passed over 2: 1 hidden ("), "{text}");
    assert!(
        text.contains(&format!("images of {} (valid)", data.path().display())),
        "{text}"
    );
    let found = report(igpt("probe", &model(), data.path()));
    assert_eq!(
        found["classes"],
        serde_json::json!(["bag", "coat", "trouser"])
    );
    assert_eq!(
        (&found["train_split"], &found["test_split"]),
        (&"Train".into(), &"valid".into())
    );
    assert_eq!(
        (&found["train_images"], &found["test_images"]),
        (&images.into(), &images.into())
    );
    fs::create_dir(at("photos")).unwrap();
    fs::copy(models().join("sample/0002-trouser.png"), at("photos/1.png")).unwrap();
    for verb in ["eval", "probe"] {
        let error = refusal(igpt(verb, &model(), data.path()));
        assert!(error.contains("but beside them there is photos"), "{error}");
    }
}

#[test]
fn a_table_and_a_model_that_are_pointers_are_named() {
    let data = tempfile::tempdir().unwrap();
    for name in ["labels.csv", "model.onnx", "t10k-images-idx3-ubyte"] {
        fs::write(data.path().join(name), POINTER).unwrap();
    }
    classes(&data.path().join("photos"));
    for (model, data) in [
        (model(), data.path().join("labels.csv")),
        (model(), data.path().join("t10k-images-idx3-ubyte")),
        (data.path().join("model.onnx"), data.path().join("photos")),
    ] {
        let error = refusal(igpt("eval", &model, &data));
        assert!(
            error.contains(": is a Git LFS pointer, not the file"),
            "{error}"
        );
    }
}

#[test]
fn calibration_takes_the_training_split_and_quantize_what_lightning_saved() {
    let folder = tempfile::tempdir().unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden");
    let at = |name: &str| folder.path().join(name);
    for name in ["config.json", "preprocessor_config.json"] {
        fs::copy(golden.join("checkpoint/safetensors").join(name), at(name)).unwrap();
    }
    fs::copy(
        golden.join("training/lightning/pytorch_model.bin"),
        at("pytorch_model.bin"),
    )
    .unwrap();
    classes(&at("data/train"));
    fs::create_dir(at("data/test")).unwrap();
    fs::write(at("data/test/never-read.png"), POINTER).unwrap();
    let quantize = |checkpoint: &Path, output: &str| {
        let mut command = Command::cargo_bin("igpt").unwrap();
        command
            .arg("quantize")
            .arg(checkpoint)
            .arg("--strict")
            .arg("--calibrate")
            .arg(at("data"));
        command.arg("-o").arg(at(output)).assert().success();
        fs::read(at(output)).unwrap().len()
    };
    let lightning = quantize(folder.path(), "lightning.onnx");
    let plain = quantize(&golden.join("checkpoint/safetensors"), "plain.onnx");
    // They differ by the names and checksums of their sources.
    assert!(
        lightning.abs_diff(plain) < 200,
        "{lightning} and {plain} bytes"
    );
}

#[test]
fn parts_by_other_names_and_one_picture_are_refused_and_a_tables_column_is_followed() {
    let data = tempfile::tempdir().unwrap();
    let at = |name: &str| data.path().join(name);
    let images = classes(&at("parts/trn"));
    classes(&at("parts/tst"));
    for verb in ["eval", "probe"] {
        let error = refusal(igpt(verb, &model(), &at("parts")));
        assert!(
            error.contains("trn and tst hold no pictures themselves")
                && error.contains("(bag, coat and trouser)"),
            "{error}"
        );
        let error = refusal(igpt(
            verb,
            &model(),
            &models().join("sample/0002-trouser.png"),
        ));
        assert!(
            error.contains("is one picture by its name, expected a data set")
                && error.contains("`igpt classify`"),
            "{error}"
        );
    }
    // A picture in PAM is among those that are read.
    let pam = b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 1\nMAXVAL 255\nTUPLTYPE GRAYSCALE\nENDHDR\n\x80";
    fs::write(at("parts/tst/bag/grey.pam"), pam).unwrap();
    let mut table = "file_name,label,split\n".to_owned();
    for part in ["trn", "tst"] {
        for class in ["bag", "coat", "trouser"] {
            for entry in fs::read_dir(at("parts").join(part).join(class)).unwrap() {
                let file = entry.unwrap().path();
                let split = if part == "trn" { "train" } else { "test" };
                table += &format!("{},{class},{split}\n", file.display());
            }
        }
    }
    fs::write(at("labels.csv"), table).unwrap();
    let found = report(igpt("eval", &model(), &at("labels.csv")));
    assert_eq!(
        (&found["images"], &found["split"], &found["skipped_images"]),
        (&(images + 1).into(), &"test".into(), &0.into())
    );
    let found = report(igpt("probe", &model(), &at("labels.csv")));
    assert_eq!(
        (
            &found["train_images"],
            &found["test_images"],
            &found["train_split"],
            &found["test_split"]
        ),
        (
            &images.into(),
            &(images + 1).into(),
            &"train".into(),
            &"test".into()
        )
    );
}
