//! `igpt probe` as its user sees it: folders and IDX, every layer scored, a file that does what the probe said, nonsense refused.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use igpt_runtime::{ImageGptForImageClassification, LoadOptions, image_io};
use serde_json::Value;

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/fashion-mnist")
}

fn probe(data: &Path) -> Command {
    let mut command = Command::cargo_bin("igpt").unwrap();
    let model = models().join("igpt-fashion-mnist-int8.onnx");
    command.arg("probe").arg(model).arg("--data").arg(data);
    command
}

/// The sample images, a folder a class. Their names are 0002-trouser.png.
fn folders() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(models().join("sample")).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let class = folder.path().join(&stem[5..]);
        fs::create_dir_all(&class).unwrap();
        fs::copy(&path, class.join(path.file_name().unwrap())).unwrap();
    }
    folder
}

/// Two classes of 14 x 14 pictures that differ in the half that is bright.
fn idx(folder: &Path, stem: &str, count: u8) {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for index in 0..count {
        let class = index % 2;
        labels.push(class);
        pixels.extend((0..196usize).map(|i| {
            let bright = (i % 14 < 7) == (class == 0);
            ((i * 7 + usize::from(index) * 31) % 50) as u8 + if bright { 200 } else { 0 }
        }));
    }
    let images = [
        &[0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, 14, 0, 0, 0, 14][..],
        &pixels,
    ]
    .concat();
    fs::write(folder.join(format!("{stem}-images-idx3-ubyte")), images).unwrap();
    let labels = [&[0, 0, 8, 1, 0, 0, 0, count][..], &labels].concat();
    fs::write(folder.join(format!("{stem}-labels-idx1-ubyte")), labels).unwrap();
}

#[test]
fn the_written_file_classifies_as_the_probe_says() {
    let data = folders();
    let out = tempfile::tempdir().unwrap();
    let at = |name: &str| out.path().join(name);
    let mut command = probe(data.path());
    command
        .arg("--test")
        .arg(data.path())
        .args(["--layer", "3", "--json", "-o"]);
    command
        .arg(at("cut.onnx"))
        .arg("--plot")
        .arg(at("layers.svg"));
    let output = command.arg("--features").arg(at("f.npz")).unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&report["train_images"], &report["test_images"]),
        (&24.into(), &24.into())
    );
    let layers = report["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 7);
    // More channels than images: a block's features take them apart.
    assert_eq!(layers[3]["accuracy"], 1.0, "{report}");
    assert_eq!(
        (&report["written"]["layer"], &report["written"]["accuracy"]),
        (&3.into(), &1.0.into())
    );

    let model =
        ImageGptForImageClassification::load(at("cut.onnx"), &LoadOptions::default()).unwrap();
    assert_eq!(
        (model.config().n_layer, model.config().num_labels()),
        (3, 10)
    );
    let mut session = model.session().unwrap();
    for entry in fs::read_dir(models().join("sample")).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("labels.csv") {
            continue;
        }
        let image = image_io::decode_file(&path).unwrap();
        let verdict = session
            .classify_rgb8(image.rgb(), image.width(), image.height())
            .unwrap();
        let label = verdict.top_k(1).remove(0).label;
        assert!(
            path.display()
                .to_string()
                .ends_with(&format!("-{label}.png")),
            "{label}: {}",
            path.display()
        );
    }
    let whole = fs::metadata(models().join("igpt-fashion-mnist-int8.onnx"))
        .unwrap()
        .len();
    assert!(fs::metadata(at("cut.onnx")).unwrap().len() < whole * 2 / 3);
    let svg = fs::read_to_string(at("layers.svg")).unwrap();
    assert_eq!(
        svg.matches("<circle").count(),
        7 + 1,
        "a dot a layer, and one in the legend"
    );
    assert!(fs::metadata(at("f.npz")).unwrap().len() > 2 * 7 * 24 * 128 * 4);
}

#[test]
fn idx_data_bring_their_own_test_part() {
    let data = tempfile::tempdir().unwrap();
    idx(data.path(), "train", 12);
    let run = |arguments: &[&str]| {
        let output = probe(data.path()).args(arguments).arg("--json").unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let split = run(&["--held-out", "0.5"]);
    assert_eq!(
        (&split["train_images"], &split["test_images"]),
        (&6.into(), &6.into())
    );
    idx(data.path(), "t10k", 8);
    let both = probe(data.path())
        .args(["--held-out", "0.5"])
        .assert()
        .code(3);
    let message = String::from_utf8_lossy(&both.get_output().stderr).into_owned();
    assert!(message.contains("test part of its own"), "{message}");
    let report = run(&["--limit", "10"]);
    assert_eq!(
        (&report["train_images"], &report["test_images"]),
        (&10.into(), &8.into())
    );
    assert_eq!(report["classes"], serde_json::json!(["0", "1"]));
    assert_eq!(report["layers"][6]["accuracy"], 1.0, "{report}");
}

#[test]
fn nonsense_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let refuse = |data: &Path, arguments: &[&str], code: i32, words: &str| {
        let assert = probe(data).args(arguments).assert().code(code);
        let error = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        assert!(error.contains(words), "{error} does not say {words}");
    };
    refuse(folder.path(), &[], 3, "one for each class");
    refuse(Path::new("/no/such/folder"), &[], 3, "/no/such/folder");
    let class = folder.path().join("a");
    fs::create_dir(&class).unwrap();
    refuse(folder.path(), &[], 3, "no folders of pictures in it");
    fs::write(class.join("1.png"), "no picture").unwrap();
    refuse(folder.path(), &[], 3, "1 class, expected two");
    fs::create_dir(folder.path().join("b")).unwrap();
    fs::write(folder.path().join("b/2.png"), "no picture").unwrap();
    refuse(folder.path(), &[], 3, "to measure");
    for name in ["a/3.png", "b/4.png"] {
        fs::write(folder.path().join(name), "no picture").unwrap();
    }
    refuse(folder.path(), &[], 3, ".png");
    refuse(folder.path(), &["--held-out", "1"], 2, "between 0 and 1");
    refuse(folder.path(), &["-c", "0"], 2, "above 0");
    let output = folder.path().join("cut.onnx");
    let output = output.to_str().unwrap();
    refuse(folder.path(), &["-o", output, "--layer", "0"], 2, "--layer");
    refuse(
        folder.path(),
        &["-o", output, "--layer", "7"],
        3,
        "the model has 6",
    );
    assert!(!Path::new(output).exists());
    let mut command = Command::cargo_bin("igpt").unwrap();
    command
        .args(["probe", "Cargo.toml", "--data"])
        .arg(folders().path());
    command.assert().code(3);
}
