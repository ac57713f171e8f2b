//! Everything that can go wrong between a file and a verdict.

mod format;
mod pixels;
mod tokens;

use std::path::PathBuf;

use igpt_kernels::IsaError;

use crate::config::ConfigError;
use crate::imagegpt::{ExitError, GenerationError};
use crate::kind::Task;
use crate::processor::ProcessorError;

pub use format::FormatError;
#[cfg(feature = "tools")]
pub use format::NO_PROCESSOR;
pub use pixels::PixelsError;
pub use tokens::TokensError;

/// An error of the runtime. Each names the culprit, what was found and what was expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be opened or mapped.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is not a model of ours, or was damaged.
    #[error("{name}: {source}")]
    Format {
        /// File name, or "embedded model".
        name: String,
        /// What is wrong with it.
        source: FormatError,
    },
    /// The model's configuration makes no sense.
    #[error("{name}: {source}")]
    Config {
        /// File name, or "embedded model".
        name: String,
        /// What is wrong with it.
        source: ConfigError,
    },
    /// The model's image processor makes no sense.
    #[error("{name}: {source}")]
    Processor {
        /// File name, or "embedded model".
        name: String,
        /// What is wrong with it.
        source: ProcessorError,
    },
    /// The file is for another task.
    #[error(
        "{name}: the file was made for task {found}, this needs {}; {}",
        either(expected),
        next_step(name, expected)
    )]
    Task {
        /// File name, or "embedded model".
        name: String,
        /// The file's task.
        found: Task,
        /// What would do.
        expected: &'static [Task],
    },
    /// The file holds a model of another family.
    #[error(
        "{name}: the file holds {} model, this needs {} model{}",
        article(found),
        article(expected),
        other_family(found)
    )]
    Family {
        /// File name, or "embedded model".
        name: String,
        /// The file's `model_type`.
        found: &'static str,
        /// What would do.
        expected: &'static str,
    },
    /// The instruction set asked for is not there.
    #[error(transparent)]
    Isa(#[from] IsaError),
    /// The threads cannot be had.
    #[error("cannot start {threads} threads: {source}")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No tokens, too many, or one outside the vocabulary.
    #[error("tokens: {0}")]
    Tokens(#[from] TokensError),
    /// Another number of pixel values than an image has.
    #[error("pixel values: {0}")]
    Pixels(#[from] PixelsError),
    /// A layer met a number that is not one: the weights or the tokens drive it out of range.
    #[error("{name}: {layer}: row {row} reached {found}, expected a finite number")]
    NonFinite {
        /// File name, or "embedded model".
        name: String,
        /// The graph's node.
        layer: String,
        /// The token of the run.
        row: usize,
        /// The offending value.
        found: f32,
    },
    /// The model cannot stop early as was asked.
    #[error("{name}: {source}")]
    Exit {
        /// File name, or "embedded model".
        name: String,
        /// Why not.
        source: ExitError,
    },
    /// What was asked of the generator makes no sense.
    #[error("generation: {0}")]
    Generation(#[from] GenerationError),
    /// A layer that the model does not have, or none where one is needed.
    #[error("{name}: {}, expected {first} to {last}", layer(found))]
    Layer {
        /// File name, or "embedded model".
        name: String,
        /// The layer that was asked for, if any was.
        found: Option<usize>,
        /// The first that there is.
        first: usize,
        /// The last.
        last: usize,
    },
    /// The model could not be planned or run.
    #[error("{name}: {what}")]
    Run {
        /// File name, or "embedded model".
        name: String,
        /// What the planner says.
        what: String,
    },
}

/// Which layer it is.
fn layer(found: &Option<usize>) -> String {
    found.map_or("no layer".into(), |layer| format!("layer {layer}"))
}

/// A family's name with its article.
fn article(family: &str) -> String {
    let article = if family.starts_with('i') { "an" } else { "a" };
    format!("{article} {family}")
}

/// What is missing of the other family.
fn other_family(found: &str) -> &'static str {
    match found {
        "segformer" => "; a segformer takes pixels, has no tokens and draws nothing",
        _ => "",
    }
}

fn either(tasks: &[Task]) -> String {
    tasks
        .iter()
        .map(|task| task.name())
        .collect::<Vec<_>>()
        .join(" or ")
}

/// How to come by a file for the task that was expected.
fn next_step(name: &str, expected: &[Task]) -> String {
    match expected {
        [Task::Causal] => {
            "`igpt quantize CHECKPOINT --task causal -o lm.onnx` makes one of a checkpoint with \
                     lm_head.weight, which those of ImageGPTForCausalImageModeling have"
                .into()
        }
        // The layers of any file serve, and those of a language model well.
        _ => format!(
            "`igpt probe {name} --data IMAGES -o classifier.onnx` makes a classifier of it, from a folder of \
             images for each class; of a checkpoint with score.weight `igpt quantize --task classify` makes one"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, Task};

    #[test]
    fn a_file_for_another_task_comes_with_the_next_step() {
        let error = |found, expected| Error::Task {
            name: "m.onnx".into(),
            found,
            expected,
        };
        let classifier = error(Task::Causal, &[Task::Classify]).to_string();
        assert!(
            classifier
                .starts_with("m.onnx: the file was made for task causal, this needs classify; ")
        );
        assert!(classifier.contains("`igpt probe m.onnx --data IMAGES -o "));
        let head = error(Task::Features, &[Task::Classify, Task::Causal]).to_string();
        assert!(head.contains(" this needs classify or causal; "));
        assert!(head.contains("`igpt probe m.onnx "));
        let language = error(Task::Classify, &[Task::Causal]).to_string();
        assert!(language.contains("--task causal") && language.contains("lm_head.weight"));
    }
}
