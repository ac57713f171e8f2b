//! The model behind [`Classify`]: ImageGPT through the runtime.

use std::path::Path;

use anyhow::anyhow;

use super::classify::Classify;
use super::embedded::MODEL;
use super::exit::Failure;
use super::log::Log;
use super::settings::Settings;

/// PLACEHOLDER until the runtime lands.
pub(super) fn load(
    _path: Option<&Path>,
    _settings: &Settings,
    _log: &Log,
) -> Result<Box<dyn Classify>, Failure> {
    Err(Failure::Model(anyhow!(
        "no runtime yet, {} bytes embedded",
        MODEL.len()
    )))
}
