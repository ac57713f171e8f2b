//! The best layer as a model file of its own, and whether it does what the probe said.

use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::{Context as _, anyhow};
use igpt_runtime::Dtype;
use igpt_runtime::{ImageGptConfig, ImageGptForImageClassification, LoadOptions, ProblemType};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use crate::conversion::recipe;
use crate::failure::{Blame as _, Failure};
use crate::imagegpt::prepared::PreparedWeights;
use crate::labelled::LabelledSet;
use crate::onnx::{self, CutModel, Form, LinearHead, Provenance, Task, WriteError};
use crate::output::Staged;
use crate::quantization::Grid;

/// What to write.
pub(super) struct Cut<'a> {
    /// The file that was probed.
    pub(super) source: &'a Path,
    /// Its configuration.
    pub(super) config: &'a ImageGptConfig,
    /// How its linear layers are stored; those of what is written are int8.
    pub(super) dtype: Dtype,
    /// Blocks to keep, one at least.
    pub(super) layer: usize,
    /// What they end in.
    pub(super) head: LinearHead,
    /// The name of each class.
    pub(super) classes: &'a [String],
}

impl Cut<'_> {
    /// Writes the file beside `output` and renames it. Returns its bytes.
    ///
    /// # Errors
    /// A source that cannot be cut (bad input), an output that cannot be written.
    pub(super) fn write(self, output: &Path, accuracy: f64) -> Result<u64, Failure> {
        let mut config = self.config.clone();
        config.n_layer = self.layer;
        config.id2label = self.classes.to_vec();
        config.architectures = vec!["ImageGPTForImageClassification".into()];
        // Whatever the head was whose place this one takes.
        config.problem_type = Some(ProblemType::SingleLabel);
        config.validate().bad_input()?;
        let whole = self.layer == self.config.n_layer;
        let model = CutModel::open(self.source, !whole, self.head).bad_input()?;
        let recipe = match self.dtype {
            // The integers of an int4 file are int8 too, and stay what they are.
            Dtype::Int8 | Dtype::Int4 => model.metadata("igpt.recipe").unwrap_or("{}").to_owned(),
            Dtype::F32 => recipe(Dtype::Int8, None),
        };
        let mut recipe: Value = serde_json::from_str(&recipe).unwrap_or_else(|_| json!({}));
        if let Value::Object(recipe) = &mut recipe {
            let probe = json!({
                "layer": self.layer,
                "of": self.config.n_layer,
                "held_out_accuracy": accuracy,
            });
            recipe.insert("probe".into(), probe);
        }
        let provenance = Provenance {
            preprocessor: model.preprocessor(),
            recipe: recipe.to_string(),
            source: model.metadata("igpt.source").unwrap_or("{}").to_owned(),
        };
        let at = || output.display().to_string();
        let staged = Staged::create(output).with_context(at).failed()?;
        let mut out = BufWriter::with_capacity(1 << 20, staged.file());
        let form = Form {
            task: Task::Classify,
            dtype: Dtype::Int8,
            panels: None,
            inline: false,
        };
        let written = match self.dtype {
            Dtype::Int8 | Dtype::Int4 => {
                onnx::write(&mut out, &model, &config, form, &provenance, |_, _| {})
            }
            Dtype::F32 => PreparedWeights::new(&model, &config, false, Grid::Int8, None)
                .map_err(WriteError::from)
                .and_then(|prepared| {
                    onnx::write(&mut out, &prepared, &config, form, &provenance, |_, _| {})
                }),
        };
        let bytes = written
            .and_then(|(_, bytes)| out.flush().map_err(WriteError::from).map(|()| bytes))
            .map_err(|error| anyhow!(error).context(at()))
            .failed()?;
        drop(out);
        staged.finish().with_context(at).failed()?;
        Ok(bytes)
    }
}

/// The share of `chosen` that the written file classifies rightly.
///
/// # Errors
/// A file that cannot be loaded or an image that cannot be read.
pub(super) fn accuracy(
    file: &Path,
    options: &LoadOptions,
    set: &LabelledSet,
    chosen: &[usize],
    bar: &ProgressBar,
) -> Result<f64, Failure> {
    let model = ImageGptForImageClassification::load(file, options).failed()?;
    let mut session = model.session().failed()?;
    let mut right = 0usize;
    for index in chosen {
        let tokens = set.tokens(*index, model.processor()).bad_input()?;
        let verdict = session.classify(&tokens).failed()?;
        let best = verdict.top_k(1).first().map(|best| best.index);
        right += usize::from(best == Some(set.label(*index)));
        bar.inc(1);
    }
    Ok(right as f64 / chosen.len().max(1) as f64)
}
