//! A Mix Transformer's file that is wrong or damaged, another family's, and sessions: errors that name the culprit, never
//! a panic.

use std::path::{Path, PathBuf};

use igpt_runtime::tools::pb;
use igpt_runtime::{
    AutoModelForImageClassification, ImageGptForCausalImageModeling,
    ImageGptForImageClassification, ImageGptModel, LoadOptions, SegformerForImageClassification,
    SegformerModel,
};
use igpt_tools::onnx::{Dtype, Task};
use igpt_tools::verbs::quantize::{Args, quantize};
use prost::Message as _;
use tempfile::TempDir;

/// A converted checkpoint of tests/golden/segformer; the file lives as long as this.
struct Model {
    _folder: TempDir,
    path: PathBuf,
}

impl Model {
    fn convert(case: &str, task: Option<Task>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.onnx");
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/segformer");
        let args = Args {
            task,
            dtype: Dtype::Int8,
            ..Args::new(golden.join(case), path.clone())
        };
        quantize(&args).unwrap_or_else(|failure| panic!("{case}: {failure}"));
        Self {
            _folder: folder,
            path,
        }
    }
}

/// The file of `hub-names`, which `change` changes, sealed.
fn changed(change: impl FnOnce(&mut pb::ModelProto)) -> Vec<u8> {
    let file = Model::convert("hub-names", None);
    let bytes = std::fs::read(&file.path).unwrap();
    let mut proto = pb::ModelProto::decode(bytes.as_slice()).unwrap();
    change(&mut proto);
    let seal = proto.metadata_props.pop().expect("the checksum");
    let mut bytes = proto.encode_to_vec();
    let sum = crc32fast::hash(&bytes);
    let mut last = pb::ModelProto {
        metadata_props: vec![seal],
        ..Default::default()
    };
    last.metadata_props[0].value = format!("{sum:08x}");
    bytes.extend(last.encode_to_vec());
    bytes
}

fn load(bytes: Vec<u8>) -> Result<SegformerForImageClassification, String> {
    let options = LoadOptions::new().with_threads(1);
    SegformerForImageClassification::from_bytes(bytes, &options).map_err(|e| e.to_string())
}

/// The value of an entry of the metadata.
fn entry<'a>(proto: &'a mut pb::ModelProto, key: &str) -> &'a mut String {
    let mut entries = proto.metadata_props.iter_mut();
    let entry = entries.find(|entry| entry.key == key);
    &mut entry.unwrap_or_else(|| panic!("no {key}")).value
}

/// Height of the graph's input.
fn height(proto: &mut pb::ModelProto) -> &mut pb::tensor_shape_proto::Dimension {
    let input = &mut proto.graph.as_mut().unwrap().input[0];
    let Some(pb::type_proto::Value::TensorType(tensor)) = &mut input.r#type.as_mut().unwrap().value
    else {
        panic!("no tensor");
    };
    &mut tensor.shape.as_mut().unwrap().dim[2]
}

#[test]
fn a_file_that_is_not_what_its_configuration_says_is_refused_by_name() {
    load(changed(|_| {})).unwrap();
    type Change = fn(&mut pb::ModelProto);
    let cases: [(Change, &[&str]); 12] = [
        (
            |p| *entry(p, "igpt.format") = "3".into(),
            &["igpt.format is 3", "expected 4", "segformer"],
        ),
        (
            |p| *entry(p, "igpt.task") = "causal".into(),
            &["igpt.task is causal", "no language model's head"],
        ),
        (
            |p| *entry(p, "igpt.dtype") = "int4".into(),
            &["igpt.dtype is int4", "int8 or f32"],
        ),
        (
            |p| *entry(p, "igpt.config") = r#"{"model_type": "vit"}"#.into(),
            &["model_type", "\"vit\"", "\"segformer\""],
        ),
        (
            |p| {
                let config = entry(p, "igpt.config");
                *config = config.replace("\"hidden_act\":\"gelu\"", "\"hidden_act\":\"relu\"");
                *config = config.replace("\"hidden_act\": \"gelu\"", "\"hidden_act\": \"relu\"");
            },
            &[
                "node segformer.stages.0.blocks.0",
                "activation is gelu",
                "relu",
            ],
        ),
        (
            |p| {
                let value = pb::tensor_shape_proto::dimension::Value::DimValue(80);
                height(p).value = Some(value);
            },
            &["igpt.preprocessor", "64 x 64", "80 x 64"],
        ),
        (
            |p| {
                let value = pb::tensor_shape_proto::dimension::Value::DimParam("h".into());
                height(p).value = Some(value);
            },
            &["input has the shape", "a symbol", "height, width"],
        ),
        (
            |p| {
                let value = pb::tensor_shape_proto::dimension::Value::DimValue(16);
                height(p).value = Some(value);
            },
            &["sr_ratios[0] is 8", "at most 4", "larger size"],
        ),
        (
            |p| {
                let value = pb::tensor_shape_proto::dimension::Value::DimValue(i64::MAX);
                height(p).value = Some(value);
            },
            &["input has the shape", "pixels"],
        ),
        (
            |p| p.graph.as_mut().unwrap().node[1].attribute[0].i = 77,
            &["node segformer.stages.0.blocks.0", "77"],
        ),
        (
            |p| {
                p.graph.as_mut().unwrap().node.pop();
            },
            &["nodes, expected"],
        ),
        (
            |p| {
                let graph = p.graph.as_mut().unwrap();
                let at = graph
                    .initializer
                    .iter()
                    .position(|t| t.name == "classifier.bias");
                graph.initializer.remove(at.unwrap());
            },
            &["initializer classifier.bias is missing"],
        ),
    ];
    for (i, (change, words)) in cases.into_iter().enumerate() {
        let error = load(changed(change)).expect_err("a wrong file");
        for word in words {
            assert!(error.contains(word), "case {i}: {word}: {error}");
        }
    }
}

#[test]
fn damage_behind_a_right_checksum_never_panics() {
    let file = Model::convert("relu-odd-heads", None);
    let good = std::fs::read(&file.path).unwrap();
    let body = good.len() - 24;
    for step in 0..200 {
        let mut bytes = good.clone();
        // Wherever structure lies, most of it before and after the weights.
        let at = step * 7919 % body;
        bytes[at] ^= 1 << (step % 8);
        let sum = format!("{:08x}", crc32fast::hash(&bytes[..body]));
        bytes[body + 16..].copy_from_slice(sum.as_bytes());
        if let Ok(model) = load(bytes) {
            // A flipped weight is a weight.
            let _ = model.session().unwrap().classify_rgb8(&[9; 12], 2, 2);
        }
    }
}

#[test]
fn each_family_is_refused_by_the_others_classes_by_name() {
    let options = LoadOptions::new().with_threads(1);
    let file = Model::convert("hub-names", None);
    for error in [
        ImageGptForImageClassification::load(&file.path, &options).unwrap_err(),
        ImageGptForCausalImageModeling::load(&file.path, &options).unwrap_err(),
        ImageGptModel::load(&file.path, &options).unwrap_err(),
    ] {
        let error = error.to_string();
        assert!(
            error.contains(
                "model.onnx: the file holds a segformer model, this needs an imagegpt model;"
            ),
            "{error}"
        );
    }
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../models/fashion-mnist/igpt-fashion-mnist-int8.onnx");
    let error = SegformerModel::load(&shipped, &options)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("holds an imagegpt model, this needs a segformer"),
        "{error}"
    );
    for path in [&file.path, &shipped] {
        AutoModelForImageClassification::load(path, &options).unwrap();
    }
    let features = Model::convert("hub-names", Some(Task::Features));
    let error = AutoModelForImageClassification::load(&features.path, &options).unwrap_err();
    assert!(
        error.to_string().contains("made for task features"),
        "{error}"
    );
}

#[test]
fn a_session_repeats_itself_only_where_the_picture_does_and_recovers() {
    let file = Model::convert("hub-names", None);
    let options = LoadOptions::new().with_threads(2);
    let model = AutoModelForImageClassification::load(&file.path, &options).unwrap();
    let picture = |seed: usize| -> Vec<u8> {
        (0..70 * 50 * 3)
            .map(|i| (i * (seed + 3) * 7 % 251) as u8)
            .collect()
    };
    let fresh = |rgb: &[u8]| {
        let mut session = model.session().unwrap();
        session.classify_rgb8(rgb, 70, 50).unwrap().logits
    };
    let mut session = model.session().unwrap();
    for seed in [1, 1, 2, 1, 2, 2] {
        let rgb = picture(seed);
        let found = session.classify_rgb8(&rgb, 70, 50).unwrap();
        assert_eq!(found.logits, fresh(&rgb));
        assert_eq!(found.reused_tokens, 0);
        let error = session.classify_rgb8(&rgb, 70, 51);
        assert!(error.is_err(), "a picture of other bytes than it says");
    }
    // Numbers that are none are told by layer.
    let model = SegformerModel::load(&file.path, &options).unwrap();
    let mut pixels = vec![0.5; 3 * 64 * 64];
    pixels[100] = f32::NAN;
    let error = model.logits(&pixels).unwrap_err().to_string();
    assert!(
        error.contains("segformer.stages.0.patch_embeddings: row "),
        "{error}"
    );
    let error = model.logits(&pixels[1..]).unwrap_err().to_string();
    assert!(
        error.contains("pixel values: 12287 of them, expected 3 * 64 * 64"),
        "{error}"
    );
}
