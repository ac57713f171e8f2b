//! What a classifier's logits mean: the labels and scores that transformers' image-classification pipeline gives
//! for every problem type and number of labels (tests/golden/heads.py).

use std::fs;
use std::path::{Path, PathBuf};

use igpt_runtime::{ImageGptForImageClassification, LoadOptions, Score, image_io};
use igpt_tools::failure::Failure;
use igpt_tools::onnx::Dtype;
use igpt_tools::verbs::quantize::{Args, quantize};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::Value;

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/fashion-mnist")
}

fn golden() -> Value {
    let text = include_str!("../golden/heads.json");
    serde_json::from_str(text).unwrap()
}

/// The shipped classifier in f32 with these changes to config.json and so many rows of its head.
fn model(change: &Value, rows: usize) -> Result<ImageGptForImageClassification, Failure> {
    let folder = tempfile::tempdir().unwrap();
    let clf = models().join("clf");
    let read = |name: &str| fs::read(clf.join(name)).unwrap();
    let mut config: Value = serde_json::from_slice(&read("config.json")).unwrap();
    for (field, value) in change.as_object().unwrap() {
        config[field] = value.clone();
    }
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let processor = read("preprocessor_config.json");
    fs::write(folder.path().join("preprocessor_config.json"), processor).unwrap();
    let bytes = read("model.safetensors");
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let cut = |(name, tensor): (String, TensorView<'_>)| {
        let mut shape = tensor.shape().to_vec();
        let mut data = tensor.data().to_vec();
        if name == "score.weight" {
            data.truncate(data.len() / shape[0] * rows);
            shape[0] = rows;
        }
        (name, tensor.dtype(), shape, data)
    };
    let kept: Vec<_> = tensors.tensors().into_iter().map(cut).collect();
    let views = kept.iter().map(|(name, dtype, shape, data)| {
        let view = TensorView::new(*dtype, shape.clone(), data).unwrap();
        (name.as_str(), view)
    });
    let path = folder.path().join("model.safetensors");
    safetensors::serialize_to_file(views, None, &path).unwrap();
    let out = folder.path().join("model.onnx");
    quantize(&Args {
        dtype: Dtype::F32,
        ..Args::new(folder.path(), &out)
    })?;
    Ok(ImageGptForImageClassification::load(&out, &LoadOptions::default()).unwrap())
}

#[test]
fn labels_and_scores_are_those_of_transformers_pipeline() {
    let golden = golden();
    let weights = fs::read(models().join("clf/model.safetensors")).unwrap();
    let sum = crc32fast::hash(&weights);
    assert_eq!(golden["crc32"], sum, "run tests/golden/heads.py again");
    for (name, head) in golden["heads"].as_object().unwrap() {
        let rows = head["rows"].as_u64().unwrap() as usize;
        let model = model(&head["config"], rows).unwrap();
        let mut session = model.session().unwrap();
        let regression = name.contains("regression");
        let images = golden["images"].as_array().unwrap();
        for (image, expected) in images.iter().zip(head["results"].as_array().unwrap()) {
            let path = models().join("sample").join(image.as_str().unwrap());
            let picture = image_io::decode_file(&path).unwrap();
            let verdict = session
                .classify_rgb8(picture.rgb(), picture.width(), picture.height())
                .unwrap();
            let top = verdict.top_k(rows + 1);
            let expected = expected.as_array().unwrap();
            assert_eq!(top.len(), expected.len());
            for (found, expected) in top.iter().zip(expected) {
                let (label, score) = (&expected["label"], expected["score"].as_f64().unwrap());
                assert_eq!(found.label, *label, "{name}, {image}: {top:?}");
                let difference = (f64::from(found.score.number()) - score).abs();
                assert!(
                    difference < 1e-4 * score.abs().max(1e-2),
                    "{name}, {image}, {label}: {:?}, expected {score}",
                    found.score
                );
                assert_eq!(matches!(found.score, Score::Value(_)), regression, "{name}");
            }
            assert_eq!(verdict.probabilities().is_none(), regression);
        }
    }
}

#[test]
fn what_transformers_refuses_is_refused() {
    for change in golden()["refused"].as_array().unwrap() {
        let change: Value = serde_json::from_str(change.as_str().unwrap()).unwrap();
        let failure = model(&change, 1).unwrap_err();
        let message = failure.to_string();
        assert!(matches!(failure, Failure::BadInput(_)), "{message}");
        assert!(
            message.contains("config.json: problem_type") && message.contains("regression"),
            "{message}"
        );
    }
}
