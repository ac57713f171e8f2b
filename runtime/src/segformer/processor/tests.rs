//! The forms of `preprocessor_config.json`, and what the processor refuses.

use super::{SegformerImageProcessor, SegformerProcessorConfig};
use crate::processor::{Backend, Resample};

/// As the hub has it, from November 2021.
const HUB: &str = r#"{"do_normalize": true, "do_resize": true,
    "feature_extractor_type": "SegformerFeatureExtractor", "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225], "reduce_labels": false, "resample": 2, "size": 512}"#;

/// As transformers 5 writes it, PIL's and torchvision's alike.
const V5: &str = r#"{"do_normalize": true, "do_reduce_labels": false, "do_rescale": true,
    "do_resize": true, "image_mean": [0.485, 0.456, 0.406],
    "image_processor_type": "SegformerImageProcessor", "image_std": [0.229, 0.224, 0.225],
    "resample": 2, "rescale_factor": 0.00392156862745098, "size": {"height": 512, "width": 512}}"#;

fn patched(patch: &str) -> Result<SegformerImageProcessor, String> {
    let mut base: serde_json::Value = serde_json::from_str(V5).unwrap();
    let patch: serde_json::Value = serde_json::from_str(patch).unwrap();
    for (k, v) in patch.as_object().unwrap() {
        base[k] = v.clone();
    }
    SegformerImageProcessor::from_json(&base.to_string()).map_err(|e| e.to_string())
}

#[test]
fn both_forms_are_the_defaults_but_for_whose_arithmetic_it_is() {
    let hub = SegformerImageProcessor::from_json(HUB).unwrap();
    assert_eq!(hub.config(), &SegformerProcessorConfig::default());
    let v5 = SegformerImageProcessor::from_json(V5).unwrap();
    let expected = SegformerProcessorConfig {
        backend: Backend::Torchvision,
        do_reduce_labels: Some(false),
        ..SegformerProcessorConfig::default()
    };
    assert_eq!(v5.config(), &expected);
    let nothing = SegformerImageProcessor::from_json("{}").unwrap();
    assert_eq!(nothing.size(), (512, 512));
    for processor in [hub, v5] {
        let again = SegformerImageProcessor::from_json(&processor.to_json()).unwrap();
        assert_eq!(again.config(), processor.config());
    }
}

#[test]
fn a_config_says_which_processor_it_means() {
    let of = |text: &str| {
        SegformerImageProcessor::backend_of_json(text)
            .unwrap()
            .backend
    };
    let class = |name: &str| of(&V5.replace("SegformerImageProcessor\"", &format!("{name}\"")));
    assert_eq!(of(HUB), Backend::Pil);
    assert_eq!(of(V5), Backend::Torchvision);
    assert_eq!(class("SegformerImageProcessorPil"), Backend::Pil);
    assert_eq!(class("SegformerImageProcessorFast"), Backend::Torchvision);
    assert_eq!(class("SegformerFeatureExtractor"), Backend::Pil);
    // transformers 4's class had the name that is torchvision's now.
    let v4 = V5.replacen('{', "{\"_valid_processor_keys\": [\"images\"], ", 1);
    assert_eq!(of(&v4), Backend::Pil);
    let bare = r#"{"image_processor_type": "SegformerImageProcessor", "size": 64}"#;
    assert_eq!(of(bare), Backend::Pil);
    let asked = SegformerImageProcessor::from_json_as(V5, Some(Backend::Pil)).unwrap();
    assert_eq!(asked.config().backend, Backend::Pil);
}

#[test]
fn sizes_in_their_forms() {
    let of = |size: &str| patched(&format!(r#"{{"size": {size}}}"#)).unwrap().size();
    assert_eq!(of("224"), (224, 224));
    assert_eq!(of("[48, 64]"), (48, 64));
    assert_eq!(
        of(r#"{"height": 48, "width": 64, "longest_edge": null}"#),
        (48, 64)
    );
    assert_eq!(of("2048"), (2048, 2048));
}

#[test]
fn refusals_name_the_field() {
    for (patch, field) in [
        (
            r#"{"image_processor_type": "ViTImageProcessor"}"#,
            "image_processor_type",
        ),
        (
            r#"{"image_processor_type": "ImageGPTImageProcessor"}"#,
            "image_processor_type",
        ),
        (
            r#"{"feature_extractor_type": "SegformerModel"}"#,
            "feature_extractor_type",
        ),
        (r#"{"do_resize": false}"#, "do_resize"),
        (r#"{"size": 0}"#, "size.height"),
        (r#"{"size": 2049}"#, "size"),
        (r#"{"size": {"shortest_edge": 512}}"#, "size"),
        (
            r#"{"size": 512, "default_to_square": false}"#,
            "default_to_square",
        ),
        (r#"{"resample": 4}"#, "resample"),
        (r#"{"resample": 7}"#, "resample"),
        (r#"{"rescale_factor": 0}"#, "rescale_factor"),
        (r#"{"image_std": [0.2, 0.0, 0.2]}"#, "image_std"),
        (r#"{"image_mean": [0.2, 0.2]}"#, "image_mean"),
        (r#"{"do_normalize": 1}"#, "do_normalize"),
        (r#"{"do_center_crop": true}"#, "crop_size"),
        (r#"{"do_reduce_labels": "no"}"#, "do_reduce_labels"),
    ] {
        let error = patched(patch).expect_err(patch);
        assert!(error.starts_with(field), "{patch}: {error}");
    }
    let error = patched(r#"{"image_processor_type": "X"}"#).unwrap_err();
    for class in ["SegformerImageProcessorPil", "SegformerFeatureExtractor"] {
        assert!(error.contains(class), "{error}");
    }
    // PIL's processor knows this filter.
    let boxes = r#"{"resample": 4, "image_processor_type": "SegformerImageProcessorPil"}"#;
    assert_eq!(patched(boxes).unwrap().config().resample, Resample::Box);
}

#[test]
fn segmentation_labels_and_crops_change_nothing() {
    let rgb: Vec<u8> = (0..7 * 5 * 3).map(|i| (i * 37 % 256) as u8).collect();
    let of = |patch: &str| {
        let processor = patched(patch).unwrap();
        processor.pixel_values(&rgb, 7, 5).unwrap()
    };
    let plain = of(r#"{"size": 8}"#);
    for patch in [
        r#"{"size": 8, "do_reduce_labels": true}"#,
        r#"{"size": 8, "reduce_labels": true}"#,
        r#"{"size": 8, "do_center_crop": true, "crop_size": 4}"#,
    ] {
        assert_eq!(of(patch), plain, "{patch}");
    }
    let wrong = patched("{}").unwrap().pixel_values(&rgb, 7, 6);
    assert!(wrong.is_err(), "a byte for each channel of each pixel");
}
