//! Weights under other names than Hugging Face's, for the message that there are none.

use std::path::Path;

/// What `folder` has instead of weights that are read, and what to do with it; begins with its separator.
pub(super) fn hint(folder: &Path) -> String {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let advice = |name: &String| {
        let lower = name.to_lowercase();
        let advice = if lower.starts_with("adapter_model.") {
            "holds an adapter only: merge it into its model (peft's merge_and_unload) and save that"
        } else if lower.ends_with(".safetensors") {
            "is there: rename it to model.safetensors"
        } else if [".bin", ".pt", ".pth", ".ckpt"]
            .iter()
            .any(|end| lower.ends_with(end))
        {
            "is there: if it holds the model's weights, rename it to pytorch_model.bin"
        } else if lower.ends_with(".h5") || lower.ends_with(".msgpack") {
            "is TensorFlow's or Flax's: load it with transformers (from_tf or from_flax) and save it again"
        } else {
            return None;
        };
        Some(format!("; {name} {advice}"))
    };
    names.iter().find_map(advice).unwrap_or_default()
}
