//! Which image processor a converted file has: what its checkpoint says, or what the command line does, from the
//! config through the model file to the tokens of a picture.

use std::fs;
use std::path::{Path, PathBuf};

use igpt_runtime::processor::Backend;
use igpt_runtime::{ImageGptForImageClassification, ImageGptImageProcessor, LoadOptions};
use igpt_tests::images::make_image;
use igpt_tools::verbs::quantize::{Args, quantize};
use serde_json::{Value, json};
use tempfile::TempDir;

fn checkpoint() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/checkpoint/safetensors")
}

/// A copy of the golden checkpoint whose preprocessor_config.json has these fields too.
fn with(fields: &Value) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(checkpoint()).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    let path = folder.path().join("preprocessor_config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for (key, value) in fields.as_object().unwrap() {
        config[key] = value.clone();
    }
    fs::write(&path, config.to_string()).unwrap();
    folder
}

fn load(file: &Path) -> ImageGptForImageClassification {
    let options = LoadOptions::new().with_threads(1);
    ImageGptForImageClassification::load(file, &options).unwrap()
}

#[test]
fn a_file_makes_tokens_as_its_checkpoint_says_or_as_it_was_told() {
    let fast = json!({"image_processor_type": "ImageGPTImageProcessorFast"});
    for (fields, asked, backend, words) in [
        (json!({}), None, Backend::Pil, "ImageGPTFeatureExtractor"),
        (
            json!({}),
            Some(Backend::Torchvision),
            Backend::Torchvision,
            "--processor torchvision",
        ),
        (
            fast.clone(),
            None,
            Backend::Torchvision,
            "ImageGPTImageProcessorFast",
        ),
        (fast, Some(Backend::Pil), Backend::Pil, "--processor pil"),
    ] {
        let folder = with(&fields);
        let file = folder.path().join("out.onnx");
        let args = Args {
            processor: asked,
            ..Args::new(folder.path(), &file)
        };
        let report = quantize(&args).unwrap();
        assert_eq!(report.model.processor, Some(backend.name()));
        let because = report.processor_because.unwrap();
        assert!(because.contains(words), "{because}");
        let model = load(&file);
        assert_eq!(model.processor().config().backend, backend);
        // Noise, two pixels of each side to one: where the two resize differently.
        let rgb = make_image("noise", 3, 6, 5);
        let config = fs::read_to_string(folder.path().join("preprocessor_config.json")).unwrap();
        let direct = ImageGptImageProcessor::from_json_as(&config, Some(backend)).unwrap();
        assert_eq!(
            model.processor().tokens_from_rgb8(&rgb, 6, 5).unwrap(),
            direct.tokens_from_rgb8(&rgb, 6, 5).unwrap()
        );
        // Older readers would take PIL's for granted: they refuse the number.
        let bytes = fs::read(&file).unwrap();
        let at = bytes.windows(11).position(|w| w == b"igpt.format").unwrap();
        let format = if backend == Backend::Pil { b'1' } else { b'3' };
        assert_eq!(bytes[at + 13], format);
    }
}

#[test]
fn a_crop_decides_how_many_tokens_an_image_has() {
    let crop = json!({
        "image_processor_type": "ImageGPTImageProcessorFast",
        "size": 5, "do_center_crop": true, "crop_size": {"height": 2, "width": 3},
    });
    let folder = with(&crop);
    let file = folder.path().join("out.onnx");
    let report = quantize(&Args::new(folder.path(), &file)).unwrap();
    assert_eq!(report.model.tokens, Some(6));
    let model = load(&file);
    let tokens = model
        .processor()
        .tokens_from_rgb8(&make_image("scene", 1, 9, 7), 9, 7);
    assert_eq!(tokens.unwrap().len(), 6);
    // PIL's ignores the crop, and 25 tokens are too many for 9 positions.
    let args = Args {
        processor: Some(Backend::Pil),
        ..Args::new(folder.path(), &file)
    };
    let error = quantize(&args).unwrap_err().to_string();
    assert!(
        error.contains("5 x 5") && error.contains("n_positions = 9"),
        "{error}"
    );
}
