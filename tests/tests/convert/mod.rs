//! The shipped language model, converted as a user would.

use std::path::PathBuf;

use igpt_tools::onnx::Dtype;
use igpt_tools::verbs::quantize::{Args, quantize};
use tempfile::TempDir;

/// The folder keeps the file.
pub(crate) fn language_model(dtype: Dtype) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let output = folder.path().join("lm.onnx");
    let checkpoint = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../models/fashion-mnist/lm");
    let args = Args {
        dtype,
        ..Args::new(checkpoint, output.clone())
    };
    quantize(&args).unwrap_or_else(|failure| panic!("{failure}"));
    (folder, output)
}

#[allow(dead_code, reason = "not every test compares bits")]
pub(crate) fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}
