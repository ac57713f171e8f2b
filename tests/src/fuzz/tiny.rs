//! Two tiny models, made from a golden checkpoint: what sessions do happens between tokens and tiles, whatever the width.

use std::fs;
use std::path::{Path, PathBuf};

use igpt_runtime::{ImageGptForCausalImageModeling, ImageGptForImageClassification, LoadOptions};
use igpt_tools::onnx::Task;
use igpt_tools::verbs::quantize::{Args, quantize};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};

/// Positions of the models: two whole tiles of keys and part of a third.
pub(super) const POSITIONS: usize = 150;
/// Their colours; the token after the last is the start of a sequence.
pub(super) const COLORS: u16 = 16;
/// Their classes.
const CLASSES: usize = 3;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/model/long")
}

const OPTIONS: LoadOptions = LoadOptions::new().with_threads(1);

/// The golden checkpoint as a language model.
pub(super) fn causal() -> ImageGptForCausalImageModeling {
    let model = converted(&golden(), Task::Causal);
    ImageGptForCausalImageModeling::from_bytes(model, &OPTIONS).expect("a model of ours")
}

/// The same body under a head of [`CLASSES`] classes.
pub(super) fn classifier() -> ImageGptForImageClassification {
    ImageGptForImageClassification::from_bytes(classifier_file(), &OPTIONS)
        .expect("a model of ours")
}

/// The file of [`classifier`].
pub(super) fn classifier_file() -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let read = |name: &str| fs::read(golden().join(name)).expect("the golden checkpoint");
    let weights = read("model.safetensors");
    let tensors = SafeTensors::deserialize(&weights).expect("a golden file");
    let width = tensors
        .tensor("transformer.ln_f.weight")
        .expect("a golden file")
        .shape()[0];
    let score: Vec<u8> = (0..CLASSES * width)
        .flat_map(|i| ((i * 37 % 19) as f32 / 9.0 - 1.0).to_le_bytes())
        .collect();
    let score = TensorView::new(Dtype::F32, vec![CLASSES, width], &score).expect("a matrix");
    let mut all = tensors.tensors();
    all.retain(|(name, _)| name != "lm_head.weight");
    all.push(("score.weight".to_owned(), score));
    let bytes = safetensors::serialize(all, None).expect("a checkpoint");
    let mut config: Value = serde_json::from_slice(&read("config.json")).expect("a golden file");
    config["id2label"] = json!({"0": "a", "1": "b", "2": "c"});
    config["architectures"] = json!(["ImageGPTForImageClassification"]);
    let level = |i: u16| f64::from(i) / 8.0 - 1.0;
    let clusters: Vec<[f64; 3]> = (0..COLORS).map(|i| [level(i); 3]).collect();
    let processor = json!({"clusters": clusters, "size": {"height": 10, "width": 15}});
    let files: [(&str, Vec<u8>); 3] = [
        ("model.safetensors", bytes),
        ("config.json", config.to_string().into_bytes()),
        (
            "preprocessor_config.json",
            processor.to_string().into_bytes(),
        ),
    ];
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).expect("a file");
    }
    converted(folder.path(), Task::Classify)
}

fn converted(checkpoint: &Path, task: Task) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let output = folder.path().join("model.onnx");
    let args = Args {
        task: Some(task),
        ..Args::new(checkpoint.to_owned(), output.clone())
    };
    quantize(&args).unwrap_or_else(|failure| panic!("{failure}"));
    fs::read(output).expect("a model file")
}
