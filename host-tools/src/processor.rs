//! The option `--processor`: which of transformers' two image processors is meant; and what is said of a file without one.

use std::path::Path;

use anyhow::anyhow;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use igpt_runtime::processor::Backend;
use igpt_runtime::tools::NO_PROCESSOR;

/// What is wrong with a model file that cannot read or paint images, and what to do.
pub fn missing(file: &Path) -> anyhow::Error {
    anyhow!("{}: {NO_PROCESSOR}", file.display())
}

/// Takes `pil` or `torchvision`, and tells shells of both.
pub fn parser() -> impl TypedValueParser<Value = Backend> {
    PossibleValuesParser::new(Backend::ALL.map(Backend::name))
        .try_map(|name| name.parse::<Backend>())
}

/// A processor's name as people read it.
pub fn title(backend: Backend) -> &'static str {
    match backend {
        Backend::Pil => "transformers' PIL processor",
        Backend::Torchvision => "transformers' torchvision processor",
    }
}
