//! The report of a conversion as a table.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use super::Report;
use crate::calibration::Smoothed;
use crate::conversion::LayerReport;
use crate::processor;
use crate::quantization::Rescaled;

/// The tensors, what was done to each block, and what the file is.
pub(super) fn table(out: &mut impl Write, path: &Path, report: &Report) -> io::Result<()> {
    let bold = io::stdout().is_terminal();
    let (on, off) = if bold {
        ("\x1b[1m", "\x1b[0m")
    } else {
        ("", "")
    };
    writeln!(
        out,
        "{on}{:<40} {:>14} {:>6} {:>9} {:>10} {:>10}{off}",
        "tensor", "shape", "as", "SNR dB", "max", "max error"
    )?;
    for tensor in &report.tensors {
        let shape = tensor
            .shape
            .iter()
            .map(usize::to_string)
            .collect::<Vec<_>>()
            .join("x");
        let snr = tensor
            .error
            .snr_db
            .map_or_else(|| "exact".to_owned(), |snr| format!("{snr:.1}"));
        writeln!(
            out,
            "{:<40} {shape:>14} {:>6} {snr:>9} {:>10.3e} {:>10.3e}",
            tensor.name, tensor.stored_as, tensor.error.max_abs, tensor.error.max_error
        )?;
    }
    for report in &report.layers {
        for Rescaled {
            pair,
            channels,
            factor,
        } in &report.rescaled
        {
            writeln!(
                out,
                "{}: {channels} outlier channels of {} rescaled, by up to {factor}",
                report.part, pair.tensors
            )?;
        }
    }
    calibration(out, &report.layers)?;
    if let Some(skips) = &report.skips {
        skips.print(out)?;
    }
    if !report.takes_images {
        writeln!(
            out,
            "no image processor: the file takes tokens and no images"
        )?;
    }
    if let (Some(because), Some(Ok(backend))) = (
        &report.processor_because,
        report.model.processor.map(str::parse),
    ) {
        let title = processor::title(backend);
        let made = report.model.size.map_or("tokens", |_| "pixel values");
        writeln!(out, "images become {made} as by {title} ({because})")?;
    }
    if report.inline {
        writeln!(
            out,
            "standard operators alone: for runtimes other than igpt and igpt-cam, which do not run it"
        )?;
    }
    writeln!(
        out,
        "{}: {} for {}, {} parameters in {} bytes ({:.3} bytes each)",
        path.display(),
        report.model.dtype,
        report.model.task,
        report.parameters,
        report.file_bytes,
        report.file_bytes as f64 / report.parameters.max(1) as f64
    )
}

/// A part's name without that of the model.
fn short(part: &str) -> &str {
    part.split_once('.').map_or(part, |(_, part)| part)
}

/// Per part, the error that calibration removed.
fn calibration(out: &mut impl Write, layers: &[LayerReport]) -> io::Result<()> {
    let calibrated: Vec<_> = layers
        .iter()
        .filter_map(|layer| Some((short(&layer.part), layer.calibration.as_ref()?)))
        .collect();
    if calibrated.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "error of the hidden states on the calibration images, relative to f32\n\
         {:<26} {:>10} {:>10}  smoothed (alpha)",
        "part", "before", "after"
    )?;
    for (part, report) in &calibrated {
        let smoothed: Vec<String> = report
            .smoothed
            .iter()
            .map(|Smoothed { pair, alpha }| format!("{} ({alpha})", pair.tensors))
            .collect();
        writeln!(
            out,
            "{part:<26} {:>10.6} {:>10.6}  {}",
            report.error_before,
            report.error_after,
            smoothed.join(", ")
        )?;
    }
    Ok(())
}
