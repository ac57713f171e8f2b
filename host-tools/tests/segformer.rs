//! Every verb on a Mix Transformer, without being told what it is; and what is refused because it is one.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use npyz::npz::NpzArchive;
use serde_json::Value;
use tempfile::TempDir;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/golden/segformer")
        .join(name)
}

fn igpt(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("igpt").unwrap();
    command.args(arguments);
    command
}

/// The report of a verb that ends with 0.
fn json(arguments: &[&str]) -> Value {
    let output = igpt(arguments).arg("--json").unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What a verb says that ends with this code.
fn refused(arguments: &[&str], code: i32) -> String {
    let output = igpt(arguments).assert().code(code).get_output().clone();
    String::from_utf8(output.stderr).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A model file, and pictures of two of its classes.
struct Bench {
    folder: TempDir,
    model: PathBuf,
}

impl Bench {
    fn new(dtype: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("model.onnx");
        let checkpoint = golden("hub-names");
        igpt(&[
            "quantize",
            text(&checkpoint),
            "-o",
            text(&model),
            "--dtype",
            dtype,
        ])
        .assert()
        .success();
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/fashion-mnist/sample");
        let mut pictures: Vec<PathBuf> = fs::read_dir(sample)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "png"))
            .collect();
        pictures.sort();
        for (index, picture) in pictures.iter().take(8).enumerate() {
            let class = folder.path().join(format!("photos/label {}", index % 2));
            fs::create_dir_all(&class).unwrap();
            fs::copy(picture, class.join(picture.file_name().unwrap())).unwrap();
        }
        Self { folder, model }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn array(path: &Path, name: &str) -> (Vec<u64>, Vec<f32>) {
    let mut npz = NpzArchive::open(path).unwrap();
    let npy = npz
        .by_name(name)
        .unwrap()
        .unwrap_or_else(|| panic!("no {name}"));
    (npy.shape().to_vec(), npy.into_vec().unwrap())
}

#[test]
fn run_writes_the_pixels_the_maps_and_the_logits_that_transformers_gives() {
    let bench = Bench::new("f32");
    let (out, picture) = (bench.at("out.npz"), golden("hub-names/picture.png"));
    let report = json(&["run", text(&bench.model), text(&picture), "-o", text(&out)]);
    assert_eq!((&report["batch"], report.get("tokens")), (&1.into(), None));
    assert_eq!(report["model"]["model_type"], "segformer");
    assert_eq!(report["model"]["size"], serde_json::json!([64, 64]));
    assert_eq!(array(&out, "pixel_values").0, [1, 3, 64, 64]);
    assert_eq!(array(&out, "hidden_states.0").0, [1, 16, 16, 8]);
    assert_eq!(array(&out, "hidden_states.3").0, [1, 2, 2, 32]);
    let (shape, logits) = array(&out, "logits");
    let (_, expected) = array(&golden("hub-names/expected.npz"), "picture_logits");
    assert_eq!(shape, [1, 7]);
    let largest = expected.iter().fold(0f32, |m, x| m.max(x.abs()));
    for (found, expected) in logits.iter().zip(&expected) {
        assert!(
            (found - expected).abs() <= 1e-4 * largest,
            "{found} {expected}"
        );
    }
    let sum: f32 = array(&out, "probabilities").1.iter().sum();
    assert!((sum - 1.0).abs() < 1e-5);
    // classify says the same of it.
    let verdicts = json(&["classify", text(&bench.model), text(&picture)]);
    let best = (0..7)
        .max_by(|a, b| logits[*a].total_cmp(&logits[*b]))
        .unwrap();
    assert_eq!(verdicts["verdicts"][0]["label"], format!("label {best}"));
    // Tokens are the other family's.
    let tokens = [
        "run",
        text(&bench.model),
        "--tokens",
        "ids.npy",
        "-o",
        text(&out),
    ];
    assert!(refused(&tokens, 2).contains("--tokens is for ImageGPT"));
}

#[test]
fn inspect_knows_its_shape_and_cost() {
    let bench = Bench::new("int8");
    let report = json(&["inspect", text(&bench.model)]);
    assert_eq!(report["model"]["depths"], serde_json::json!([2, 1, 1, 1]));
    assert_eq!(report["operators"]["SegformerReducedBlockInt8"], 4);
    assert_eq!(report["operators"]["SegformerBlockInt8"], 1);
    assert_eq!(report["palette"], serde_json::json!([]));
    // The first stage: 256 pixels of 147 numbers, two blocks of 4 keys; 8 channels, 32 inner ones.
    let first = 256 * 147 * 8 + 2 * (4 * 512 * 8 + 256 * 64 + 4 * 8 * 16 + 2 * 256 * 4 * 8);
    let first = first + 2 * (256 * 64 + 2 * 256 * 8 * 32 + 256 * 9 * 32);
    let all = report["macs_per_frame"].as_u64().unwrap();
    assert!(first < all && all < 4 * first, "{all} of which {first}");
    let shown = igpt(&["inspect", text(&bench.model)]).unwrap().stdout;
    let shown = String::from_utf8(shown).unwrap();
    for words in [
        "hidden_sizes",
        "pictures: 64 x 64 pixels",
        "pixel values as by",
        "label 6",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let drawn = [
        "inspect",
        text(&bench.model),
        "--plots",
        text(bench.folder.path()),
    ];
    assert!(refused(&drawn, 2).contains("no palette"));
}

#[test]
fn eval_measures_it_and_holds_it_against_its_checkpoint() {
    let bench = Bench::new("int8");
    let (checkpoint, photos) = (golden("hub-names"), bench.at("photos"));
    let arguments = [
        "eval",
        text(&bench.model),
        "--data",
        text(&photos),
        "--against",
        text(&checkpoint),
    ];
    let report = json(&arguments);
    assert_eq!(report["images"], 8);
    let comparison = &report["comparison"];
    assert!(
        comparison["logits_cosine"].as_f64().unwrap() > 0.995,
        "{comparison}"
    );
    let layers = comparison["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 4);
    for layer in layers {
        assert!(layer["relative_error"].as_f64().unwrap() < 0.1, "{layer}");
    }
    // A file for another size is held against the checkpoint at that size.
    let small = bench.at("small.onnx");
    igpt(&[
        "quantize",
        text(&checkpoint),
        "-o",
        text(&small),
        "--size",
        "96x64",
    ])
    .assert()
    .success();
    let arguments = [
        "eval",
        text(&small),
        "--data",
        text(&photos),
        "--against",
        text(&checkpoint),
    ];
    assert_eq!(json(&arguments)["images"], 8);
    let arguments = [
        "eval",
        text(&small),
        "--data",
        text(&photos),
        "--against",
        text(&bench.model),
    ];
    assert!(refused(&arguments, 3).contains("the image size is 64 x 64, expected 96 x 64"));
}

#[test]
fn probe_finds_a_stage_and_writes_the_file_that_ends_there() {
    let bench = Bench::new("int8");
    let (photos, out) = (bench.at("photos"), bench.at("probe.onnx"));
    let features = bench.at("features.npz");
    let report = json(&[
        "probe",
        text(&bench.model),
        "--data",
        text(&photos),
        "-o",
        text(&out),
        "--layer",
        "2",
        "--features",
        text(&features),
        "--held-out",
        "0.5",
    ]);
    let layers = report["layers"].as_array().unwrap();
    let numbers: Vec<u64> = layers
        .iter()
        .map(|l| l["layer"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    assert_eq!(report["written"]["accuracy"], layers[1]["accuracy"]);
    assert_eq!(array(&features, "train_features.2").0, [4, 16]);
    let written = json(&["inspect", text(&out)]);
    assert_eq!(written["model"]["depths"], serde_json::json!([2, 1]));
    assert_eq!(written["config"]["id2label"]["1"], "label 1");
    assert_eq!(written["recipe"]["probe"]["of"], 4);
    let verdicts = json(&["classify", text(&out), text(&photos)]);
    assert_eq!(verdicts["images"], 8);
    let beyond = [
        "probe",
        text(&bench.model),
        "--data",
        text(&photos),
        "-o",
        text(&out),
        "--layer",
        "5",
    ];
    assert!(refused(&beyond, 3).contains("--layer 5: the model has 4"));
}

#[test]
fn bench_measures_the_published_sizes() {
    let arguments = ["bench", "--size", "mit-b0", "--threads", "1", "--runs", "1"];
    let report = json(&arguments);
    let gmac = |key: &str| report["model"][key].as_f64().unwrap();
    // 0.45 GMAC in all, 0.038 of them attention.
    assert!((gmac("attention_gmac") - 0.0384).abs() < 1e-3, "{report}");
    assert!(
        (gmac("linear_gmac") + gmac("attention_gmac") - 0.453).abs() < 5e-3,
        "{report}"
    );
    assert_eq!(report["model"]["size"], serde_json::json!([224, 224]));
    let operators = report["timings"][0]["profile"]["operators"]
        .as_array()
        .unwrap();
    assert!(
        operators.iter().any(|o| o["name"] == "patch convolutions"),
        "{report}"
    );
    for (more, words) in [
        (["--layers", "2"], "--layers"),
        (["--dtype", "int4"], "--dtype int4 is for ImageGPT"),
        (["--tokens", "8"], "--tokens is for ImageGPT"),
        (["--image-size", "224by160"], "WIDTHxHEIGHT"),
    ] {
        let message = refused(&[&arguments[..], &more].concat(), 2);
        assert!(message.contains(words), "{message}");
    }
    let other = ["bench", "--size", "small", "--image-size", "64"];
    assert!(refused(&other, 2).contains("--image-size is for a Mix Transformer"));
}

#[test]
fn what_needs_a_language_model_says_what_it_is() {
    let bench = Bench::new("int8");
    let (picture, out) = (golden("hub-names/picture.png"), bench.at("out.png"));
    let message = refused(
        &[
            "complete",
            text(&bench.model),
            text(&picture),
            "-o",
            text(&out),
        ],
        3,
    );
    assert!(
        message.contains("segformer") && message.contains("imagegpt"),
        "{message}"
    );
    let checkpoint = golden("hub-names");
    let message = refused(
        &[
            "complete",
            text(&checkpoint),
            text(&picture),
            "-o",
            text(&out),
        ],
        2,
    );
    assert!(
        message.contains("a SegFormer") && message.contains("no pixels"),
        "{message}"
    );
    let generate = ["bench", text(&bench.model), "--generate", "--threads", "1"];
    let message = refused(&generate, 3);
    assert!(message.contains("segformer"), "{message}");
}
