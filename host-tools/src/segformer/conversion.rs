//! From a SegFormer's checkpoint to one ONNX file.

use std::path::Path;

use anyhow::Context as _;
use igpt_runtime::SegformerConfig;
use igpt_runtime::tools::report::ModelReport;
use serde_json::json;

use super::calibration::{PictureSet, read_images};
use super::prepared::{PreparedWeights, Rescaling};
use super::sized::SizedModel;
use super::{preprocessor, refusals};
use crate::checkpoint::expected;
use crate::conversion::file;
use crate::conversion::provenance::rounding;
use crate::conversion::report::Report;
use crate::conversion::request::Request;
use crate::conversion::steps;
use crate::failure::{Blame, Failure};
use crate::onnx::{Dtype, Form, Provenance, Task};
use crate::skips::Reader;

/// Converts the checkpoint in `folder`, whose configuration this is.
pub(crate) fn convert(
    request: &Request,
    folder: &Path,
    config: &SegformerConfig,
) -> Result<Report, Failure> {
    let has_processor = folder.join("preprocessor_config.json").exists();
    refusals::check_options(request, has_processor)?;
    refusals::check_class(request, config)?;
    let task = steps::task(request, folder, &config.architectures, "SegFormer")?;
    let in_config = || folder.join("config.json").display().to_string();
    config.check_rgb().with_context(in_config).bad_input()?;
    let found = preprocessor::read(request, folder)?;
    let model = SizedModel::new(config, found.processor.size());
    let model = model.with_context(in_config).bad_input()?;
    let checkpoint = steps::open(request, folder)?;
    expected::check(&checkpoint, config, expected::Head::of(task))
        .map_err(|error| refusals::explain(request, task, &checkpoint, config, error))
        .bad_input()?;

    let (bar, source) = steps::checksums(request, folder, &checkpoint)?;
    let mut reader = Reader::new(request.bad_pictures, &bar);
    let pictures = request.calibrate.as_ref();
    let pictures = pictures.map(|source| read_images(source, &found.processor, &mut reader));
    let pictures = pictures.transpose()?;
    let provenance = Provenance {
        preprocessor: Some(found.preprocessor()),
        recipe: recipe(request.dtype, pictures.as_ref()),
        source,
    };
    let form = Form {
        task,
        dtype: request.dtype,
        panels: request.pack,
        inline: request.inline,
    };
    let rescaling = match (request.dtype, task) {
        (Dtype::F32, _) => Rescaling::None,
        // Hidden states are what such a file is for.
        (_, Task::Features) => Rescaling::Blocks,
        _ => Rescaling::All,
    };
    let prepared = match &pictures {
        None => PreparedWeights::new(&checkpoint, config, rescaling),
        Some(set) => PreparedWeights::calibrated(&checkpoint, config, rescaling, set),
    };
    let written = file::write(request, form, &model, &prepared, &provenance, &bar)?;
    bar.finish_and_clear();
    let layers = match request.dtype {
        Dtype::F32 => Vec::new(),
        _ => prepared.into_reports(),
    };
    Ok(Report {
        model: ModelReport::segformer(
            (task, request.dtype),
            config,
            found.processor.size(),
            Some(&found.processor),
            Some(&request.output),
            written.crc32,
        ),
        processor_because: Some(found.because),
        inline: request.inline,
        panels: request.pack.map(|panels| panels.to_string()),
        file_bytes: written.bytes,
        parameters: written.parameters(),
        tensors: written.tensors,
        takes_images: true,
        layers,
        skips: pictures
            .map(|set| reader.end(set.pictures.len()))
            .transpose()?,
    })
}

/// `igpt.recipe`: enough to know how the numbers came about.
pub(crate) fn recipe(dtype: Dtype, pictures: Option<&PictureSet>) -> String {
    let producer = concat!("igpt ", env!("CARGO_PKG_VERSION"));
    let rounded = rounding(pictures.is_some());
    let mut recipe = match dtype {
        Dtype::F32 => json!({ "producer": producer }),
        Dtype::Int8 | Dtype::Int4 => json!({
            "producer": producer,
            "weights": format!("int8, symmetric per output channel, {rounded}"),
            "activations": "int8 per row, dynamic; symmetric, and with a zero of its own after the activation",
            "depthwise": "float32",
        }),
    };
    if let Some(pictures) = pictures {
        recipe["calibration"] = pictures.summary();
    }
    recipe.to_string()
}
