//! Fuzz targets: every parser of bytes that come from outside, and sessions held against fresh ones.
//!
//! Each is a function of bytes that must return whether it took them: an error of the parser is fine, a panic, a hang or
//! memory without bound is not. `tests/fuzz` runs them under libFuzzer; `tests/tests/corpus.rs` runs what that found interesting,
//! with every `cargo test`. See docs/fuzzing.md.

mod cam;
mod checkpoints;
mod data_sets;
mod files;
mod hub;
mod models;
mod pictures;
mod session;
mod tiny;

/// A fuzz target: its name, which is its folder of inputs too, and what is run on each.
pub type Target = (&'static str, fn(&[u8]) -> bool);

/// All of them.
pub const TARGETS: &[Target] = &[
    ("config_json", models::config_json),
    ("csv", data_sets::csv),
    ("hub", hub::hub),
    ("idx", data_sets::idx),
    ("jpeg", pictures::jpeg),
    ("mjpeg", cam::mjpeg),
    ("npy", data_sets::npy),
    ("onnx", models::onnx),
    ("pictures", pictures::pictures),
    ("preprocessor_json", models::preprocessor_json),
    ("safetensors", checkpoints::safetensors),
    ("session", session::session),
    ("toml", cam::toml),
    ("torch_pickle", checkpoints::torch_pickle),
    ("torch_zip", checkpoints::torch_zip),
    ("y4m", cam::y4m),
];

/// Runs the target of this name on `data`; whether the parser took them.
///
/// # Panics
/// If there is no such target, or if it found something.
pub fn run(name: &str, data: &[u8]) -> bool {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    let (_, target) = target.unwrap_or_else(|| panic!("no fuzz target {name:?}"));
    target(data)
}
