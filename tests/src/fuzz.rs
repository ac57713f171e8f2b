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

// Each by its name as well: a binary that calls one function holds that function's counters, not those of all, which
// libFuzzer would clear and read before and after every run (0.8 million of them: half of a short run's time).
pub use cam::{mjpeg, toml, y4m};
pub use checkpoints::{safetensors, torch_pickle, torch_zip};
pub use data_sets::{csv, idx, npy};
pub use hub::hub;
pub use models::{config_json, onnx, preprocessor_json};
pub use pictures::{jpeg, pictures};
pub use session::session;

/// A fuzz target: its name, which is its folder of inputs too, and what is run on each.
pub type Target = (&'static str, fn(&[u8]) -> bool);

/// All of them.
pub const TARGETS: &[Target] = &[
    ("config_json", config_json),
    ("csv", csv),
    ("hub", hub),
    ("idx", idx),
    ("jpeg", jpeg),
    ("mjpeg", mjpeg),
    ("npy", npy),
    ("onnx", onnx),
    ("pictures", pictures),
    ("preprocessor_json", preprocessor_json),
    ("safetensors", safetensors),
    ("session", session),
    ("toml", toml),
    ("torch_pickle", torch_pickle),
    ("torch_zip", torch_zip),
    ("y4m", y4m),
];
