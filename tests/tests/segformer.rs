//! Mix Transformers against transformers and onnxruntime, on small random models of every kind.
//!
//! The golden files come from tests/golden/segformer.py.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use igpt_runtime::{
    Isa, LoadOptions, ModelOutput, SegformerForImageClassification, SegformerModel, image_io,
};
use igpt_tools::onnx::{Dtype, Task};
use igpt_tools::verbs::quantize::{Args, quantize};
use npyz::npz::NpzArchive;
use tempfile::TempDir;

/// With transformers' numbers; `new-names` is `hub-names` once more.
const CASES: [&str; 4] = [
    "hub-names",
    "relu-odd-heads",
    "three-stages-ragged",
    "many-keys",
];

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("golden/segformer")
        .join(name)
}

/// One array of an `.npz`.
struct Array {
    shape: Vec<usize>,
    values: Vec<f32>,
}

struct Npz(NpzArchive<BufReader<File>>);

impl Npz {
    fn open(case: &str, file: &str) -> Self {
        let path = golden(case).join(file);
        Self(NpzArchive::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
    }

    fn get(&mut self, name: &str) -> Array {
        let npy = self.0.by_name(name).unwrap().unwrap();
        let shape = npy.shape().iter().map(|size| *size as usize).collect();
        let values = npy.into_vec().unwrap();
        Array { shape, values }
    }

    /// The pixel values are stored in 256ths.
    fn pixels(&mut self) -> Vec<f32> {
        let npy = self.0.by_name("pixel_values").unwrap().unwrap();
        let parts: Vec<i16> = npy.into_vec().unwrap();
        parts.into_iter().map(|x| f32::from(x) / 256.0).collect()
    }
}

/// A converted checkpoint; the file lives as long as this.
struct Model {
    _folder: TempDir,
    path: PathBuf,
}

impl Model {
    fn convert(case: &str, task: Option<Task>, dtype: Dtype) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.onnx");
        let args = Args {
            task,
            dtype,
            ..Args::new(golden(case), path.clone())
        };
        quantize(&args).unwrap_or_else(|failure| panic!("{case}: {failure}"));
        Self {
            _folder: folder,
            path,
        }
    }

    fn load(&self, options: &LoadOptions) -> SegformerModel {
        SegformerModel::load(&self.path, options).unwrap_or_else(|e| panic!("{e}"))
    }
}

/// What the model computes of the case's pixels.
fn computed(case: &str, dtype: Dtype) -> ModelOutput {
    let pixels = Npz::open(case, "expected.npz").pixels();
    let model = Model::convert(case, None, dtype).load(&LoadOptions::default());
    model
        .forward(&pixels)
        .unwrap_or_else(|e| panic!("{case}: {e}"))
}

/// transformers' hidden state `[batch, C, H', W']` with its channels last; one that is so already as it is.
fn channels_last(array: Array) -> Vec<f32> {
    let [batch, channels, height, width] = array.shape[..] else {
        return array.values;
    };
    let pixels = height * width;
    let at = |image: usize, pixel: usize, channel: usize| {
        array.values[(image * channels + channel) * pixels + pixel]
    };
    let mut values = Vec::with_capacity(array.values.len());
    for (image, pixel) in (0..batch).flat_map(|image| (0..pixels).map(move |pixel| (image, pixel)))
    {
        values.extend((0..channels).map(|channel| at(image, pixel, channel)));
    }
    values
}

/// A vector by its name: found, transformers' and onnxruntime's in int8.
type Compared = (String, Vec<f32>, Vec<f32>, Vec<f32>);

/// Every compared vector: the stages' hidden states, then `logits`.
fn compared(case: &str, output: &ModelOutput) -> Vec<Compared> {
    let mut expected = Npz::open(case, "expected.npz");
    let mut onnxruntime = Npz::open(case, "onnxruntime.npz");
    let states = output.hidden_states.iter().enumerate();
    let mut list: Vec<_> = states
        .map(|(stage, found)| {
            let name = format!("hidden_states.{stage}");
            let (exact, integer) = (expected.get(&name), onnxruntime.get(&name));
            (name, found.clone(), channels_last(exact), integer.values)
        })
        .collect();
    let (exact, integer) = (expected.get("logits"), onnxruntime.get("logits"));
    list.push((
        "logits".into(),
        output.logits.clone(),
        exact.values,
        integer.values,
    ));
    list
}

/// Largest difference over largest magnitude.
fn distance(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    assert!(found.iter().all(|x| x.is_finite()));
    let largest = expected.iter().fold(0f32, |m, x| m.max(x.abs()));
    let pairs = found.iter().zip(expected);
    pairs.fold(0f32, |m, (a, b)| m.max((a - b).abs())) / largest
}

/// |a - b| / |b|.
fn relative(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let squares = |values: &mut dyn Iterator<Item = f32>| -> f64 {
        values.map(|x| f64::from(x).powi(2)).sum()
    };
    let pairs = found.iter().zip(expected);
    let difference = squares(&mut pairs.map(|(a, b)| a - b));
    (difference / squares(&mut expected.iter().copied())).sqrt()
}

#[test]
fn f32_is_transformers_to_1e_4() {
    for case in CASES {
        for (what, found, expected, _) in compared(case, &computed(case, Dtype::F32)) {
            let distance = distance(&found, &expected);
            assert!(distance <= 1e-4, "{case}: {what} is off by {distance:e}");
        }
    }
}

/// onnxruntime runs the same file with the attention in float.
#[test]
fn int8_is_as_near_to_transformers_as_onnxruntime_on_the_same_file() {
    for case in CASES {
        for (what, found, exact, integer) in compared(case, &computed(case, Dtype::Int8)) {
            let (ours, theirs) = (relative(&found, &exact), relative(&integer, &exact));
            println!("{case}: {what}: {ours:.4}, onnxruntime {theirs:.4}");
            // In maps of four to sixteen pixels one byte that is rounded otherwise shows; the mean over them evens it out.
            let bound = if what == "logits" { 1.3 } else { 1.5 };
            assert!(
                ours <= bound * theirs,
                "{case}: {what}: {ours:.4}, onnxruntime {theirs:.4}"
            );
            let between = relative(&found, &integer);
            assert!(
                between <= 1.3 * theirs,
                "{case}: {what}: {between:.4} from onnxruntime's"
            );
        }
    }
}

/// Whatever the task, the instruction set and the number of threads.
#[test]
fn every_cpu_and_any_threads_give_the_same_bits() {
    for (case, dtype) in CASES
        .into_iter()
        .flat_map(|case| [(case, Dtype::Int8), (case, Dtype::F32)])
    {
        let pixels = Npz::open(case, "expected.npz").pixels();
        let file = Model::convert(case, None, dtype);
        let run = |isa: Isa, threads: usize| {
            let options = LoadOptions::default()
                .with_cpu(Some(isa))
                .with_threads(threads);
            let output = file.load(&options).forward(&pixels).unwrap();
            let all = output.hidden_states.into_iter().chain([output.logits]);
            all.flatten().map(f32::to_bits).collect::<Vec<u32>>()
        };
        let first = run(Isa::Scalar, 1);
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            for threads in [1, 2, 3] {
                assert!(
                    run(isa, threads) == first,
                    "{case}: {dtype} on {isa} with {threads} threads"
                );
            }
        }
    }
}

#[test]
fn both_spellings_compute_the_same_bits_and_a_file_for_features_the_same_states() {
    let pixels = Npz::open("hub-names", "expected.npz").pixels();
    let of = |case, task| {
        let model = Model::convert(case, task, Dtype::Int8);
        model
            .load(&LoadOptions::default())
            .forward(&pixels)
            .unwrap()
    };
    let (old, new) = (of("hub-names", None), of("new-names", None));
    assert_eq!(old.logits, new.logits);
    assert_eq!(old.hidden_states, new.hidden_states);
    let features = of("hub-names", Some(Task::Features));
    assert_eq!(features.hidden_states, old.hidden_states);
    assert!(features.logits.is_empty());
}

#[test]
fn pictures_become_the_logits_that_transformers_gives() {
    for case in ["hub-names", "relu-odd-heads"] {
        let expected = Npz::open(case, "expected.npz").get("picture_logits").values;
        let file = Model::convert(case, None, Dtype::F32);
        let model = SegformerForImageClassification::load(&file.path, &LoadOptions::default());
        let mut session = model.unwrap().session().unwrap();
        let image = image_io::decode_file(golden(case).join("picture.png")).unwrap();
        let found = session.classify_image(&image).unwrap();
        let distance = distance(&found.logits, &expected);
        assert!(distance <= 1e-4, "{case}: off by {distance:e}");
    }
}
