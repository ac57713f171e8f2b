//! The best layer as a model file of its own, and whether it does what the probe said.

use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::{Context as _, anyhow};
use igpt_heads::LinearHead;
use igpt_runtime::{
    AutoModelForImageClassification, Dtype, ImageGptConfig, LoadOptions, ModelConfig, ProblemType,
    SegformerConfig,
};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use crate::checkpoint::Weights;
use crate::conversion::recipe;
use crate::failure::{Blame as _, Failure};
use crate::imagegpt::prepared::PreparedWeights;
use crate::labelled::LabelledSet;
use crate::onnx::{self, CutModel, CutNames, Design, Form, Provenance, Task, WriteError};
use crate::output::Staged;
use crate::quantization::Grid;
use crate::segformer::SizedModel;

/// What to write.
pub(super) struct Cut<'a> {
    /// The file that was probed.
    pub(super) source: &'a Path,
    /// Its configuration.
    pub(super) config: &'a ModelConfig,
    /// Height and width of its pictures.
    pub(super) size: (usize, usize),
    /// How its linear layers are stored; those of what is written are int8.
    pub(super) dtype: Dtype,
    /// Blocks, or of a SegFormer stages, to keep: one at least.
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
        match self.config {
            ModelConfig::ImageGpt(config) => self.write_imagegpt(config, output, accuracy),
            ModelConfig::Segformer(config) => self.write_segformer(config, output, accuracy),
            other => Err(anyhow!("a {} model cannot be cut", other.model_type())).bad_input(),
        }
    }

    fn write_imagegpt(
        &self,
        config: &ImageGptConfig,
        output: &Path,
        accuracy: f64,
    ) -> Result<u64, Failure> {
        let blocks = config.n_layer;
        let mut config = config.clone();
        config.n_layer = self.layer;
        config.id2label = self.classes.to_vec();
        config.architectures = vec!["ImageGPTForImageClassification".into()];
        // Whatever the head was whose place this one takes.
        config.problem_type = Some(ProblemType::SingleLabel);
        config.validate().bad_input()?;
        let names = CutNames {
            prefix: "transformer.",
            head: ["score.weight", "score.bias"],
            // A whole model's keeps its gain; the features of a cut one were normalised without.
            unit_gain: (self.layer < blocks).then_some("ln_f.weight"),
        };
        let model = CutModel::open(self.source, names, self.head.clone()).bad_input()?;
        let provenance = self.provenance(&model, blocks, accuracy, || recipe(Dtype::Int8, None));
        match self.dtype {
            Dtype::Int8 | Dtype::Int4 => stage(output, &model, &config, Dtype::Int8, &provenance),
            Dtype::F32 => {
                let prepared = PreparedWeights::new(&model, &config, false, Grid::Int8, None);
                stage(
                    output,
                    &prepared.bad_input()?,
                    &config,
                    Dtype::Int8,
                    &provenance,
                )
            }
        }
    }

    fn write_segformer(
        &self,
        config: &SegformerConfig,
        output: &Path,
        accuracy: f64,
    ) -> Result<u64, Failure> {
        let stages = config.num_encoder_blocks;
        let mut config = config.clone();
        config.num_encoder_blocks = self.layer;
        for list in [
            &mut config.depths,
            &mut config.sr_ratios,
            &mut config.hidden_sizes,
            &mut config.patch_sizes,
            &mut config.strides,
            &mut config.num_attention_heads,
            &mut config.mlp_ratios,
        ] {
            list.truncate(self.layer);
        }
        config.id2label = self.classes.to_vec();
        config.architectures = vec!["SegformerForImageClassification".into()];
        config.problem_type = Some(ProblemType::SingleLabel);
        config.validate().bad_input()?;
        let names = CutNames {
            prefix: "segformer.",
            head: ["classifier.weight", "classifier.bias"],
            unit_gain: None,
        };
        let model = CutModel::open(self.source, names, self.head.clone()).bad_input()?;
        let recipe = || crate::segformer::conversion::recipe(Dtype::Int8, None);
        let provenance = self.provenance(&model, stages, accuracy, recipe);
        let design = SizedModel::new(&config, self.size).bad_input()?;
        stage(output, &model, &design, Dtype::Int8, &provenance)
    }

    /// That of the file that was probed, and what the probe found; `recipe` of one that is quantised only now.
    fn provenance(
        &self,
        model: &CutModel,
        of: usize,
        accuracy: f64,
        recipe: impl FnOnce() -> String,
    ) -> Provenance {
        let recipe = match self.dtype {
            // The integers of an int4 file are int8 too, and stay what they are.
            Dtype::Int8 | Dtype::Int4 => model.metadata("igpt.recipe").unwrap_or("{}").to_owned(),
            Dtype::F32 => recipe(),
        };
        let mut recipe: Value = serde_json::from_str(&recipe).unwrap_or_else(|_| json!({}));
        if let Value::Object(recipe) = &mut recipe {
            let probe = json!({
                "layer": self.layer,
                "of": of,
                "held_out_accuracy": accuracy,
            });
            recipe.insert("probe".into(), probe);
        }
        Provenance {
            preprocessor: model.preprocessor(),
            recipe: recipe.to_string(),
            source: model.metadata("igpt.source").unwrap_or("{}").to_owned(),
        }
    }
}

/// Writes a classifier beside `output` and renames it. Returns its bytes.
///
/// # Errors
/// Weights that cannot be read, an output that cannot be written.
pub(super) fn stage(
    output: &Path,
    weights: &impl Weights,
    design: &impl Design,
    dtype: Dtype,
    provenance: &Provenance,
) -> Result<u64, Failure> {
    let at = || output.display().to_string();
    let staged = Staged::create(output).with_context(at).failed()?;
    let mut out = BufWriter::with_capacity(1 << 20, staged.file());
    let form = Form {
        task: Task::Classify,
        dtype,
        panels: None,
        inline: false,
    };
    let written = onnx::write(&mut out, weights, design, form, provenance, |_, _| {});
    let bytes = written
        .and_then(|(_, bytes)| out.flush().map_err(WriteError::from).map(|()| bytes))
        .map_err(|error| anyhow!(error).context(at()))
        .failed()?;
    drop(out);
    staged.finish().with_context(at).failed()?;
    Ok(bytes)
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
    let model = AutoModelForImageClassification::load(file, options).failed()?;
    let mut session = model.session().failed()?;
    let mut right = 0usize;
    for index in chosen {
        let verdict = set.read_image(*index, |image| session.classify_image(image));
        let verdict = verdict.bad_input()?;
        let best = verdict.top_k(1).first().map(|best| best.index);
        right += usize::from(best == Some(set.label(*index)));
        bar.inc(1);
    }
    Ok(right as f64 / chosen.len().max(1) as f64)
}
