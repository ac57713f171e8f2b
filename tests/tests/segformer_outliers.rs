//! Outlier channels in Mix Transformers, made by pairs that change nothing a model computes: the int8 file of such a
//! checkpoint must be about as good as that of the checkpoint it was made from.
#![cfg(not(target_arch = "aarch64"))]

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use igpt_runtime::{LoadOptions, SegformerModel};
use igpt_tools::checkpoint::Checkpoint;
use igpt_tools::onnx::Dtype as ModelDtype;
use igpt_tools::verbs::quantize::{Args, quantize};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

/// Name -> shape and values, row-major.
type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// A tensor, and which of its dimensions the channels are.
type Part = (&'static str, usize);

/// What writes a channel, what reads it, and what the report calls the pair; of what needs no rescaling nothing.
struct Pair {
    writers: &'static [Part],
    readers: &'static [Part],
    reported: Option<&'static str>,
}

/// In a block whose keys and values come from a reduced map.
const REDUCED: [Pair; 2] = [
    Pair {
        writers: &[("layernorm_before.weight", 0), ("layernorm_before.bias", 0)],
        readers: &[
            ("attention.q_proj.weight", 1),
            ("attention.sequence_reduction.sequence_reduction.weight", 1),
        ],
        reported: Some("layernorm_before"),
    },
    Pair {
        writers: &[
            ("attention.sequence_reduction.layer_norm.weight", 0),
            ("attention.sequence_reduction.layer_norm.bias", 0),
        ],
        readers: &[
            ("attention.k_proj.weight", 1),
            ("attention.v_proj.weight", 1),
        ],
        reported: Some("sequence_reduction"),
    },
];

/// In one where they come from the whole map.
const WHOLE: [Pair; 1] = [Pair {
    writers: &[("layernorm_before.weight", 0), ("layernorm_before.bias", 0)],
    readers: &[
        ("attention.q_proj.weight", 1),
        ("attention.k_proj.weight", 1),
        ("attention.v_proj.weight", 1),
    ],
    reported: Some("layernorm_before"),
}];

/// In every block.
const BOTH: [Pair; 4] = [
    Pair {
        writers: &[("layernorm_after.weight", 0), ("layernorm_after.bias", 0)],
        readers: &[("mlp.fc1.weight", 1)],
        reported: Some("layernorm_after"),
    },
    Pair {
        writers: &[("attention.q_proj.weight", 0), ("attention.q_proj.bias", 0)],
        readers: &[("attention.k_proj.weight", 0), ("attention.k_proj.bias", 0)],
        reported: Some("query_key"),
    },
    Pair {
        writers: &[("attention.v_proj.weight", 0), ("attention.v_proj.bias", 0)],
        readers: &[("attention.o_proj.weight", 1)],
        reported: Some("value"),
    },
    // What lies between is f32, and each column of fc1 has a scale.
    Pair {
        writers: &[("mlp.fc1.weight", 0), ("mlp.fc1.bias", 0)],
        readers: &[("mlp.dwconv.dwconv.weight", 0)],
        reported: None,
    },
];

/// Under ReLU.
const RELU: Pair = Pair {
    writers: &[
        ("mlp.dwconv.dwconv.weight", 0),
        ("mlp.dwconv.dwconv.bias", 0),
    ],
    readers: &[("mlp.fc2.weight", 1)],
    reported: Some("inner"),
};

/// From a stage's norm, `stages.0`, to the next stage.
const PASSAGE: Pair = Pair {
    writers: &[
        ("stages.0.layer_norm.weight", 0),
        ("stages.0.layer_norm.bias", 0),
    ],
    readers: &[("stages.1.patch_embeddings.proj.weight", 1)],
    reported: Some("patch_embeddings"),
};

impl Pair {
    /// Multiplies what writes `channel` by `factor` and divides what reads it.
    fn inject(&self, tensors: &mut Tensors, prefix: &str, channel: usize, factor: f32) {
        for (part, factor) in self
            .writers
            .iter()
            .map(|part| (part, factor))
            .chain(self.readers.iter().map(|part| (part, 1.0 / factor)))
        {
            let (name, dimension) = *part;
            let (shape, values) = tensors
                .get_mut(&format!("{prefix}{name}"))
                .unwrap_or_else(|| panic!("{prefix}{name}"));
            let inner: usize = shape[dimension + 1..].iter().product();
            let of_channel = |index: usize| index / inner % shape[dimension] == channel;
            let values = values.iter_mut().enumerate();
            for (_, value) in values.filter(|(index, _)| of_channel(*index)) {
                *value *= factor;
            }
        }
    }
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("golden/segformer")
        .join(name)
}

fn read(folder: &Path) -> Tensors {
    let checkpoint = Checkpoint::open(folder).unwrap();
    let names: Vec<String> = checkpoint.names().map(str::to_owned).collect();
    let tensor = |name: String| {
        let shape = checkpoint.shape(&name).unwrap().to_vec();
        let values = checkpoint.to_f32(&name).unwrap();
        (name, (shape, values))
    };
    names.into_iter().map(tensor).collect()
}

/// Logits in f32 and in int8, and the pairs that the report names.
fn computed(case: &str, tensors: &Tensors) -> ([Vec<f32>; 2], Vec<&'static str>) {
    let folder = tempfile::tempdir().unwrap();
    for file in ["config.json", "preprocessor_config.json"] {
        fs::copy(golden(case).join(file), folder.path().join(file)).unwrap();
    }
    let views: HashMap<String, TensorView<'_>> = tensors
        .iter()
        .map(|(name, (shape, values))| {
            let bytes = bytemuck::cast_slice(values);
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap();
            let body = name.starts_with("stages.");
            let full = if body {
                format!("segformer.{name}")
            } else {
                name.clone()
            };
            (full, view)
        })
        .collect();
    safetensors::serialize_to_file(views, None, &folder.path().join("model.safetensors")).unwrap();
    let mut pairs = Vec::new();
    let logits = [ModelDtype::F32, ModelDtype::Int8].map(|dtype| {
        let output = folder.path().join("out.onnx");
        let args = Args {
            dtype,
            ..Args::new(folder.path(), &output)
        };
        let report = quantize(&args).unwrap_or_else(|failure| panic!("{failure}"));
        let rescaled = report.layers.iter().flat_map(|layer| &layer.rescaled);
        pairs.extend(rescaled.map(|rescaled| rescaled.pair.key));
        let model = SegformerModel::load(&output, &LoadOptions::default()).unwrap();
        let (height, width) = model.size();
        // Four pictures: waves of several lengths.
        let pixel = |i: usize| (i as f32 * 0.37).sin() + ((i / width) as f32 * 0.61).cos();
        let pixels: Vec<f32> = (0..4 * 3 * height * width).map(pixel).collect();
        model.forward(&pixels).unwrap().logits
    });
    (logits, pairs)
}

/// |a - b| / |a|.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    let square = |x: f32| f64::from(x) * f64::from(x);
    let difference: f64 = a.iter().zip(b).map(|(a, b)| square(a - b)).sum();
    (difference / a.iter().map(|a| square(*a)).sum::<f64>()).sqrt()
}

/// Every pair of a case, with the prefix of its tensors.
fn pairs(case: &str) -> Vec<(&'static str, &'static Pair)> {
    let (reduced, whole) = match case {
        "hub-names" => ("stages.1.blocks.0.", "stages.3.blocks.0."),
        _ => ("stages.0.blocks.1.", "stages.1.blocks.0."),
    };
    let mut list = vec![("", &PASSAGE)];
    list.extend(REDUCED.iter().map(|pair| (reduced, pair)));
    list.extend(WHOLE.iter().map(|pair| (whole, pair)));
    for prefix in [reduced, whole] {
        list.extend(BOTH.iter().map(|pair| (prefix, pair)));
        list.extend((case == "relu-odd-heads").then_some((prefix, &RELU)));
    }
    list
}

#[test]
fn outliers_of_exact_pairs_cost_int8_next_to_nothing() {
    for case in ["hub-names", "relu-odd-heads"] {
        let plain = read(&golden(case));
        let ([reference, int8], found) = computed(case, &plain);
        assert!(found.is_empty(), "{case}: {found:?} in an ordinary model");
        let error = distance(&reference, &int8);
        for (prefix, pair) in pairs(case) {
            for factor in [50.0, 1.0 / 50.0] {
                let mut tensors = plain.clone();
                pair.inject(&mut tensors, prefix, 5, factor);
                let ([exact, int8], found) = computed(case, &tensors);
                let what = format!("{case}: {prefix}{:?} by {factor}", pair.writers[0].0);
                let change = distance(&reference, &exact);
                assert!(change < 1e-5, "{what}: not exact, {change:e}");
                assert_eq!(found.first().copied(), pair.reported, "{what}: {found:?}");
                let with = distance(&exact, &int8);
                println!("{what}: {with:.4}, {error:.4} without");
                assert!(with < 1.5 * error, "{what}: {with:.4}, {error:.4} without");
            }
        }
    }
}
