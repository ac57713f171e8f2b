//! What to do next is part of a refusal.

use std::path::Path;
use std::process::Command;

/// What `igpt` says where it refuses an input.
fn refusal(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_igpt"));
    let output = command.current_dir(folder).args(arguments).output();
    let output = output.unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{arguments:?}: {message}");
    message
}

fn root(path: &str) -> String {
    format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn a_word_that_is_no_path_may_be_half_of_a_name_on_the_hub() {
    let folder = tempfile::tempdir().unwrap();
    let model = root("models/fashion-mnist/igpt-fashion-mnist-int8.onnx");
    let sample = root("models/fashion-mnist/sample/0000-ankle-boot.png");
    for picture in ["Bag/1.png", "Bag/2.png", "Coat/3.png", "Coat/4.png"] {
        let picture = folder.path().join("photos").join(picture);
        std::fs::create_dir_all(picture.parent().unwrap()).unwrap();
        std::fs::copy(&sample, picture).unwrap();
    }
    let hint = "imagegpt-small: no such file or folder; a model on the hub is called OWNER/NAME, such as \
                openai/imagegpt-small";
    for arguments in [
        &["probe", "imagegpt-small", "--data", "photos"][..],
        &["quantize", "imagegpt-small", "-o", "made.onnx"],
        &[
            "eval",
            &model,
            "--data",
            "photos",
            "--against",
            "imagegpt-small",
        ],
        &["classify", "imagegpt-small", &sample],
        &["complete", "imagegpt-small", &sample, "-o", "made.png"],
        &["bench", "imagegpt-small"],
    ] {
        let message = refusal(folder.path(), arguments);
        assert!(message.contains(hint), "{arguments:?}: {message}");
    }
    for (nearly, name) in [
        (
            "https://huggingface.co/openai/imagegpt-small",
            "OWNER/NAME, here openai/imagegpt-small",
        ),
        (
            "https://huggingface.co/a/b/tree/main",
            "OWNER/NAME, here a/b",
        ),
        (
            "huggingface.co/a/b/blob/main/config.json",
            "OWNER/NAME, here a/b",
        ),
        ("hf://x/y", "OWNER/NAME, here x/y"),
        (
            "x/y@",
            "OWNER/NAME, or OWNER/NAME@REVISION with a branch, tag or commit, here x/y",
        ),
        (
            "https://example.com",
            "OWNER/NAME, such as openai/imagegpt-small",
        ),
    ] {
        let message = refusal(folder.path(), &["quantize", nearly, "-o", "made.onnx"]);
        let words =
            format!("{nearly}: no such file or folder; a model on the hub is called {name}");
        assert!(message.contains(&words), "{nearly}: {message}");
    }
    // A model file and a path are no names on the hub.
    for path in ["nowhere.onnx", "./nowhere", "a/b/nowhere"] {
        let message = refusal(folder.path(), &["classify", path, &sample]);
        assert!(message.contains("nowhere"), "{path}: {message}");
        assert!(!message.contains("OWNER/NAME"), "{path}: {message}");
    }
}

#[test]
fn a_checkpoint_in_a_model_files_place_is_to_be_quantized() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("clf")).unwrap();
    let sample = root("models/fashion-mnist/sample/0000-ankle-boot.png");
    for arguments in [
        &["inspect", "clf"][..],
        &["run", "clf", &sample, "-o", "made.npz"],
    ] {
        let message = refusal(folder.path(), arguments);
        let hint =
            "clf: is a folder, expected a model file; of a checkpoint `igpt quantize` makes one";
        assert!(message.contains(hint), "{message}");
    }
}

#[test]
fn pictures_to_calibrate_on_need_what_tokens_only_leaves_out() {
    let folder = tempfile::tempdir().unwrap();
    let clf = root("tests/golden/checkpoint/safetensors");
    let mut command = Command::new(env!("CARGO_BIN_EXE_igpt"));
    let line = [
        "quantize",
        &clf,
        "--tokens-only",
        "--calibrate",
        "photos",
        "-o",
        "made.onnx",
    ];
    let output = command
        .current_dir(folder.path())
        .args(line)
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("or do without --tokens-only"), "{message}");
}

#[test]
fn a_model_without_an_image_processor_says_how_to_get_one() {
    let folder = tempfile::tempdir().unwrap();
    let clf = root("tests/golden/checkpoint/safetensors");
    let mut command = Command::new(env!("CARGO_BIN_EXE_igpt"));
    let line = [
        "quantize",
        &clf,
        "--task",
        "classify",
        "--tokens-only",
        "-o",
        "m.onnx",
    ];
    let made = command.current_dir(folder.path()).args(line).status();
    assert!(made.unwrap().success());
    let sample = root("models/fashion-mnist/sample/0000-ankle-boot.png");
    let message = refusal(folder.path(), &["classify", "m.onnx", &sample]);
    assert!(
        message.contains("--processor-config FILE.json"),
        "{message}"
    );
    assert!(!message.contains("metadata has no"), "{message}");
}

#[test]
fn too_few_colours_come_with_the_number_that_serves() {
    let folder = tempfile::tempdir().unwrap();
    let samples = root("models/fashion-mnist/sample");
    let palette = |colors: &str| {
        let line = ["palette", &samples, "--colors", colors, "-o", "p.json"];
        refusal(folder.path(), &line)
    };
    let message = palette("600");
    let (_, number) = message.split_once("; say --colors ").unwrap();
    let number = number.split_once(" or fewer").unwrap().0;
    let mut command = Command::new(env!("CARGO_BIN_EXE_igpt"));
    let line = ["palette", &samples, "--colors", number, "-o", "p.json"];
    let made = command.current_dir(folder.path()).args(line).status();
    assert!(made.unwrap().success(), "{message}");
}

#[test]
fn pictures_without_classes_are_counted_once_and_the_forms_named() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["1.png", "2.png", "notes.txt"] {
        std::fs::write(folder.path().join(name), "").unwrap();
    }
    let model = root("models/fashion-mnist/igpt-fashion-mnist-int8.onnx");
    let message = refusal(folder.path(), &["eval", &model, "--data", "."]);
    let words = "expected one for each class, called as the class, or IDX files, or in its place a CSV of \
                 file_name and label (docs/data.md); it holds 2 pictures; passed over 1: ";
    assert!(message.contains(words), "{message}");
}
