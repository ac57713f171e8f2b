//! `igpt quantize --calibrate` for Mix Transformers: the error that its report begins with is the runtime's, it helps, also on pictures
//! that it was not calibrated on, and what cannot be calibrated on is refused by name.
#![cfg(not(target_arch = "aarch64"))]

use std::fs;
use std::path::{Path, PathBuf};

use igpt_runtime::{LoadOptions, SegformerModel, image_io};
use igpt_tools::conversion::Report;
use igpt_tools::onnx::{Dtype, Task};
use igpt_tools::verbs::quantize::{Args, quantize};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sample() -> Vec<PathBuf> {
    let folder = root().join("models/fashion-mnist/sample");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "png"))
        .collect();
    files.sort();
    files
}

/// A folder of these pictures.
fn folder_of(pictures: &[PathBuf]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for picture in pictures {
        fs::copy(picture, folder.path().join(picture.file_name().unwrap())).unwrap();
    }
    folder
}

/// |a - b| / |a|.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    let square = |x: f32| f64::from(x) * f64::from(x);
    let difference: f64 = a.iter().zip(b).map(|(a, b)| square(a - b)).sum();
    (difference / a.iter().map(|a| square(*a)).sum::<f64>()).sqrt()
}

/// A file of `checkpoint`, in int8 calibrated on `images` if there are some.
fn convert(
    checkpoint: &Path,
    task: Task,
    dtype: Dtype,
    images: Option<&Path>,
) -> (SegformerModel, Report) {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.onnx");
    let report = quantize(&Args {
        task: Some(task),
        dtype,
        calibrate: images.map(Path::to_owned),
        ..Args::new(checkpoint, &output)
    })
    .unwrap_or_else(|failure| panic!("{failure}"));
    (
        SegformerModel::load(&output, &LoadOptions::default()).unwrap(),
        report,
    )
}

/// The last hidden state and the logits of every picture.
fn computed(model: &SegformerModel, pictures: &[PathBuf]) -> (Vec<f32>, Vec<f32>) {
    let (mut hidden, mut logits) = (Vec::new(), Vec::new());
    for picture in pictures {
        let image = image_io::decode_file(picture).unwrap();
        let processor = model.processor().unwrap();
        let values = processor.pixel_values(image.rgb(), image.width(), image.height());
        let output = model.forward(&values.unwrap()).unwrap();
        hidden.extend(output.hidden_states.last().unwrap());
        logits.extend(output.logits);
    }
    (hidden, logits)
}

/// Odd widths of heads, ragged maps and ReLU; every form of a block.
#[test]
fn what_the_runtime_computes_comes_nearer_to_f32() {
    let pictures = sample();
    let pictures = &pictures[..12];
    let folder = folder_of(pictures);
    for case in ["hub-names", "relu-odd-heads"] {
        let checkpoint = root().join("tests/golden/segformer").join(case);
        let (exact, _) = convert(&checkpoint, Task::Features, Dtype::F32, None);
        let (plain, _) = convert(&checkpoint, Task::Features, Dtype::Int8, None);
        let (calibrated, report) = convert(
            &checkpoint,
            Task::Features,
            Dtype::Int8,
            Some(folder.path()),
        );
        let [exact, plain, calibrated] =
            [exact, plain, calibrated].map(|model| computed(&model, pictures).0);
        let last = report.layers.last().unwrap();
        assert!(last.part.ends_with("layer_norm"), "{}", last.part);
        let told = last.calibration.as_ref().unwrap();
        let (before, after) = (distance(&exact, &plain), distance(&exact, &calibrated));
        let (told_before, told_after) = (told.error_before, told.error_after);
        println!("{case}: {told_before:.5} to {told_after:.5}, files {before:.5} to {after:.5}");
        assert!(
            (told_before / before - 1.0).abs() < 0.1,
            "{case}: {told_before:.5}, in the file {before:.5}"
        );
        // So few rows are fitted down to the rounding of single activations, which kernels round otherwise here and there: what is told
        // is a bound from below.
        assert!(
            told_after < after && after < 0.75 * before,
            "{case}: {after:.5}, without calibration {before:.5}"
        );
        assert!(
            report
                .layers
                .iter()
                .all(|layer| layer.calibration.is_some())
        );
    }
}

#[test]
fn other_pictures_gain_from_it() {
    let pictures = sample();
    let (seen, unseen): (Vec<_>, Vec<_>) = pictures
        .into_iter()
        .enumerate()
        .partition(|(index, _)| index % 2 == 0);
    let [seen, unseen] =
        [seen, unseen].map(|half| half.into_iter().map(|(_, path)| path).collect::<Vec<_>>());
    let folder = folder_of(&seen);
    let checkpoint = root().join("models/fashion-mnist/mit");
    let exact = computed(
        &convert(&checkpoint, Task::Classify, Dtype::F32, None).0,
        &unseen,
    )
    .1;
    let error = |images| {
        let (model, _) = convert(&checkpoint, Task::Classify, Dtype::Int8, images);
        distance(&exact, &computed(&model, &unseen).1)
    };
    let (before, after) = (error(None), error(Some(folder.path())));
    println!(
        "{} and {} pictures: {before:.5}, calibrated {after:.5}",
        seen.len(),
        unseen.len()
    );
    assert!(
        after < before,
        "{after:.5}, without calibration {before:.5}"
    );
}

#[test]
fn tokens_and_nothing_are_refused_by_name() {
    let checkpoint = root().join("tests/golden/segformer/hub-names");
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens.npy");
    for (images, culprits) in [
        (
            &tokens,
            [
                "--calibrate",
                "tokens.npy",
                "a SegFormer reads pictures, not tokens",
            ],
        ),
        (&folder.path().join("missing"), ["missing", "", ""]),
    ] {
        let output = folder.path().join("out.onnx");
        let failure = quantize(&Args {
            calibrate: Some(images.clone()),
            ..Args::new(&checkpoint, &output)
        });
        let failure = failure.unwrap_err().to_string();
        for culprit in culprits {
            assert!(failure.contains(culprit), "{failure}");
        }
        assert!(!output.exists());
    }
}
