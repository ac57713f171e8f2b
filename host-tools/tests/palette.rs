//! `igpt palette` as its user sees it: a file that Hugging Face's form and our processor take, seeded, nonsense refused.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use igpt_runtime::{ImageGptImageProcessor, image_io};
use serde_json::Value;

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/fashion-mnist/sample")
}

fn palette(output: &Path) -> Command {
    let mut command = Command::cargo_bin("igpt").unwrap();
    command.arg("palette").arg("-o").arg(output);
    command
}

#[test]
fn the_palette_is_a_processor_and_follows_its_seed() {
    let folder = tempfile::tempdir().unwrap();
    let (json, png) = (folder.path().join("p.json"), folder.path().join("p.png"));
    let make = |seed: &str| {
        let mut command = palette(&json);
        command
            .arg(samples())
            .args(["--colors", "16", "--size", "14", "--json", "--seed", seed]);
        let report: Value =
            serde_json::from_slice(&command.arg("--png").arg(&png).unwrap().stdout).unwrap();
        (report, fs::read_to_string(&json).unwrap())
    };
    let (report, text) = make("1");
    assert_eq!(
        (&report["images"], &report["pixels"]),
        (&Value::from(24), &Value::from(24 * 196))
    );
    let processor = ImageGptImageProcessor::from_json(&text).unwrap();
    assert_eq!(
        (processor.clusters().len(), processor.size()),
        (16, (14, 14))
    );
    assert!(
        processor
            .clusters()
            .iter()
            .flatten()
            .all(|x| (-1.0..=1.0).contains(x))
    );
    let picture = image_io::decode_file(&png).unwrap();
    assert_eq!(
        (picture.width(), picture.height()),
        (4 + 8 * (14 * 9 + 4), 4 + 2 * (14 * 9 + 4))
    );
    // What the report calls the error is what the file makes of the images; --sample covers every pixel here.
    let (mut sum, mut count) = (0.0, 0.0);
    for entry in fs::read_dir(samples()).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("labels.csv") {
            continue;
        }
        let image = image_io::decode_file(path).unwrap();
        let small = processor
            .resized(image.rgb(), image.width(), image.height())
            .unwrap();
        for (pixel, token) in small
            .rgb()
            .as_chunks::<3>()
            .0
            .iter()
            .zip(processor.tokens_from_image(&image).unwrap())
        {
            for (x, c) in pixel.iter().zip(processor.clusters()[usize::from(token)]) {
                sum += (f64::from(*x) - 127.5 * (c + 1.0)).powi(2);
                count += 1.0;
            }
        }
    }
    let (found, rms) = (f64::sqrt(sum / count), report["rms"].as_f64().unwrap());
    assert!((found / rms - 1.0).abs() < 1e-3, "{found}, reported {rms}");
    assert_eq!(processor.config().backend.name(), "pil");
    let mut command = palette(&json);
    command.arg(samples()).args([
        "--colors",
        "16",
        "--size",
        "14",
        "--processor",
        "torchvision",
    ]);
    command.assert().success();
    let other = ImageGptImageProcessor::from_json(&fs::read_to_string(&json).unwrap()).unwrap();
    assert_eq!(other.config().backend.name(), "torchvision");
    assert_eq!(make("1").1, text);
    assert_ne!(make("2").1, text);
}

#[test]
fn nonsense_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("p.json");
    let refuse = |arguments: &[&Path], code: i32, words: &str| {
        let assert = palette(&output).args(arguments).assert().code(code);
        let error = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        assert!(error.contains(words), "{error} does not say {words}");
        assert!(!output.exists(), "{words}: a file all the same");
    };
    let samples = samples();
    refuse(&[], 2, "IMAGES");
    refuse(
        &[&samples, "--colors".as_ref(), "0".as_ref()],
        2,
        "--colors",
    );
    refuse(
        &[&samples, "--colors".as_ref(), "600".as_ref()],
        3,
        "different colours",
    );
    refuse(&[folder.path()], 3, "no image in it");
    let text = folder.path().join("notes.png");
    fs::write(&text, "no picture").unwrap();
    refuse(&[&text], 3, "notes.png");
    palette(Path::new("Cargo.toml/p.json"))
        .arg(&samples)
        .args(["--colors", "4"])
        .assert()
        .code(1);
}
