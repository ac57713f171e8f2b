//! Checkpoints of Mix Transformers: both spellings of names, every container, and what is refused with what to do.
//!
//! The golden folders come from tests/golden/segformer.py.

use std::fs;
use std::path::{Path, PathBuf};

use igpt_runtime::tools::pb::ModelProto;
use igpt_tools::onnx::{Dtype, Task};
use igpt_tools::verbs::quantize::{Args, quantize};
use prost::Message as _;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};
use tempfile::TempDir;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("golden/segformer")
        .join(name)
}

/// The file that `change` to the default arguments gives, or what is said of it.
fn converted(checkpoint: &Path, change: impl Fn(&mut Args)) -> Result<ModelProto, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let mut args = Args::new(checkpoint, path.clone());
    args.tokens_only = false;
    change(&mut args);
    quantize(&args).map_err(|failure| failure.to_string())?;
    Ok(ModelProto::decode(fs::read(&path).unwrap().as_slice()).unwrap())
}

fn metadata(model: &ModelProto, key: &str) -> Value {
    let mut entries = model.metadata_props.iter();
    let entry = entries.find(|entry| entry.key == key).unwrap();
    serde_json::from_str(&entry.value).unwrap_or_else(|_| entry.value.clone().into())
}

/// A copy of a golden folder with other names and another config.
struct Changed(TempDir);

impl Changed {
    /// `rename` gives the name that a tensor gets, or none to leave it out.
    fn new(name: &str, rename: impl Fn(&str) -> Option<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for file in ["config.json", "preprocessor_config.json"] {
            fs::copy(golden(name).join(file), folder.path().join(file)).unwrap();
        }
        let bytes = fs::read(golden(name).join("model.safetensors")).unwrap();
        let read = SafeTensors::deserialize(&bytes).unwrap();
        let tensors: Vec<(String, TensorView<'_>)> = read
            .tensors()
            .into_iter()
            .filter_map(|(name, tensor)| Some((rename(&name)?, tensor)))
            .collect();
        let path = folder.path().join("model.safetensors");
        safetensors::serialize_to_file(tensors, None, &path).unwrap();
        Self(folder)
    }

    fn with_config(self, key: &str, value: Value) -> Self {
        let path = self.0.path().join("config.json");
        let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        config[key] = value;
        fs::write(&path, config.to_string()).unwrap();
        self
    }

    fn without(self, file: &str) -> Self {
        fs::remove_file(self.0.path().join(file)).unwrap();
        self
    }

    fn refusal(&self, change: impl Fn(&mut Args)) -> String {
        converted(self.0.path(), change).unwrap_err()
    }
}

fn same(name: &str) -> Option<String> {
    Some(name.to_owned())
}

fn assert_says(message: &str, words: &[&str]) {
    for word in words {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
}

/// `new-names` is `hub-names` in the other spelling and in two shards.
#[test]
fn both_spellings_and_shards_give_the_same_file() {
    for dtype in [Dtype::F32, Dtype::Int8] {
        let [old, new] = ["hub-names", "new-names"]
            .map(|name| converted(&golden(name), |args| args.dtype = dtype).unwrap());
        assert_eq!(old.graph, new.graph);
        assert_eq!(old.functions, new.functions);
        for key in ["igpt.format", "igpt.preprocessor"] {
            assert_eq!(metadata(&old, key), metadata(&new, key));
        }
        assert_eq!(metadata(&old, "igpt.format"), 4);
        assert_eq!(metadata(&old, "igpt.config")["model_type"], "segformer");
    }
}

#[test]
fn what_training_tools_put_before_names_is_taken_off() {
    let plain = converted(&golden("hub-names"), |_| {}).unwrap();
    for prefix in ["module.", "model._orig_mod."] {
        let changed = Changed::new("hub-names", |name| Some(format!("{prefix}{name}")));
        let found = converted(changed.0.path(), |_| {}).unwrap();
        assert_eq!(found.graph, plain.graph, "{prefix}");
    }
}

#[test]
fn a_size_is_stored_and_the_graph_has_it() {
    let model = converted(&golden("hub-names"), |args| args.size = Some((96, 64))).unwrap();
    let size = &metadata(&model, "igpt.preprocessor")["size"];
    assert_eq!((&size["height"], &size["width"]), (&json!(96), &json!(64)));
    let graph = model.graph.unwrap();
    let shape = |value: &igpt_runtime::tools::pb::ValueInfoProto| format!("{:?}", value.r#type);
    let input = shape(&graph.input[0]);
    assert_says(
        &input,
        &[
            "DimParam(\"batch\")",
            "DimValue(3)",
            "DimValue(96)",
            "DimValue(64)",
        ],
    );
    // 96 / 4 / 2 / 2 / 2 x 64 / 4 / 2 / 2 / 2 pixels of 32 channels are left.
    let last = shape(graph.value_info.last().unwrap());
    assert_says(&last, &["DimValue(3)", "DimValue(2)", "DimValue(32)"]);
    let too_small = converted(&golden("hub-names"), |args| args.size = Some((64, 24)));
    assert_says(
        &too_small.unwrap_err(),
        &["config.json", "sr_ratios[0] is 8", "take a larger size"],
    );
}

#[test]
fn panels_go_with_a_segformer() {
    let plain = converted(&golden("many-keys"), |_| {}).unwrap();
    let packed = converted(&golden("many-keys"), |args| {
        args.pack = Some("32x4".parse().unwrap())
    });
    let packed = packed.unwrap();
    assert_eq!(metadata(&packed, "igpt.format"), 4);
    assert_eq!(metadata(&packed, "igpt.panels"), "32x4");
    let int8 = |model: &ModelProto| {
        let tensors = model.graph.as_ref().unwrap().initializer.iter();
        let int8 = tensors.filter(|tensor| tensor.data_type == 3);
        int8.map(|tensor| (tensor.name.clone(), tensor.dims.len()))
            .collect::<Vec<_>>()
    };
    let (plain, packed) = (int8(&plain), int8(&packed));
    assert_eq!(plain.len(), packed.len());
    assert!(plain.iter().all(|(_, dims)| *dims == 2) && packed.iter().all(|(_, dims)| *dims == 4));
}

#[test]
fn segmentation_models_are_refused_by_name() {
    let by_class = Changed::new("hub-names", same)
        .with_config("architectures", json!(["SegformerForSemanticSegmentation"]));
    let by_tensors = Changed::new("hub-names", |name| {
        Some(name.replace("classifier.", "decode_head.classifier."))
    });
    for changed in [by_class, by_tensors] {
        let message = changed.refusal(|_| {});
        assert_says(&message, &["segmentation", "decode_head", "nvidia/mit-b0"]);
    }
}

/// With `--task features` they are what is asked for.
#[test]
fn bare_encoders_are_refused_unless_features_are_wanted() {
    let bare = Changed::new("hub-names", |name| {
        Some(name.strip_prefix("segformer.")?.to_owned())
    })
    .with_config("architectures", json!(["SegformerModel"]));
    let says = ["bare encoder", "igpt probe", "--task features"];
    assert_says(&bare.refusal(|_| {}), &says);
    assert_says(
        &bare.refusal(|args| args.task = Some(Task::Classify)),
        &says,
    );
    let features = |args: &mut Args| args.task = Some(Task::Features);
    let (bare, whole) = (
        converted(bare.0.path(), features).unwrap(),
        converted(&golden("hub-names"), features).unwrap(),
    );
    assert_eq!(bare.graph, whole.graph);
}

#[test]
fn other_names_and_missing_tensors_are_told_with_what_to_do() {
    let original = Changed::new("hub-names", |name| {
        Some(name.replace("segformer.encoder.patch_embeddings.0", "patch_embed1"))
    });
    assert_says(
        &original.refusal(|_| {}),
        &["patch_embed1", "convert_segformer_original_to_pytorch.py"],
    );
    let missing = Changed::new("hub-names", |name| {
        (!name.contains("block.1.0.attention.self.key.bias")).then(|| name.to_owned())
    });
    assert_says(
        &missing.refusal(|_| {}),
        &["missing: `stages.1.blocks.0.attention.k_proj.bias` [16]"],
    );
    let extra = Changed::new("many-keys", |name| {
        Some(name.replace("classifier.bias", "loss.bias"))
    });
    assert_says(
        &extra.refusal(|_| {}),
        &[
            "missing: `classifier.bias` [7]",
            "unexpected: `loss.bias` [7]",
            "weights[\"classifier.bias\"] = weights.pop(\"loss.bias\")",
        ],
    );
    let two = Changed::new("many-keys", |name| {
        let older = "segformer.encoder.block.0.0.layer_norm_1.bias";
        Some(name.replace("segformer.stages.0.blocks.0.layernorm_after.bias", older))
    });
    assert_says(
        &two.refusal(|_| {}),
        &["layer_norm_1.bias", "in an older and a newer spelling"],
    );
    let deeper = Changed::new("hub-names", same).with_config("depths", json!([2, 2, 1, 1]));
    assert_says(
        &deeper.refusal(|_| {}),
        &["missing: `stages.1.blocks.1.", "and 12 more"],
    );
}

#[test]
fn options_of_the_other_family_are_refused_by_name() {
    let case = Changed::new("hub-names", same);
    type Change = fn(&mut Args);
    let refused: [(&str, Change); 3] = [
        ("--dtype int4", |args| args.dtype = Dtype::Int4),
        ("--task causal", |args| args.task = Some(Task::Causal)),
        ("--tokens-only", |args| args.tokens_only = true),
    ];
    for (option, change) in refused {
        assert_says(&case.refusal(change), &["a SegFormer", option, "ImageGPT"]);
    }
    let imagegpt = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/fashion-mnist/clf");
    let message = converted(&imagegpt, |args| args.size = Some((224, 224))).unwrap_err();
    assert_says(&message, &["--size", "an ImageGPT", "--processor-config"]);
}

#[test]
fn a_processor_is_needed_and_three_channels() {
    let without = Changed::new("hub-names", same).without("preprocessor_config.json");
    assert_says(
        &without.refusal(|_| {}),
        &[
            "no preprocessor_config.json",
            "--processor-config FILE.json",
        ],
    );
    let given = |args: &mut Args| {
        args.processor_config = Some(golden("many-keys/preprocessor_config.json"));
    };
    let model = converted(without.0.path(), given).unwrap();
    assert_eq!(metadata(&model, "igpt.preprocessor")["size"]["width"], 96);
    let grey = Changed::new("hub-names", same).with_config("num_channels", json!(1));
    assert_says(
        &grey.refusal(|_| {}),
        &["config.json", "num_channels = 1 is not supported"],
    );
}
