//! A classifier with probes after some of its blocks: fitted to what the whole model says, calibrated as a board would run them.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use igpt_heads::{LinearHead, Logistic, Samples};
use igpt_runtime::tools::{Packing, argmax, counted, margin, pooled};
use igpt_runtime::{
    Dtype, ExitLevel, Exits, ImageGptConfig, ImageGptForImageClassification, ImageGptModel,
    LoadOptions, ProblemType,
};
use indicatif::ProgressBar;
use serde::Serialize;

use super::write::stage;
use crate::exits::{Sample, calibrate};
use crate::failure::{Blame as _, Failure};
use crate::imagegpt::exited::{ExitedModel, ExitedWeights};
use crate::labelled::LabelledSet;
use crate::onnx::{CutModel, CutNames, Provenance};
use crate::skips::{Reader, Skips};

/// What the exits are worth.
#[derive(Clone, Debug, Serialize)]
pub struct ExitReport {
    /// Where they were written.
    pub file: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Images whose verdicts the probes were fitted to.
    pub fitted_images: usize,
    /// Each probe.
    pub probes: Vec<ProbeReport>,
    /// Images that the promises were tested on, half of the held-out ones; on the others the margins were chosen.
    pub tested_images: u64,
    /// How sure each promise is.
    pub confidence: f64,
    /// The promises.
    pub levels: Vec<ExitLevel>,
}

/// One probe.
#[derive(Clone, Debug, Serialize)]
pub struct ProbeReport {
    /// The block it follows.
    pub layer: usize,
    /// Of the held-out images, the share of which it says what the whole model does, whatever its margin.
    pub agreement: f64,
    /// Of L-BFGS.
    pub iterations: u64,
}

/// What to do.
pub(super) struct Plan<'a> {
    /// A classifier's file.
    pub(super) source: &'a Path,
    /// What to call it.
    pub(super) name: &'a Path,
    pub(super) layers: &'a [usize],
    pub(super) train: &'a (LabelledSet, Vec<usize>),
    pub(super) held_out: &'a (LabelledSet, Vec<usize>),
    pub(super) c: f64,
    pub(super) options: &'a LoadOptions,
    pub(super) output: &'a Path,
}

/// The blocks after which probes were asked for, ascending.
///
/// # Errors
/// Blocks that the model has not, or the last, after which its own head comes.
pub(super) fn check_layers(
    asked: &[u16],
    config: &ImageGptConfig,
    name: &Path,
) -> Result<Vec<usize>, Failure> {
    let mut layers: Vec<usize> = asked.iter().map(|layer| usize::from(*layer)).collect();
    layers.sort_unstable();
    layers.dedup();
    let last = config.n_layer.saturating_sub(1);
    match layers.iter().find(|layer| !(1..=last).contains(*layer)) {
        Some(layer) => Err(anyhow!(
            "--exits {layer}: {} has {}, expected numbers from 1 to {last}",
            name.display(),
            counted(config.n_layer, "block")
        ))
        .bad_input(),
        None => Ok(layers),
    }
}

impl Plan<'_> {
    /// Fits, calibrates and writes. `reader` says what becomes of pictures that cannot be read.
    ///
    /// # Errors
    /// A model that has exits already or cannot be cut, too few images (bad input); an output that cannot be written.
    pub(super) fn run(
        &self,
        reader: impl Fn() -> Reader,
        bar: &ProgressBar,
    ) -> Result<(ExitReport, Skips), Failure> {
        let model = ImageGptModel::load(self.source, self.options).bad_input()?;
        self.check(&model)?;
        let config = model.config().clone();
        bar.reset();
        bar.set_length(self.train.1.len() as u64);
        bar.set_message("exits");
        let (train, skips) = self.features(&model, reader(), bar)?;
        drop(model);
        bar.set_message("fitting");
        let mut probes = Vec::new();
        let mut reports = Vec::new();
        for (layer, features) in self.layers.iter().zip(&train.features) {
            let samples = Samples {
                features,
                width: config.n_embd,
                labels: &train.verdicts,
            };
            let Logistic { head, iterations } =
                Logistic::fit(&samples, config.num_labels(), self.c)
                    .with_context(|| format!("layer {layer}"))
                    .failed()?;
            probes.push((*layer, head));
            reports.push(ProbeReport {
                layer: *layer,
                agreement: 0.0,
                iterations,
            });
        }
        // As a board would run them: what is promised was measured with the file's own arithmetic.
        let unproven = Exits::new(self.layers.to_vec(), 0, crate::exits::CONFIDENCE);
        let folder = tempfile::tempdir().context("a temporary folder").failed()?;
        let draft = folder.path().join("exits.onnx");
        self.write(&draft, &config, &probes, &unproven)?;
        bar.reset();
        bar.set_length(self.held_out.1.len() as u64);
        bar.set_message("calibrating");
        let (samples, others) = self.samples(&draft, reader(), bar)?;
        let exits = calibrate(&samples, self.layers, config.n_layer);
        if exits.levels.is_empty() {
            return Err(anyhow!(
                "{} held-out images allow no promise: half of them must stop early and agree, 39 at the very least for an \
                 agreement of 0.9, 408 for 0.99; hold out more (--held-out, --test), or move --exits to later blocks",
                samples.len()
            ))
            .bad_input();
        }
        for (exit, report) in reports.iter_mut().enumerate() {
            let agree = samples.iter().filter(|sample| sample.agrees[exit]).count();
            report.agreement = agree as f64 / samples.len().max(1) as f64;
        }
        let bytes = self.write(self.output, &config, &probes, &exits)?;
        let report = ExitReport {
            file: self.output.to_owned(),
            bytes,
            fitted_images: train.verdicts.len(),
            probes: reports,
            tested_images: exits.samples,
            confidence: exits.confidence,
            levels: exits.levels,
        };
        Ok((report, skips.and(others)))
    }

    fn check(&self, model: &ImageGptModel) -> Result<(), Failure> {
        let name = self.name.display();
        if model.exits().is_some() {
            return Err(anyhow!(
                "{name}: it has exits already; give the file that they were added to"
            ))
            .bad_input();
        }
        if model.packing() != (Packing::AtLoad { file: None }) {
            return Err(anyhow!(
                "{name}: its weights are in a CPU's order, --exits needs the file it was packed from"
            ))
            .bad_input();
        }
        let problem = model.config().resolved_problem_type();
        if problem != ProblemType::SingleLabel || model.config().num_labels() < 2 {
            return Err(anyhow!(
                "{name}: --exits is for a classifier of two classes or more of which one is right, this one's \
                 problem_type is {problem} with {}",
                counted(model.config().num_labels(), "label")
            ))
            .bad_input();
        }
        Ok(())
    }

    /// Features after each of the blocks, and the whole model's verdicts.
    fn features(
        &self,
        model: &ImageGptModel,
        mut reader: Reader,
        bar: &ProgressBar,
    ) -> Result<(Fitted, Skips), Failure> {
        let (set, chosen) = self.train;
        reader.pass_over(set.passed_over.clone());
        let (width, epsilon) = (model.config().n_embd, f64::from(model.config().epsilon()));
        let mut fitted = Fitted {
            features: vec![Vec::new(); self.layers.len()],
            verdicts: Vec::new(),
        };
        let processor = model.processor();
        let processor = processor.ok_or_else(|| crate::processor::missing(self.name));
        let processor = processor.bad_input()?;
        for index in chosen {
            bar.inc(1);
            let tokens = set.read_image(*index, |image| processor.tokens_from_image(image));
            let Some(tokens) = reader.take(set.name(*index), tokens)? else {
                continue;
            };
            let output = model.forward(&[&tokens]).bad_input()?;
            for (features, layer) in fitted.features.iter_mut().zip(self.layers) {
                let hidden = output
                    .hidden_states
                    .get(*layer)
                    .map_or(&[][..], Vec::as_slice);
                features.extend(pooled(hidden, width, Some(epsilon)));
            }
            fitted.verdicts.push(argmax(&output.logits));
        }
        let skips = reader.end(fitted.verdicts.len())?;
        Ok((fitted, skips))
    }

    /// What the probes of the file at `draft` say of the held-out images.
    fn samples(
        &self,
        draft: &Path,
        mut reader: Reader,
        bar: &ProgressBar,
    ) -> Result<(Vec<Sample>, Skips), Failure> {
        let model = ImageGptForImageClassification::load(draft, self.options).failed()?;
        let (set, chosen) = self.held_out;
        let mut samples = Vec::with_capacity(chosen.len());
        for index in chosen {
            bar.inc(1);
            let tokens = set.read_image(*index, |image| model.processor().tokens_from_image(image));
            let Some(tokens) = reader.take(set.name(*index), tokens)? else {
                continue;
            };
            let mut logits = model.logits_by_exit(&tokens).bad_input()?;
            let whole = argmax(&logits.pop().unwrap_or_default());
            samples.push(Sample {
                margins: logits.iter().map(|logits| margin(logits)).collect(),
                agrees: logits
                    .iter()
                    .map(|logits| argmax(logits) == whole)
                    .collect(),
            });
        }
        let skips = reader.end(samples.len())?;
        Ok((samples, skips))
    }

    /// Writes the file beside `output` and renames it. Returns its bytes.
    fn write(
        &self,
        output: &Path,
        config: &ImageGptConfig,
        probes: &[(usize, LinearHead)],
        exits: &Exits,
    ) -> Result<u64, Failure> {
        let names = CutNames {
            prefix: "transformer.",
            head: ["score.weight", "score.bias"],
            unit_gain: None,
        };
        let model = CutModel::whole(self.source, names).bad_input()?;
        let metadata = |key| model.metadata(key).unwrap_or("{}").to_owned();
        let provenance = Provenance {
            preprocessor: model.preprocessor(),
            recipe: metadata("igpt.recipe"),
            source: metadata("igpt.source"),
        };
        // The integers of an int4 file are int8 too, and stay what they are.
        let dtype = match model.metadata("igpt.dtype") {
            Some("f32") => Dtype::F32,
            _ => Dtype::Int8,
        };
        let weights = ExitedWeights::new(&model, config.n_embd, probes);
        let design = ExitedModel { config, exits };
        stage(output, &weights, &design, dtype, &provenance)
    }
}

/// What the probes are fitted to.
struct Fitted {
    /// For each block `[images, width]`.
    features: Vec<Vec<f32>>,
    verdicts: Vec<usize>,
}

/// As a table.
pub(super) fn print(out: &mut impl Write, report: &ExitReport) -> io::Result<()> {
    writeln!(
        out,
        "{}: {} bytes; probes fitted to the verdicts on {}",
        report.file.display(),
        report.bytes,
        counted(report.fitted_images, "image")
    )?;
    for probe in &report.probes {
        writeln!(
            out,
            "after block {}: says what the whole model does of {:.2}% of the held-out images",
            probe.layer,
            100.0 * probe.agreement
        )?;
    }
    writeln!(
        out,
        "promises, {:.0}% sure, tested on {}:\n{:>9} {:>11} {:>10} {:>13}  margins",
        100.0 * report.confidence,
        counted(report.tested_images as usize, "other image"),
        "agreement",
        "stop early",
        "agree",
        "blocks saved"
    )?;
    for level in &report.levels {
        let margins: Vec<String> = level
            .margins
            .iter()
            .map(|margin| margin.map_or_else(|| "never".into(), |margin| format!("{margin:.2}")))
            .collect();
        writeln!(
            out,
            "{:>9} {:>10.1}% {:>9.2}% {:>12.1}%  {}",
            level.agreement,
            100.0 * level.exited as f64 / report.tested_images.max(1) as f64,
            100.0 * level.agreed as f64 / level.exited.max(1) as f64,
            100.0 * level.saved,
            margins.join(" ")
        )?;
    }
    Ok(())
}
