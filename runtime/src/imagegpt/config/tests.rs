//! What `config.json` may say, and what it may not.

use super::ImageGptConfig;
use crate::config::{Activation, ConfigError, ProblemType};

const HUB_SMALL: &str = r#"{"activation_function": "quick_gelu", "attn_pdrop": 0.1,
    "embd_pdrop": 0.1, "initializer_range": 0.02, "layer_norm_epsilon": 1e-05,
    "model_type": "imagegpt", "n_embd": 512, "n_head": 8, "n_inner": null, "n_layer": 24,
    "n_positions": 1024, "reorder_and_upcast_attn": false, "resid_pdrop": 0.1,
    "scale_attn_by_inverse_layer_idx": false, "scale_attn_weights": true,
    "tie_word_embeddings": false, "transformers_version": "4.13.0.dev0", "use_cache": true,
    "vocab_size": 513}"#;

/// `HUB_SMALL` with the fields of `patch` put over it.
fn patched(patch: &str) -> Result<ImageGptConfig, ConfigError> {
    let mut base: serde_json::Value = serde_json::from_str(HUB_SMALL).unwrap();
    let patch: serde_json::Value = serde_json::from_str(patch).unwrap();
    for (k, v) in patch.as_object().unwrap() {
        base[k] = v.clone();
    }
    ImageGptConfig::from_json(&base.to_string())
}

#[test]
fn hub_config_is_small_and_round_trips() {
    let config = ImageGptConfig::from_json(HUB_SMALL).unwrap();
    assert_eq!(config, ImageGptConfig::small());
    assert_eq!(
        ImageGptConfig::from_json(&config.to_json()).unwrap(),
        config
    );
    let value = serde_json::to_value(&config).unwrap();
    assert_eq!(
        serde_json::from_value::<ImageGptConfig>(value).unwrap(),
        config
    );
}

#[test]
fn only_the_model_type_is_required() {
    let config = ImageGptConfig::from_json(r#"{"model_type": "imagegpt"}"#).unwrap();
    assert_eq!(config, ImageGptConfig::default());
    assert_eq!(config.labels(), ["LABEL_0", "LABEL_1"]);
    assert_eq!(
        (config.head_dim(), config.inner_dim(), config.sos_token()),
        (64, 2048, 512)
    );
}

#[test]
fn every_field_is_read_and_written() {
    let config = patched(
        r#"{"vocab_size": 33, "n_positions": 196, "n_embd": 60, "n_layer": 3, "n_head": 4,
            "n_inner": 37, "activation_function": "swish", "layer_norm_epsilon": 1e-6,
            "scale_attn_weights": false, "scale_attn_by_inverse_layer_idx": true,
            "reorder_and_upcast_attn": true, "id2label": {"1": "b", "0": "a", "2": "a"},
            "num_labels": 3, "architectures": ["ImageGPTModel"], "tie_word_embeddings": true,
            "problem_type": "multi_label_classification"}"#,
    )
    .unwrap();
    assert_eq!(
        config,
        ImageGptConfig {
            vocab_size: 33,
            n_positions: 196,
            n_embd: 60,
            n_layer: 3,
            n_head: 4,
            n_inner: Some(37),
            activation_function: Activation::Silu,
            layer_norm_epsilon: 1e-6,
            scale_attn_weights: false,
            scale_attn_by_inverse_layer_idx: true,
            reorder_and_upcast_attn: true,
            add_cross_attention: false,
            tie_word_embeddings: true,
            problem_type: Some(ProblemType::MultiLabel),
            id2label: ["a", "b", "a"].map(String::from).to_vec(),
            architectures: vec!["ImageGPTModel".into()],
        }
    );
    assert_eq!(
        ImageGptConfig::from_json(&config.to_json()).unwrap(),
        config
    );
}

#[test]
fn aliases_of_the_attribute_map() {
    let text = r#"{"model_type": "imagegpt", "hidden_size": 96, "num_attention_heads": 3,
        "num_hidden_layers": 2, "max_position_embeddings": 64}"#;
    let c = ImageGptConfig::from_json(text).unwrap();
    assert_eq!(
        (c.n_embd, c.n_head, c.n_layer, c.n_positions),
        (96, 3, 2, 64)
    );
    let error = patched(r#"{"hidden_size": 96}"#).unwrap_err().to_string();
    assert_eq!(
        error,
        "hidden_size is 96, expected the same as n_embd = 512"
    );
}

#[test]
fn attention_scales() {
    let mut c = ImageGptConfig::small();
    assert_eq!(c.attn_scale(5), 0.125);
    c.scale_attn_by_inverse_layer_idx = true;
    assert_eq!(c.attn_scale(0), 0.125);
    assert_eq!(c.attn_scale(3), 0.03125);
    c.scale_attn_weights = false;
    assert_eq!(c.attn_scale(3), 0.25);
    c.scale_attn_by_inverse_layer_idx = false;
    assert_eq!(c.attn_scale(3), 1.0);
}

#[test]
fn published_sizes() {
    // Chen et al. 2020 give 76M, 455M, 1362M and 6801M (the last at 1024 positions).
    let mega = |c: ImageGptConfig| c.num_parameters() as f64 / 1e6;
    assert_eq!(mega(ImageGptConfig::small()).round(), 76.0);
    assert_eq!(mega(ImageGptConfig::medium()).round(), 455.0);
    assert_eq!(mega(ImageGptConfig::large()).round(), 1362.0);
    assert_eq!(
        mega(ImageGptConfig {
            n_positions: 1024,
            ..ImageGptConfig::xl()
        })
        .floor(),
        6801.0
    );
    // 76,682,240 with the 512 x 512 language-model head, counted from Hugging Face's model.
    assert_eq!(
        ImageGptConfig::small().num_parameters() + 512 * 512,
        76_682_240
    );
    for c in [
        ImageGptConfig::small(),
        ImageGptConfig::medium(),
        ImageGptConfig::large(),
        ImageGptConfig::xl(),
    ] {
        c.validate().unwrap();
    }
}

#[test]
fn activations_by_every_name() {
    for a in Activation::ALL {
        assert_eq!(Activation::from_name(a.name()), Some(a));
    }
    for (name, a) in [
        ("gelu_pytorch_tanh", Activation::GeluNew),
        ("gelu_python_tanh", Activation::GeluNew),
        ("gelu_accurate", Activation::GeluNew),
        ("gelu_fast", Activation::GeluNew),
        ("gelu_python", Activation::Gelu),
        ("swish", Activation::Silu),
    ] {
        assert_eq!(Activation::from_name(name), Some(a), "{name}");
    }
    for name in ["", "QUICK_GELU", "relu6", "gelu_10", "tanh"] {
        assert_eq!(Activation::from_name(name), None, "{name}");
    }
}

#[test]
fn refusals_name_the_field() {
    for (patch, field) in [
        (r#"{"model_type": "gpt2"}"#, "model_type"),
        (r#"{"model_type": null}"#, "model_type"),
        (r#"{"vocab_size": 1}"#, "vocab_size"),
        (r#"{"vocab_size": 65537}"#, "vocab_size"),
        (r#"{"vocab_size": 513.5}"#, "vocab_size"),
        (r#"{"n_positions": 0}"#, "n_positions"),
        (r#"{"n_positions": 65537}"#, "n_positions"),
        (r#"{"n_embd": -1}"#, "n_embd"),
        (r#"{"n_embd": 1e30}"#, "n_embd"),
        (r#"{"n_embd": 16385}"#, "n_embd"),
        (r#"{"n_embd": "512"}"#, "n_embd"),
        (r#"{"n_layer": 0}"#, "n_layer"),
        (r#"{"n_layer": 1025}"#, "n_layer"),
        (r#"{"n_head": 0}"#, "n_head"),
        (r#"{"n_head": 7}"#, "n_head"),
        (r#"{"n_inner": 0}"#, "n_inner"),
        (r#"{"n_inner": 18446744073709551615}"#, "n_inner"),
        (r#"{"layer_norm_epsilon": 0}"#, "layer_norm_epsilon"),
        (r#"{"layer_norm_epsilon": 1e-60}"#, "layer_norm_epsilon"),
        (r#"{"layer_norm_epsilon": 1.0}"#, "layer_norm_epsilon"),
        (r#"{"activation_function": "mish"}"#, "activation_function"),
        (r#"{"add_cross_attention": true}"#, "add_cross_attention"),
        (r#"{"tie_word_embeddings": 1}"#, "tie_word_embeddings"),
        (r#"{"problem_type": "multi_label"}"#, "problem_type"),
        (r#"{"problem_type": ["regression"]}"#, "problem_type"),
        (
            r#"{"problem_type": "single_label_classification", "num_labels": 1}"#,
            "problem_type",
        ),
        (
            r#"{"per_layer_config": {"0": {"layer_norm_epsilon": 0.5}}}"#,
            "per_layer_config",
        ),
        (r#"{"scale_attn_weights": 1}"#, "scale_attn_weights"),
        (r#"{"pruned_heads": {"0": [1]}}"#, "pruned_heads"),
        (r#"{"quantization_config": {}}"#, "quantization_config"),
        (r#"{"num_labels": 0}"#, "num_labels"),
        (r#"{"num_labels": 1000000000000}"#, "num_labels"),
        (r#"{"id2label": {}}"#, "id2label"),
        (r#"{"id2label": {"0": "a", "2": "b"}}"#, "id2label"),
        (r#"{"id2label": {"0": "a", "00": "b"}}"#, "id2label"),
        (r#"{"id2label": {"0": true}}"#, "id2label"),
        (r#"{"id2label": {"0": null}}"#, "id2label"),
        (r#"{"id2label": {"0": ["a"]}}"#, "id2label"),
        (r#"{"label2id": {"cat": 0, "dog": 1}}"#, "label2id"),
        (r#"{"id2label": ["a"]}"#, "id2label"),
        (r#"{"id2label": {"0": "a"}, "num_labels": 2}"#, "num_labels"),
        (r#"{"architectures": "ImageGPTModel"}"#, "architectures"),
    ] {
        let error = patched(patch).expect_err(patch).to_string();
        assert!(error.starts_with(field), "{patch}: {error}");
    }
}

#[test]
fn numbers_are_labels_too() {
    let c = patched(r#"{"id2label": {"0": 7, "1": "7", "2": 0.5, "3": -1}}"#).unwrap();
    assert_eq!(c.labels(), ["7", "7", "0.5", "-1"]);
    // Whatever label2id makes of them, here as transformers writes it for the default names.
    let c = patched(r#"{"label2id": {"LABEL_0": 0, "LABEL_1": 1}}"#).unwrap();
    assert_eq!(c.labels(), ["LABEL_0", "LABEL_1"]);
    let c = patched(r#"{"id2label": {"0": "a", "1": "b"}, "label2id": {"x": 9}}"#).unwrap();
    assert_eq!(c.labels(), ["a", "b"]);
}

#[test]
fn logits_mean_what_transformers_pipeline_makes_of_them() {
    use ProblemType::{MultiLabel, Regression, SingleLabel};
    for (problem, labels, expected) in [
        ("null", 3, SingleLabel),
        ("null", 1, MultiLabel),
        ("\"single_label_classification\"", 2, SingleLabel),
        ("\"multi_label_classification\"", 3, MultiLabel),
        ("\"multi_label_classification\"", 1, MultiLabel),
        ("\"regression\"", 1, Regression),
        ("\"regression\"", 3, Regression),
    ] {
        let patch = format!(r#"{{"problem_type": {problem}, "num_labels": {labels}}}"#);
        let config = patched(&patch).unwrap();
        assert_eq!(config.resolved_problem_type(), expected, "{patch}");
        let again = ImageGptConfig::from_json(&config.to_json()).unwrap();
        assert_eq!(again, config, "the file keeps it");
    }
}

#[test]
fn tied_embeddings_are_a_language_models_only() {
    let config = patched(r#"{"tie_word_embeddings": true}"#).unwrap();
    let error = config.check_causal().unwrap_err().to_string();
    for part in ["tie_word_embeddings = true", "no lm_head", "vocab_size - 1"] {
        assert!(error.contains(part), "{error}");
    }
    patched("{}").unwrap().check_causal().unwrap();
}

#[test]
fn every_truncation_is_an_error() {
    for end in 0..HUB_SMALL.len() {
        assert!(
            ImageGptConfig::from_json(&HUB_SMALL[..end]).is_err(),
            "{end} bytes"
        );
    }
    assert!(ImageGptConfig::from_json("[]").is_err());
}

#[test]
fn file_errors_name_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.json");
    let error = ImageGptConfig::from_file(&path).unwrap_err().to_string();
    assert!(error.contains("config.json: cannot be read"), "{error}");
    std::fs::write(&path, r#"{"model_type": "imagegpt", "n_head": 7}"#).unwrap();
    let error = ImageGptConfig::from_file(&path).unwrap_err().to_string();
    assert!(
        error.ends_with("config.json: n_head is 7, expected a divisor of n_embd = 512"),
        "{error}"
    );
}
