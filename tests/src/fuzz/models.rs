//! The model file and the two configurations that it carries.

use igpt_runtime::{
    ImageGptConfig, ImageGptForImageClassification, ImageGptImageProcessor, LoadOptions,
};

/// Bytes of the checksum's entry, the last of a file.
const SEAL: usize = 24;

/// `config.json`; what was read is written and read again.
pub fn config_json(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    let Ok(config) = ImageGptConfig::from_json(text) else {
        return false;
    };
    let again = ImageGptConfig::from_json(&config.to_json());
    assert_eq!(again.expect("our own writing"), config);
    true
}

/// `preprocessor_config.json`; what was read is written and read again.
pub fn preprocessor_json(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    let Ok(processor) = ImageGptImageProcessor::from_json(text) else {
        return false;
    };
    let again = ImageGptImageProcessor::from_json(&processor.to_json());
    assert_eq!(again.expect("our own writing").config(), processor.config());
    true
}

/// A model file, with the right checksum put on it; what loads classifies a picture.
pub fn onnx(data: &[u8]) -> bool {
    let mut bytes = data.to_vec();
    if let Some(body) = bytes.len().checked_sub(SEAL) {
        let sum = format!("{:08x}", crc32fast::hash(&bytes[..body]));
        bytes[body + SEAL - 8..].copy_from_slice(sum.as_bytes());
    }
    let options = LoadOptions::new().with_threads(1);
    let Ok(model) = ImageGptForImageClassification::from_bytes(bytes, &options) else {
        return false;
    };
    let mut session = model.session().expect("a model that loads has sessions");
    // Weights may be such that activations overflow: that is an error, not a panic.
    let _ = session.classify_rgb8(&[90; 12], 2, 2);
    true
}
