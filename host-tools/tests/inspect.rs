//! `igpt inspect` as its user sees it: the shipped model's numbers, its palette as a picture, nonsense refused.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use igpt_runtime::image_io;
use serde_json::Value;

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../models/fashion-mnist/igpt-fashion-mnist-int8.onnx")
}

fn inspect(file: &Path) -> Command {
    let mut command = Command::cargo_bin("igpt").unwrap();
    command.arg("inspect").arg(file);
    command
}

#[test]
fn the_shipped_model_is_described() {
    let folder = tempfile::tempdir().unwrap();
    let png = folder.path().join("palette.png");
    let output = inspect(&shipped())
        .arg("--json")
        .arg("--png")
        .arg(&png)
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&report["model"]["task"], &report["model"]["dtype"]),
        (&"classify".into(), &"int8".into())
    );
    assert_eq!(report["operators"]["ImageGptBlockInt8"], 6);
    // 6 blocks of 196 tokens: 12 * 128^2 of linear layers and 128 * 197 of causal attention a token.
    assert_eq!(
        report["macs_per_frame"],
        6 * 196 * (12 * 128 * 128 + 128 * 197)
    );
    assert_eq!(report["weights"]["int8"]["values"], 6 * 12 * 128 * 128);
    assert_eq!(report["matrices"]["values"], 6 * 12 * 128 * 128);
    assert_eq!(report["matrices"]["bits_per_weight"], 8.0);
    assert!(report["panels"].is_null(), "row-major");
    assert!(
        report["recipe"]["weights"]
            .as_str()
            .unwrap()
            .contains("int8")
    );
    assert_eq!(report["boards"].as_array().unwrap().len(), 5);
    let picture = image_io::decode_file(&png).unwrap();
    assert_eq!((picture.width(), picture.height()), (4 + 32 * 20, 4 + 20));
    let first = &picture.rgb()[3 * (4 * picture.width() + 4)..][..3];
    assert_eq!(Value::from(first), report["palette"][0]);

    let text = String::from_utf8(inspect(&shipped()).unwrap().stdout).unwrap();
    assert!(
        [
            "Ankle boot",
            "Pi Zero 2 W",
            "Orin Nano",
            "forecast",
            "by compute",
            "no board was measured"
        ]
        .iter()
        .all(|w| text.contains(w)),
        "{text}"
    );
    assert!(!text.contains('\x1b'), "colour codes in a pipe");
}

#[test]
fn nonsense_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let cut = folder.path().join("cut.onnx");
    let whole = fs::read(shipped()).unwrap();
    fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    for file in [
        cut,
        folder.path().join("nowhere.onnx"),
        folder.path().to_owned(),
    ] {
        let assert = inspect(&file).assert().code(3);
        let error = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        assert!(error.contains(&*file.to_string_lossy()), "{error}");
    }
    inspect(&shipped())
        .args(["--png", "Cargo.toml/p.png"])
        .assert()
        .code(1);
}

#[test]
fn a_packed_file_says_for_which_kernels() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("packed.onnx");
    let checkpoint = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/fashion-mnist/clf");
    let mut quantize = Command::cargo_bin("igpt").unwrap();
    quantize
        .arg("quantize")
        .arg(checkpoint)
        .args(["--pack", "dotprod", "-o"]);
    quantize.arg(&file).unwrap();
    let output = inspect(&file).arg("--json").unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["panels"]["name"], "8x4");
    assert_eq!(
        report["panels"]["kernels"],
        serde_json::json!(["avxvnni", "dotprod"])
    );
    let table = String::from_utf8(inspect(&file).unwrap().stdout).unwrap();
    assert!(
        table.contains("packed in panels of 8x4, for avxvnni, dotprod"),
        "{table}"
    );
}

#[test]
fn a_file_says_whose_tokens_it_makes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out.onnx");
    let checkpoint = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/fashion-mnist/clf");
    let quantize = |options: &[&str]| {
        let mut command = Command::cargo_bin("igpt").unwrap();
        command
            .arg("quantize")
            .arg(&checkpoint)
            .arg("-o")
            .arg(&file);
        String::from_utf8(command.args(options).unwrap().stdout).unwrap()
    };
    // The shipped checkpoint is in transformers 4's form.
    for (options, name, because) in [
        (&[][..], "PIL", "is transformers 4's"),
        (
            &["--processor", "torchvision"],
            "torchvision",
            "(--processor torchvision)",
        ),
    ] {
        let said = quantize(options);
        let title = format!("as by transformers' {name} processor");
        assert!(said.contains(&title) && said.contains(because), "{said}");
        let text = String::from_utf8(inspect(&file).unwrap().stdout).unwrap();
        assert!(text.contains(&title), "{text}");
        let report = inspect(&file).arg("--json").unwrap().stdout;
        let report: Value = serde_json::from_slice(&report).unwrap();
        assert_eq!(report["model"]["processor"], name.to_lowercase());
    }
    let said = quantize(&["--inline"]);
    assert!(
        said.contains("runtimes other than igpt and igpt-cam"),
        "{said}"
    );
    let refused = inspect(&file).assert().code(3);
    let error = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
    assert!(
        error.contains("convert the checkpoint without --inline"),
        "{error}"
    );
    let mut both = Command::cargo_bin("igpt").unwrap();
    both.arg("quantize").arg(&checkpoint).arg("-o").arg(&file);
    both.args(["--inline", "--pack", "neon"]).assert().code(2);
}
