//! Outlier channels made by pairs that change nothing a model computes: the int8 file of such a checkpoint must be about as
//! good as that of the checkpoint it was made from.
// Files are converted on a PC; under an emulated ARM processor this would take half an hour, and prove nothing more.
#![cfg(not(target_arch = "aarch64"))]

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use igpt_runtime::{ImageGptConfig, ImageGptModel, LoadOptions};
use igpt_tools::checkpoint::Checkpoint;
use igpt_tools::onnx::ModelDtype;
use igpt_tools::verbs::quantize::{Args, quantize};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// xorshift64*: seeds must mean the same injection for ever.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// 1% of `count` channels, one at least.
    fn channels(&mut self, count: usize) -> Vec<usize> {
        (0..count.div_ceil(100))
            .map(|_| (self.next() * count as f64) as usize)
            .collect()
    }

    /// 30 to 100, and sometimes the inverse.
    fn factor(&mut self, reversible: bool) -> f32 {
        let factor = 30.0 + 70.0 * self.next();
        let reverse = reversible && self.next() < 0.5;
        (if reverse { 1.0 / factor } else { factor }) as f32
    }
}

fn read(folder: &Path) -> Tensors {
    let checkpoint = Checkpoint::open(folder).unwrap();
    let names: Vec<String> = checkpoint.names().map(str::to_owned).collect();
    names
        .into_iter()
        .map(|name| {
            let shape = checkpoint.shape(&name).unwrap().to_vec();
            let values = checkpoint.to_f32(&name).unwrap();
            (name, (shape, values))
        })
        .collect()
}

fn write(from: &Path, tensors: &Tensors, to: &Path) {
    for file in ["config.json", "preprocessor_config.json"] {
        if from.join(file).exists() {
            std::fs::copy(from.join(file), to.join(file)).unwrap();
        }
    }
    let bytes: Vec<_> = tensors
        .iter()
        .map(|(name, (shape, values))| (name, shape, bytemuck::cast_slice::<f32, u8>(values)))
        .collect();
    let views: HashMap<_, _> = bytes
        .iter()
        .map(|(name, shape, bytes)| {
            let view = TensorView::new(Dtype::F32, (*shape).clone(), bytes).unwrap();
            ((*name).clone(), view)
        })
        .collect();
    safetensors::serialize_to_file(views, None, &to.join("model.safetensors")).unwrap();
}

/// Multiplies a row (`axis` 0) or a column (`axis` 1) of a matrix, or an element of a vector.
fn scale(tensors: &mut Tensors, name: &str, axis: usize, channel: usize, factor: f32) {
    let (shape, values) = tensors.get_mut(name).unwrap();
    let columns = if shape.len() == 2 { shape[1] } else { 1 };
    for (i, value) in values.iter_mut().enumerate() {
        let at = if axis == 0 { i / columns } else { i % columns };
        if at == channel {
            *value *= factor;
        }
    }
}

/// Outliers in every pair of every layer that commutes with a factor.
fn inject(tensors: &mut Tensors, config: &ImageGptConfig, seed: u64) {
    let random = &mut Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let width = config.n_embd;
    for layer in 0..config.n_layer {
        let name = |rest: &str| format!("h.{layer}.{rest}");
        for (gain, weight) in [("ln_1", "attn.c_attn"), ("ln_2", "mlp.c_fc")] {
            for channel in random.channels(width) {
                let factor = random.factor(true);
                scale(
                    tensors,
                    &name(&format!("{gain}.weight")),
                    0,
                    channel,
                    factor,
                );
                scale(
                    tensors,
                    &name(&format!("{weight}.weight")),
                    0,
                    channel,
                    1.0 / factor,
                );
            }
        }
        for channel in random.channels(width) {
            let factor = random.factor(true);
            scale(
                tensors,
                &name("attn.c_attn.weight"),
                1,
                2 * width + channel,
                factor,
            );
            scale(
                tensors,
                &name("attn.c_attn.bias"),
                0,
                2 * width + channel,
                factor,
            );
            scale(
                tensors,
                &name("attn.c_proj.weight"),
                0,
                channel,
                1.0 / factor,
            );
        }
        for channel in random.channels(width) {
            let factor = random.factor(true);
            for (column, factor) in [(channel, factor), (width + channel, 1.0 / factor)] {
                scale(tensors, &name("attn.c_attn.weight"), 1, column, factor);
                scale(tensors, &name("attn.c_attn.bias"), 0, column, factor);
            }
        }
    }
    if tensors.contains_key("lm_head.weight") {
        for channel in random.channels(width) {
            let factor = random.factor(true);
            scale(tensors, "ln_f.weight", 0, channel, factor);
            scale(tensors, "lm_head.weight", 1, channel, 1.0 / factor);
        }
    }
}

/// A channel of the residual stream: all that writes it down, all gains that read it up. Exact but for the norms' mean
/// over all channels, which has one less, so the file is held against its own f32 form.
fn inject_residual(tensors: &mut Tensors, config: &ImageGptConfig, seed: u64) {
    let random = &mut Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    for channel in random.channels(config.n_embd) {
        let factor = 1.0 / random.factor(false);
        scale(tensors, "wte.weight", 1, channel, factor);
        scale(tensors, "wpe.weight", 1, channel, factor);
        for layer in 0..config.n_layer {
            for writer in ["attn.c_proj", "mlp.c_proj"] {
                scale(
                    tensors,
                    &format!("h.{layer}.{writer}.weight"),
                    1,
                    channel,
                    factor,
                );
                scale(
                    tensors,
                    &format!("h.{layer}.{writer}.bias"),
                    0,
                    channel,
                    factor,
                );
            }
            for gain in ["ln_1", "ln_2"] {
                scale(
                    tensors,
                    &format!("h.{layer}.{gain}.weight"),
                    0,
                    channel,
                    1.0 / factor,
                );
            }
        }
        scale(tensors, "ln_f.weight", 0, channel, 1.0 / factor);
    }
}

/// Logits of the checkpoint in `folder` for `batch`, in f32 and from its int8 file.
fn logits(folder: &Path, batch: &[&[u16]]) -> [Vec<f32>; 2] {
    [ModelDtype::F32, ModelDtype::Int8].map(|dtype| {
        let output = folder.join("out.onnx");
        quantize(&Args {
            dtype,
            ..Args::new(folder, &output)
        })
        .unwrap();
        let model = ImageGptModel::load(&output, &LoadOptions::default()).unwrap();
        model.forward(batch).unwrap().logits
    })
}

/// |a - b| / |a|.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    let square = |x: f32| f64::from(x) * f64::from(x);
    let difference: f64 = a.iter().zip(b).map(|(a, b)| square(a - b)).sum();
    (difference / a.iter().map(|a| square(*a)).sum::<f64>()).sqrt()
}

/// Converts `checkpoint` as it is and with outliers from each seed.
fn hold(checkpoint: &Path, seeds: std::ops::Range<u64>) {
    let config = ImageGptConfig::from_file(checkpoint.join("config.json")).unwrap();
    let tensors = read(checkpoint);
    let random = &mut Random(7);
    let length = config.n_positions.min(64);
    let rows: Vec<Vec<u16>> = (0..8)
        .map(|_| {
            let mut id = 0;
            // Runs of a colour, as pictures have them.
            let mut next = || {
                if random.next() < 0.3 {
                    id = (random.next() * config.num_colors() as f64) as u16;
                }
                id
            };
            (0..length).map(|_| next()).collect()
        })
        .collect();
    let batch: Vec<&[u16]> = rows.iter().map(Vec::as_slice).collect();
    let folder = tempfile::tempdir().unwrap();
    write(checkpoint, &tensors, folder.path());
    let [reference, int8] = logits(folder.path(), &batch);
    let plain = distance(&reference, &int8);
    for seed in seeds {
        let mut injected = tensors.clone();
        inject(&mut injected, &config, seed);
        write(checkpoint, &injected, folder.path());
        let [f32s, int8] = logits(folder.path(), &batch);
        let preserved = distance(&reference, &f32s);
        assert!(
            preserved < 1e-4,
            "seed {seed}: the injection changed the model by {preserved}"
        );
        let error = distance(&f32s, &int8);
        println!(
            "{}: seed {seed}: {error:.5}, without outliers {plain:.5}",
            checkpoint.display()
        );
        assert!(
            error < 2.0 * plain,
            "seed {seed}: {error}, without outliers {plain}"
        );

        let mut injected = tensors.clone();
        inject_residual(&mut injected, &config, seed);
        write(checkpoint, &injected, folder.path());
        let [f32s, int8] = logits(folder.path(), &batch);
        let error = distance(&f32s, &int8);
        println!(
            "{}: seed {seed}: {error:.5} with residual outliers",
            checkpoint.display()
        );
        assert!(
            error < 2.0 * plain,
            "residual, seed {seed}: {error}, without outliers {plain}"
        );
    }
}

#[test]
fn the_default_classifier_holds_with_outliers() {
    hold(&root().join("models/fashion-mnist/clf"), 1..5);
}

#[test]
fn the_default_language_model_holds_with_outliers() {
    hold(&root().join("models/fashion-mnist/lm"), 11..13);
}

#[test]
fn a_random_model_holds_with_outliers() {
    hold(&root().join("tests/golden/model/aligned"), 21..29);
}

/// Calibrated on the sample, the int8 file is closer to the f32 one, and stays so with outliers.
#[test]
fn calibration_helps_and_holds_with_outliers() {
    let models = root().join("models/fashion-mnist");
    // The language model: the classifier's weights lie on the int8 grid already and leave little to gain.
    let checkpoint = models.join("lm");
    let config = ImageGptConfig::from_file(checkpoint.join("config.json")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.onnx");
    let last_errors = |from: &Path| {
        let report = quantize(&Args {
            calibrate: Some(models.join("sample")),
            calibrate_images: 24,
            ..Args::new(from, &output)
        })
        .unwrap();
        assert_eq!(report.layers.len(), config.n_layer);
        ImageGptModel::load(&output, &LoadOptions::default()).unwrap();
        let last = report.layers.last().unwrap().calibration.as_ref().unwrap();
        (last.error_before, last.error_after)
    };
    let (before, after) = last_errors(&checkpoint);
    assert!(
        after < 0.85 * before,
        "{after}, without calibration {before}"
    );
    let mut tensors = read(&checkpoint);
    inject(&mut tensors, &config, 5);
    write(&checkpoint, &tensors, folder.path());
    let (_, injected) = last_errors(folder.path());
    assert!(
        injected < 1.2 * after,
        "{injected}, without outliers {after}"
    );
}

/// What cannot be calibrated on is refused by name.
#[test]
fn nonsense_to_calibrate_on_is_refused() {
    let checkpoint = root().join("models/fashion-mnist/clf");
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let missing = folder.path().join("missing");
    for (path, culprit) in [(&empty, "no images"), (&missing, "missing")] {
        let output = folder.path().join("out.onnx");
        let failure = quantize(&Args {
            calibrate: Some(path.clone()),
            ..Args::new(&checkpoint, &output)
        })
        .unwrap_err()
        .to_string();
        assert!(failure.contains(culprit), "{failure}");
        assert!(!output.exists());
    }
}
