//! The forms of `preprocessor_config.json`, and what the processor refuses.

use super::{
    Backend, ImageGptImageProcessor, ProcessorConfig, ProcessorError, ProcessorScratch, Resample,
};
use crate::image::ImageError;

const HUB: &str = r#"{"clusters": [[-1.0, -1.0, -1.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]],
    "do_normalize": true, "do_resize": true, "feature_extractor_type": "ImageGPTFeatureExtractor",
    "resample": 2, "size": 2}"#;

fn patched(patch: &str) -> Result<ImageGptImageProcessor, ProcessorError> {
    let mut base: serde_json::Value = serde_json::from_str(HUB).unwrap();
    let patch: serde_json::Value = serde_json::from_str(patch).unwrap();
    for (k, v) in patch.as_object().unwrap() {
        base[k] = v.clone();
    }
    ImageGptImageProcessor::from_json(&base.to_string())
}

#[test]
fn hub_form_equals_the_form_of_version_5() {
    let hub = ImageGptImageProcessor::from_json(HUB).unwrap();
    let v5 = r#"{"clusters": [[-1, -1, -1], [0, 0, 0], [1, 1, 1]], "do_color_quantize": true,
        "do_normalize": true, "do_rescale": true, "do_resize": true, "image_mean": [0.5, 0.5, 0.5],
        "image_std": 0.5, "image_processor_type": "ImageGPTImageProcessor", "resample": 2,
        "rescale_factor": 0.00392156862745098,
        "size": {"height": 2, "width": 2, "shortest_edge": null}}"#;
    let v5 = ImageGptImageProcessor::from_json(v5).unwrap();
    // The one difference: the class that has this name in transformers 5 is torchvision's.
    let of_pil = ProcessorConfig {
        backend: Backend::Pil,
        ..v5.config().clone()
    };
    assert_eq!(v5.config().backend, Backend::Torchvision);
    assert_eq!(*hub.config(), of_pil);
    let back = ImageGptImageProcessor::from_json(&hub.to_json()).unwrap();
    assert_eq!(hub.config(), back.config());
    assert_eq!(hub.size(), (2, 2));
    assert_eq!(hub.clusters().len(), 3);
}

#[test]
fn size_in_its_three_forms() {
    assert_eq!(patched(r#"{"size": 5}"#).unwrap().size(), (5, 5));
    assert_eq!(patched(r#"{"size": [3, 5]}"#).unwrap().size(), (3, 5));
    assert_eq!(
        patched(r#"{"size": {"width": 5, "height": 3}}"#)
            .unwrap()
            .size(),
        (3, 5)
    );
    assert_eq!(patched(r#"{"size": null}"#).unwrap().size(), (256, 256));
}

#[test]
fn refusals_name_the_field() {
    for (patch, field) in [
        (r#"{"size": 0}"#, "size"),
        (r#"{"size": -3}"#, "size"),
        (r#"{"size": 257}"#, "size"),
        (r#"{"size": 18446744073709551615}"#, "size"),
        (r#"{"size": {"shortest_edge": 32}}"#, "size"),
        (r#"{"size": {"height": 32}}"#, "size"),
        (
            r#"{"size": {"height": 3, "width": 3, "longest_edge": 9}}"#,
            "size",
        ),
        (r#"{"size": [1, 2, 3]}"#, "size"),
        (r#"{"resample": 6}"#, "resample"),
        (
            r#"{"resample": 4, "image_processor_type": "ImageGPTImageProcessorFast"}"#,
            "resample",
        ),
        (
            r#"{"do_rescale": false, "do_normalize": false,
                "image_processor_type": "ImageGPTImageProcessorFast"}"#,
            "do_rescale",
        ),
        (r#"{"do_center_crop": true}"#, "crop_size"),
        (r#"{"crop_size": {"shortest_edge": 3}}"#, "crop_size"),
        (r#"{"crop_size": [0, 3]}"#, "crop_size.height"),
        (
            r#"{"image_processor_type": "ImageGPTImageProcessorSlow"}"#,
            "image_processor_type",
        ),
        (r#"{"resample": "bilinear"}"#, "resample"),
        (r#"{"do_resize": "yes"}"#, "do_resize"),
        (r#"{"rescale_factor": 0}"#, "rescale_factor"),
        (r#"{"rescale_factor": 1e-60}"#, "rescale_factor"),
        (r#"{"image_std": [0.5, 0.0, 0.5]}"#, "image_std"),
        (r#"{"image_std": [0.5, 0.5]}"#, "image_std"),
        (
            r#"{"image_std": 1e-30}"#,
            "image_mean, image_std and rescale_factor",
        ),
        (
            r#"{"image_mean": 1e300}"#,
            "image_mean, image_std and rescale_factor",
        ),
        (r#"{"clusters": []}"#, "clusters"),
        (r#"{"clusters": null}"#, "clusters"),
        (r#"{"clusters": [[0, 0]]}"#, "clusters[0]"),
        (r#"{"clusters": [[0, 0, 0], [0, null, 0]]}"#, "clusters[1]"),
        (r#"{"clusters": [[0, 0, 1e9]]}"#, "clusters[0]"),
        (
            r#"{"size": 2, "default_to_square": false}"#,
            "default_to_square",
        ),
        (
            r#"{"image_processor_type": "ViTImageProcessor"}"#,
            "image_processor_type",
        ),
        (
            r#"{"feature_extractor_type": "CLIPFeatureExtractor"}"#,
            "feature_extractor_type",
        ),
    ] {
        let error = patched(patch).expect_err(patch).to_string();
        assert!(error.starts_with(field), "{patch}: {error}");
    }
    let many = format!(
        r#"{{"clusters": {:?}}}"#,
        vec![[0; 3]; super::MAX_COLORS + 1]
    );
    assert!(
        patched(&many)
            .unwrap_err()
            .to_string()
            .starts_with("clusters is 4097 long")
    );
}

#[test]
fn every_truncation_is_an_error() {
    for end in 0..HUB.len() {
        assert!(
            ImageGptImageProcessor::from_json(&HUB[..end]).is_err(),
            "{end} bytes"
        );
    }
}

#[test]
fn file_errors_name_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("preprocessor_config.json");
    let error = ImageGptImageProcessor::from_file(&path)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("preprocessor_config.json: cannot be read"),
        "{error}"
    );
}

#[test]
fn hostile_images_are_refused() {
    let p = ImageGptImageProcessor::from_json(HUB).unwrap();
    let rgb = [0u8; 12];
    for (w, h) in [
        (0, 4),
        (4, 0),
        (0, 0),
        (65_536, 1),
        (1, usize::MAX),
        (usize::MAX, usize::MAX),
    ] {
        let error = p.tokens_from_rgb8(&rgb, w, h).unwrap_err();
        assert!(
            matches!(error, ProcessorError::Image(ImageError::Dimensions { width, height }) if (width, height) == (w, h))
        );
    }
    for (w, h) in [(2, 3), (1, 2), (65_535, 65_535), (5, 1)] {
        let error = p.tokens_from_rgb8(&rgb, w, h).unwrap_err();
        assert!(
            matches!(
                error,
                ProcessorError::Image(ImageError::BufferLength { found: 12, .. })
            ),
            "{error}"
        );
    }
    assert!(p.tokens_from_rgb8(&rgb[..11], 2, 2).is_err());
    assert!(p.tokens_from_rgb8(&rgb, 2, 2).is_ok());
}

#[test]
fn scratch_follows_the_frame() {
    let p = ImageGptImageProcessor::from_json(HUB).unwrap();
    let q = patched(r#"{"size": [3, 2], "resample": 0}"#).unwrap();
    let rgb: Vec<u8> = (0..3 * 40 * 30).map(|i| (i * 7 % 251) as u8).collect();
    let (mut scratch, mut tokens) = (ProcessorScratch::default(), vec![9; 100]);
    for (w, h) in [(40, 30), (30, 40), (40, 30), (2, 2), (1, 1)] {
        for p in [&p, &q] {
            let rgb = &rgb[..3 * w * h];
            p.tokens_into(rgb, w, h, &mut scratch, &mut tokens).unwrap();
            assert_eq!(tokens, p.tokens_from_rgb8(rgb, w, h).unwrap());
        }
    }
    assert!(
        p.tokens_into(&rgb, 1, 1, &mut scratch, &mut tokens)
            .is_err()
    );
    assert!(tokens.is_empty());
}

#[test]
fn tokens_decode_to_the_palette() {
    let p = ImageGptImageProcessor::from_json(HUB).unwrap();
    let image = p.decode_tokens(&[0, 1, 2, 1]).unwrap();
    assert_eq!((image.width(), image.height()), (2, 2));
    // 127.5 is rounded to even.
    assert_eq!(
        image.rgb(),
        [0, 0, 0, 128, 128, 128, 255, 255, 255, 128, 128, 128]
    );
    let error = p.decode_tokens(&[0, 1, 3, 1]).unwrap_err();
    assert!(matches!(
        error,
        ProcessorError::TokenRange {
            token: 3,
            position: 2,
            colors: 3
        }
    ));
    let error = p.decode_tokens(&[0, 1, 2]).unwrap_err();
    assert!(matches!(
        error,
        ProcessorError::TokenCount {
            found: 3,
            width: 2,
            height: 2
        }
    ));
}

#[test]
fn colors_are_hugging_faces_rint() {
    let clusters: Vec<[f64; 3]> = (0..4096)
        .map(|i| [i, i * 7 % 4096, i * 13 % 4096].map(|x| f64::from(x) / 2047.5 - 1.0))
        .collect();
    let p = ImageGptImageProcessor::new(ProcessorConfig {
        clusters: clusters.clone(),
        height: 1,
        width: 1,
        ..ProcessorConfig::default()
    })
    .unwrap();
    for (token, color) in clusters.iter().enumerate() {
        let expected = color.map(|c| (127.5 * (c + 1.0)).round_ties_even() as u8);
        assert_eq!(p.color_rgb8(token as u16), Some(expected));
    }
    assert_eq!(p.color_rgb8(4096), None);
}

#[test]
fn options_change_what_they_say() {
    // Raw 8-bit values against a palette on the same scale.
    let p = ImageGptImageProcessor::new(ProcessorConfig {
        do_resize: false,
        do_rescale: false,
        do_normalize: false,
        resample: Resample::Nearest,
        clusters: vec![[0.0; 3], [100.0; 3], [200.0, 0.0, 0.0]],
        ..ProcessorConfig::default()
    })
    .unwrap();
    let rgb = [90, 90, 90, 10, 0, 3, 255, 0, 0, 0, 0, 0, 255, 255, 255];
    assert_eq!(p.tokens_from_rgb8(&rgb, 5, 1).unwrap(), [1, 0, 2, 0, 1]);
    assert_eq!(p.color_rgb8(2), Some([200, 0, 0]));

    let p = patched(r#"{"do_color_quantize": false, "clusters": null}"#).unwrap();
    let error = p.tokens_from_rgb8(&[0; 3], 1, 1).unwrap_err();
    assert!(matches!(error, ProcessorError::NotQuantizing));
    assert_eq!(p.resized(&[7; 3], 1, 1).unwrap().rgb(), [7; 12]);
}

#[test]
fn a_config_says_which_processor_it_means() {
    use Backend::{Pil, Torchvision};
    let (f32s, f64s) = ("[[0.5, -1, 0.20000000298023224]]", "[[0.5, -1, 0.2]]");
    let of_5 = r#""do_rescale": true, "image_mean": [0.5, 0.5, 0.5], "rescale_factor": 0.00392"#;
    let of_4 = r#""do_normalize": true, "do_color_quantize": true, "size": 2"#;
    let plain = r#""image_processor_type": "ImageGPTImageProcessor""#;
    let old = r#""feature_extractor_type": "ImageGPTFeatureExtractor""#;
    for (clusters, form, class, backend) in [
        // Silent: PIL's, in whatever form.
        (f32s, of_4, "\"x\": 0", Pil),
        (f32s, of_5, "\"image_processor_type\": null", Pil),
        // transformers 4 had PIL's alone, by two names, and at its end a fast one.
        (f32s, of_4, old, Pil),
        (f32s, of_5, old, Pil),
        (f32s, of_4, plain, Pil),
        (
            f32s,
            of_4,
            r#""image_processor_type": "ImageGPTFeatureExtractor""#,
            Pil,
        ),
        (
            f64s,
            of_4,
            r#""image_processor_type": "ImageGPTImageProcessorFast""#,
            Torchvision,
        ),
        // transformers 5: the plain name is torchvision's, but PIL's class is saved under it too, and only
        // that one keeps a palette that f32 does not hold.
        (f32s, of_5, plain, Torchvision),
        (f64s, of_5, plain, Pil),
        (
            f32s,
            of_5,
            r#""image_processor_type": "ImageGPTImageProcessorPil""#,
            Pil,
        ),
        // The newer key counts.
        (
            f32s,
            of_5,
            r#""feature_extractor_type": "ImageGPTFeatureExtractor",
               "image_processor_type": "ImageGPTImageProcessorFast""#,
            Torchvision,
        ),
    ] {
        let json = format!("{{\"clusters\": {clusters}, {form}, {class}}}");
        let processor = ImageGptImageProcessor::from_json(&json).expect(&json);
        assert_eq!(processor.config().backend, backend, "{json}");
        let choice = ImageGptImageProcessor::backend_of_json(&json).expect(&json);
        assert_eq!(choice.backend, backend, "{json}");
        assert!(!choice.because.is_empty());
        // Either can be had from any config, and is what it was when written and read again.
        for asked in Backend::ALL {
            let processor = ImageGptImageProcessor::from_json_as(&json, Some(asked)).expect(&json);
            assert_eq!(processor.config().backend, asked);
            let back = ImageGptImageProcessor::from_json(&processor.to_json()).expect(&json);
            assert_eq!(back.config(), processor.config(), "{json}");
        }
    }
    assert_eq!("pil".parse(), Ok(Pil));
    let error = "PIL"
        .parse::<Backend>()
        .expect_err("upper case")
        .to_string();
    assert!(error.contains("pil or torchvision"), "{error}");
}

#[test]
fn torchvision_crops_and_pil_does_not() {
    let crop = r#"{"do_center_crop": true, "crop_size": {"height": 1, "width": 3}}"#;
    let pil = patched(crop).unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&pil.to_json()).unwrap();
    value["image_processor_type"] = "ImageGPTImageProcessorFast".into();
    let torchvision = ImageGptImageProcessor::from_json(&value.to_string()).unwrap();
    assert_eq!((pil.size(), torchvision.size()), ((2, 2), (1, 3)));
    let rgb: Vec<u8> = [[200; 3], [120; 3], [100; 3], [90; 3]].concat();
    assert_eq!(pil.tokens_from_rgb8(&rgb, 2, 2).unwrap(), [2, 1, 1, 1]);
    // Its upper row, and black where the picture is too narrow, at the right.
    assert_eq!(torchvision.tokens_from_rgb8(&rgb, 2, 2).unwrap(), [2, 1, 0]);
    let shown = torchvision.resized(&rgb, 2, 2).unwrap();
    assert_eq!((shown.width(), shown.height()), (3, 1));
    assert_eq!(torchvision.decode_tokens(&[0, 1, 2]).unwrap().height(), 1);
    let off = r#"{"do_center_crop": false, "crop_size": 1,
                  "image_processor_type": "ImageGPTImageProcessorFast"}"#;
    assert_eq!(patched(off).unwrap().size(), (2, 2));
}
