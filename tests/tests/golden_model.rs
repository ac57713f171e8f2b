//! The runtime against transformers and onnxruntime, on small random models of every kind and on the shipped one.
//!
//! The golden files come from tests/golden/model.py and tests/golden/default_model.py.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use igpt_runtime::{
    GenerationConfig, ImageGptForCausalImageModeling, ImageGptModel, LoadOptions, ModelOutput,
    image_io,
};
use igpt_tools::onnx::{Dtype, Task};
use igpt_tools::verbs::quantize::{Args, quantize};
use npyz::npz::NpzArchive;
use serde_json::Value;
use tempfile::TempDir;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("golden")
        .join(name)
}

fn shipped(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../models/fashion-mnist")
        .join(kind)
}

/// One array of an `.npz`: shape and elements.
struct Array<T> {
    shape: Vec<usize>,
    values: Vec<T>,
}

struct Npz(NpzArchive<BufReader<File>>);

impl Npz {
    fn open(path: &Path) -> Self {
        Self(NpzArchive::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
    }

    fn get<T: npyz::Deserialize>(&mut self, name: &str) -> Option<Array<T>> {
        let npy = self.0.by_name(name).unwrap()?;
        let shape = npy.shape().iter().map(|size| *size as usize).collect();
        Some(Array {
            shape,
            values: npy.into_vec().unwrap(),
        })
    }

    /// The token ids, one vector per sequence.
    fn tokens(&mut self) -> Vec<Vec<u16>> {
        let ids: Array<i64> = self.get("input_ids").unwrap();
        let rows = ids.values.chunks_exact(ids.shape[1]);
        rows.map(|row| row.iter().map(|id| u16::try_from(*id).unwrap()).collect())
            .collect()
    }
}

/// A converted checkpoint; the file lives as long as this.
struct Model {
    _folder: TempDir,
    path: PathBuf,
}

impl Model {
    fn convert(checkpoint: &Path, task: Option<Task>, dtype: Dtype) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.onnx");
        let checkpoint = checkpoint.to_owned();
        quantize(&Args {
            task,
            dtype,
            ..Args::new(checkpoint, path.clone())
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
        Self {
            _folder: folder,
            path,
        }
    }

    fn load(&self) -> ImageGptModel {
        ImageGptModel::load(&self.path, &LoadOptions::default()).unwrap_or_else(|e| panic!("{e}"))
    }

    fn forward(&self, tokens: &[Vec<u16>]) -> ModelOutput {
        let rows: Vec<&[u16]> = tokens.iter().map(Vec::as_slice).collect();
        self.load().forward(&rows).unwrap_or_else(|e| panic!("{e}"))
    }
}

/// Largest difference over largest magnitude.
fn distance(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0f32, |m, x| m.max(x.abs()));
    let difference = found
        .iter()
        .zip(expected)
        .fold(0f32, |m, (a, b)| m.max((a - b).abs()));
    assert!(found.iter().all(|x| x.is_finite()));
    difference / largest
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let dot = |a: &[f32], b: &[f32]| {
        a.iter()
            .zip(b)
            .map(|(x, y)| f64::from(*x) * f64::from(*y))
            .sum::<f64>()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Every compared vector: hidden states by number, then `logits` where there is a head.
fn compared<'a>(output: &'a ModelOutput, npz: &mut Npz) -> Vec<(String, &'a [f32], Vec<f32>)> {
    let hidden: Array<f32> = npz.get("hidden_states").unwrap();
    assert_eq!(output.hidden_states.len(), hidden.shape[0]);
    let one = hidden.values.len() / hidden.shape[0];
    let states = output
        .hidden_states
        .iter()
        .zip(hidden.values.chunks_exact(one))
        .enumerate();
    let mut list: Vec<_> = states
        .map(|(i, (found, expected))| {
            (
                format!("hidden_states[{i}]"),
                found.as_slice(),
                expected.to_vec(),
            )
        })
        .collect();
    match npz.get::<f32>("logits") {
        Some(logits) => list.push(("logits".into(), output.logits.as_slice(), logits.values)),
        None => assert!(output.logits.is_empty()),
    }
    list
}

fn cases() -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> = fs::read_dir(golden("model"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    cases.sort();
    assert_eq!(cases.len(), 9);
    cases
}

#[test]
fn f32_is_transformers_to_1e_4() {
    for case in cases() {
        let mut expected = Npz::open(&case.join("expected.npz"));
        let output = Model::convert(&case, None, Dtype::F32).forward(&expected.tokens());
        for (what, found, expected) in compared(&output, &mut expected) {
            let distance = distance(found, &expected);
            assert!(
                distance <= 1e-4,
                "{}: {what} is off by {distance:e}",
                case.display()
            );
        }
    }
}

/// Measured: 0.99969 (unscaled attention, whose softmax is the sharpest) and better.
#[test]
fn int8_is_close_to_transformers_on_random_models() {
    for case in cases() {
        let mut expected = Npz::open(&case.join("expected.npz"));
        let output = Model::convert(&case, None, Dtype::Int8).forward(&expected.tokens());
        for (what, found, expected) in compared(&output, &mut expected) {
            let cosine = cosine(found, &expected);
            assert!(
                cosine >= 0.9995,
                "{}: cosine of {what} is {cosine}",
                case.display()
            );
        }
    }
}

/// The functions' bodies spell the linear layers' integer arithmetic out (tests/linear.rs holds those to float rounding);
/// attention they do in float. Without the scores' scaling int8 errors of q and k weigh more: docs/numerics.md says why.
#[test]
fn int8_is_onnxruntime_but_for_the_attention() {
    for case in cases() {
        let tokens = Npz::open(&case.join("expected.npz")).tokens();
        let output = Model::convert(&case, None, Dtype::Int8).forward(&tokens);
        for (what, found, expected) in
            compared(&output, &mut Npz::open(&case.join("onnxruntime.npz")))
        {
            let cosine = cosine(found, &expected);
            let least = if case.ends_with("unscaled") {
                0.9998
            } else {
                0.9999
            };
            assert!(
                cosine >= least,
                "{}: cosine of {what} is {cosine}",
                case.display()
            );
        }
    }
}

/// The golden files of the shipped model, after checking that they were made from it.
fn shipped_golden(kind: &str) -> (Npz, usize) {
    let sources: Value =
        serde_json::from_slice(&fs::read(golden("default/sources.json")).unwrap()).unwrap();
    let weights = fs::read(shipped(kind).join("model.safetensors")).unwrap();
    assert_eq!(
        Some(u64::from(crc32fast::hash(&weights))),
        sources["crc32"][kind].as_u64(),
        "models/fashion-mnist/{kind} has changed: run tests/golden/default_model.py"
    );
    let step = sources["step"].as_u64().unwrap() as usize;
    (
        Npz::open(&golden("default").join(format!("{kind}.npz"))),
        step,
    )
}

/// Every `step`-th token's row of `[batch, tokens, width]`.
fn every(step: usize, values: &[f32], tokens: usize, batch: usize) -> Vec<f32> {
    let width = values.len() / (tokens * batch);
    let sequences = values.chunks_exact(tokens * width);
    sequences
        .flat_map(|rows| rows.chunks_exact(width).step_by(step).flatten().copied())
        .collect()
}

/// Hidden states and logits of the shipped model at the tokens that the golden file keeps.
fn shipped_vectors(kind: &str, dtype: Dtype) -> BTreeMap<String, (Vec<f32>, Vec<f32>)> {
    let (mut npz, step) = shipped_golden(kind);
    let tokens = npz.tokens();
    let (batch, length) = (tokens.len(), tokens[0].len());
    let mut output = Model::convert(&shipped(kind), None, dtype).forward(&tokens);
    for state in &mut output.hidden_states {
        *state = every(step, state, length, batch);
    }
    if kind == "lm" {
        output.logits = every(step, &output.logits, length, batch);
    }
    let list = compared(&output, &mut npz);
    list.into_iter()
        .map(|(what, found, expected)| (what, (found.to_vec(), expected)))
        .collect()
}

#[test]
fn the_shipped_models_in_f32_are_transformers_to_1e_4() {
    for kind in ["clf", "lm"] {
        for (what, (found, expected)) in shipped_vectors(kind, Dtype::F32) {
            let distance = distance(&found, &expected);
            assert!(distance <= 1e-4, "{kind}: {what} is off by {distance:e}");
        }
    }
}

#[test]
fn the_shipped_models_in_int8_keep_a_cosine_of_0_999() {
    for kind in ["clf", "lm"] {
        for (what, (found, expected)) in shipped_vectors(kind, Dtype::Int8) {
            let cosine = cosine(&found, &expected);
            assert!(cosine >= 0.999, "{kind}: cosine of {what} is {cosine}");
        }
    }
}

/// onnxruntime computes the same integer layers and float attention.
#[test]
fn the_shipped_models_in_int8_are_onnxruntime_to_a_cosine_of_0_9999() {
    for kind in ["clf", "lm"] {
        let (mut npz, step) = shipped_golden(kind);
        let tokens = npz.tokens();
        let (batch, length) = (tokens.len(), tokens[0].len());
        let mut logits = Model::convert(&shipped(kind), None, Dtype::Int8)
            .forward(&tokens)
            .logits;
        if kind == "lm" {
            logits = every(step, &logits, length, batch);
        }
        let expected: Array<f32> = npz.get("onnxruntime_logits").unwrap();
        let cosine = cosine(&logits, &expected.values);
        assert!(cosine >= 0.9999, "{kind}: cosine of logits is {cosine}");
    }
}

#[test]
fn images_become_the_tokens_that_transformers_makes() {
    let sources: Value =
        serde_json::from_slice(&fs::read(golden("default/sources.json")).unwrap()).unwrap();
    let (mut npz, _) = shipped_golden("clf");
    let model = Model::convert(&shipped("clf"), None, Dtype::Int8).load();
    let processor = model.processor().unwrap();
    let images = sources["images"].as_array().unwrap();
    for (name, expected) in images.iter().zip(npz.tokens()) {
        let path = shipped("sample").join(name.as_str().unwrap());
        let image = image_io::decode_file(path).unwrap();
        assert_eq!(
            processor.tokens_from_image(&image).unwrap(),
            expected,
            "{name}"
        );
    }
}

#[test]
fn greedy_completions_in_f32_are_those_of_transformers() {
    let (mut npz, _) = shipped_golden("lm");
    let expected: Array<i64> = npz.get("greedy").unwrap();
    let length = expected.shape[1];
    let file = Model::convert(&shipped("lm"), None, Dtype::F32);
    let model = ImageGptForCausalImageModeling::load(&file.path, &LoadOptions::default()).unwrap();
    let how = GenerationConfig::new()
        .with_max_length(Some(length))
        .with_do_sample(false);
    for (tokens, expected) in npz
        .tokens()
        .iter()
        .zip(expected.values.chunks_exact(length))
    {
        let context = &tokens[..(length - 1) / 2 + 1];
        let found = model.generate(context, &how).unwrap();
        let found: Vec<i64> = found.into_iter().map(i64::from).collect();
        assert_eq!(found, expected);
    }
}
