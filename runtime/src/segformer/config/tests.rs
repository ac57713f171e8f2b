//! What a `config.json` of this family may say, and what it may not.

use super::SegformerConfig;
use crate::config::{Activation, ConfigError, ProblemType};

/// What transformers 4.12 wrote, in which form the hub has the checkpoints.
const HUB_B0: &str = r#"{"architectures": ["SegformerForImageClassification"],
    "attention_probs_dropout_prob": 0.0, "classifier_dropout_prob": 0.1, "decoder_hidden_size": 256,
    "depths": [2, 2, 2, 2], "downsampling_rates": [1, 4, 8, 16], "drop_path_rate": 0.1,
    "hidden_act": "gelu", "hidden_dropout_prob": 0.0, "hidden_sizes": [32, 64, 160, 256],
    "image_size": 224, "initializer_range": 0.02, "layer_norm_eps": 1e-06,
    "mlp_ratios": [4, 4, 4, 4], "model_type": "segformer", "num_attention_heads": [1, 2, 5, 8],
    "num_channels": 3, "num_encoder_blocks": 4, "patch_sizes": [7, 3, 3, 3],
    "sr_ratios": [8, 4, 2, 1], "strides": [4, 2, 2, 2], "torch_dtype": "float32",
    "transformers_version": "4.12.0.dev0"}"#;

/// `HUB_B0` with the fields of `patch` put over it.
fn patched(patch: &str) -> Result<SegformerConfig, ConfigError> {
    let mut base: serde_json::Value = serde_json::from_str(HUB_B0).unwrap();
    let patch: serde_json::Value = serde_json::from_str(patch).unwrap();
    for (k, v) in patch.as_object().unwrap() {
        base[k] = v.clone();
    }
    SegformerConfig::from_json(&base.to_string())
}

#[test]
fn the_hubs_config_is_b0_and_round_trips() {
    let config = SegformerConfig::from_json(HUB_B0).unwrap();
    let expected = SegformerConfig {
        architectures: vec!["SegformerForImageClassification".to_owned()],
        ..SegformerConfig::b0()
    };
    assert_eq!(config, expected);
    assert_eq!(
        SegformerConfig::from_json(&config.to_json()).unwrap(),
        config
    );
    let only_the_type = SegformerConfig::from_json(r#"{"model_type": "segformer"}"#).unwrap();
    assert_eq!(only_the_type, SegformerConfig::b0());
}

#[test]
fn every_field_is_read_and_written() {
    let config = patched(
        r#"{"num_channels": 4, "num_encoder_blocks": 3, "depths": [1, 2, 3], "sr_ratios": [3, 2, 1],
            "hidden_sizes": [20, 30, 50], "patch_sizes": [5, 4, 2], "strides": [3, 2, 1],
            "num_attention_heads": [3, 2, 7], "mlp_ratios": [1, 2, 3], "hidden_act": "relu",
            "reshape_last_stage": false, "problem_type": "regression",
            "id2label": {"1": "b", "0": "a", "2": "a"}, "architectures": ["SegformerModel"]}"#,
    )
    .unwrap();
    let expected = SegformerConfig {
        num_channels: 4,
        num_encoder_blocks: 3,
        depths: vec![1, 2, 3],
        sr_ratios: vec![3, 2, 1],
        hidden_sizes: vec![20, 30, 50],
        patch_sizes: vec![5, 4, 2],
        strides: vec![3, 2, 1],
        num_attention_heads: vec![3, 2, 7],
        mlp_ratios: vec![1, 2, 3],
        hidden_act: Activation::Relu,
        reshape_last_stage: false,
        problem_type: Some(ProblemType::Regression),
        id2label: ["a", "b", "a"].map(String::from).to_vec(),
        architectures: vec!["SegformerModel".into()],
    };
    assert_eq!(config, expected);
    assert_eq!(
        SegformerConfig::from_json(&config.to_json()).unwrap(),
        config
    );
    // Heads that do not divide the width are legal, and leave some of it out.
    let of = |stage| (config.head_dim(stage), config.attention_width(stage));
    assert_eq!([of(0), of(1), of(2)], [(6, 18), (15, 30), (7, 49)]);
    assert_eq!(config.inner_dim(2), 150);
    assert_eq!([0, 1].map(|stage| config.patch_width(stage)), [100, 320]);
    let error = config.check_rgb().unwrap_err().to_string();
    assert!(error.starts_with("num_channels = 4 "), "{error}");
}

#[test]
fn what_has_no_effect_has_none() {
    let base = patched("{}").unwrap();
    for patch in [
        r#"{"layer_norm_eps": 0.1}"#,
        r#"{"image_size": 512, "downsampling_rates": [1]}"#,
        r#"{"decoder_hidden_size": 768, "semantic_loss_ignore_index": 0}"#,
        r#"{"drop_path_rate": 0.9, "classifier_dropout_prob": 0.5}"#,
        r#"{"num_hidden_layers": 4}"#,
        r#"{"depths": null}"#,
    ] {
        assert_eq!(patched(patch).unwrap(), base, "{patch}");
    }
    assert_eq!(SegformerConfig::EPSILON, 1e-5);
}

#[test]
fn refusals_name_the_field() {
    for (patch, field) in [
        (r#"{"model_type": "imagegpt"}"#, "model_type"),
        (r#"{"model_type": null}"#, "model_type"),
        (r#"{"num_channels": 0}"#, "num_channels"),
        (r#"{"num_channels": 65}"#, "num_channels"),
        (r#"{"num_encoder_blocks": 0}"#, "num_encoder_blocks"),
        (r#"{"num_encoder_blocks": 17}"#, "num_encoder_blocks"),
        // A list longer than there are stages: transformers runs it and classifies nonsense.
        (r#"{"num_encoder_blocks": 3}"#, "depths is a list of 4"),
        (r#"{"num_hidden_layers": 3}"#, "num_hidden_layers"),
        (r#"{"depths": [2, 2]}"#, "depths is a list of 2"),
        (
            r#"{"hidden_sizes": [32, 64, 160, 256, 512]}"#,
            "hidden_sizes",
        ),
        (r#"{"depths": [2, 0, 2, 2]}"#, "depths[1]"),
        (r#"{"depths": [1024, 1, 1, 1]}"#, "the sum of depths"),
        (r#"{"depths": 2}"#, "depths"),
        (r#"{"sr_ratios": [8, 4, 2, 65]}"#, "sr_ratios[3]"),
        (r#"{"sr_ratios": [8.5, 4, 2, 1]}"#, "sr_ratios"),
        (r#"{"sr_ratios": [64, 4, 2, 1]}"#, "sr_ratios[0]"),
        (r#"{"patch_sizes": [0, 3, 3, 3]}"#, "patch_sizes[0]"),
        (r#"{"patch_sizes": [7, 3, 3, 64]}"#, "patch_sizes[3]"),
        (r#"{"strides": [4, 2, 2, -1]}"#, "strides"),
        (
            r#"{"num_attention_heads": [33, 2, 5, 8]}"#,
            "num_attention_heads[0]",
        ),
        (r#"{"mlp_ratios": [2.5, 4, 4, 4]}"#, "mlp_ratios"),
        (r#"{"mlp_ratios": [4.0, 4, 4, 4]}"#, "mlp_ratios"),
        (r#"{"mlp_ratios": [4, 4, 4, "4"]}"#, "mlp_ratios"),
        (
            r#"{"hidden_sizes": [32, 64, 160, 16385]}"#,
            "hidden_sizes[3]",
        ),
        (r#"{"hidden_sizes": [32, 64, 160, 1e30]}"#, "hidden_sizes"),
        (r#"{"hidden_act": "mish"}"#, "hidden_act"),
        (r#"{"reshape_last_stage": 1}"#, "reshape_last_stage"),
        (r#"{"id2label": {"0": "a", "2": "b"}}"#, "id2label"),
        (r#"{"num_labels": 0}"#, "num_labels"),
        (r#"{"problem_type": "multi_label"}"#, "problem_type"),
        (r#"{"quantization_config": {}}"#, "quantization_config"),
        (r#"{"pruned_heads": {"0": [1]}}"#, "pruned_heads"),
        (r#"{"per_layer_config": {"0": {}}}"#, "per_layer_config"),
    ] {
        let error = patched(patch).expect_err(patch).to_string();
        assert!(error.starts_with(field), "{patch}: {error}");
    }
}

#[test]
fn the_alias_counts_where_the_name_is_silent() {
    let text = r#"{"model_type": "segformer", "num_hidden_layers": 1, "depths": [1], "sr_ratios": [1],
        "hidden_sizes": [8], "patch_sizes": [3], "strides": [2], "num_attention_heads": [1],
        "mlp_ratios": [2]}"#;
    let config = SegformerConfig::from_json(text).unwrap();
    assert_eq!(config.num_encoder_blocks, 1);
}

#[test]
fn published_sizes() {
    // With a head of 1000 labels, as transformers counts them.
    let mega = |c: SegformerConfig| {
        let head = (c.hidden_sizes[3] + 1) * 1000;
        ((c.num_parameters() + head as u64) as f64 / 1e4).round() / 100.0
    };
    let all = [
        SegformerConfig::b0(),
        SegformerConfig::b1(),
        SegformerConfig::b2(),
        SegformerConfig::b3(),
        SegformerConfig::b4(),
        SegformerConfig::b5(),
    ];
    for config in &all {
        config.validate().unwrap();
    }
    assert_eq!(all.map(mega), [3.58, 13.66, 24.71, 44.59, 61.36, 81.96]);
}

#[test]
fn maps_shrink_from_stage_to_stage_and_may_become_too_small() {
    let config = SegformerConfig::b0();
    let square = |n| (n, n);
    let at = |h, w| config.grids(h, w);
    assert_eq!(at(224, 224).unwrap(), [56, 28, 14, 7].map(square));
    assert_eq!(at(512, 512).unwrap(), [128, 64, 32, 16].map(square));
    // Ragged: nothing is padded to a multiple of anything.
    assert_eq!(at(225, 97).unwrap(), [(57, 25), (29, 13), (15, 7), (8, 4)]);
    let error = at(224, 24).unwrap_err().to_string();
    assert!(
        error.starts_with("sr_ratios[0] is 8, expected at most 6: of 24x224 pixels"),
        "{error}"
    );
    let mut even = config;
    even.patch_sizes[0] = 4;
    assert_eq!(even.grids(224, 224).unwrap()[0], (57, 57));
}

#[test]
fn every_truncation_is_an_error() {
    for end in 0..HUB_B0.len() {
        assert!(
            SegformerConfig::from_json(&HUB_B0[..end]).is_err(),
            "{end} bytes"
        );
    }
}
