//! Everything that can go wrong between a file and a verdict.

use std::path::PathBuf;

use igpt_kernels::IsaError;

use crate::config::ConfigError;
use crate::processor::ProcessorError;

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
    #[error("{name}: {what}")]
    Format {
        /// File name, or "embedded model".
        name: String,
        /// Field, what was found, what was expected.
        what: String,
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
        "{name}: the file was made for task {found}, this needs {expected}; {}",
        next_step(name, expected)
    )]
    Task {
        /// File name, or "embedded model".
        name: String,
        /// The file's task.
        found: String,
        /// What was asked for.
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
        source: rayon::ThreadPoolBuildError,
    },
    /// No tokens, too many, or one outside the vocabulary.
    #[error("tokens: {0}")]
    Tokens(String),
    /// A layer met a number that is not one: the weights or the tokens drive it out of range.
    #[error("{name}: {layer}: {source}")]
    NonFinite {
        /// File name, or "embedded model".
        name: String,
        /// The graph's node.
        layer: String,
        /// Row (token of the run) and value.
        source: igpt_kernels::NonFinite,
    },
    /// What was asked of the generator makes no sense.
    #[error("generation: {0}")]
    Generation(String),
    /// The model could not be planned or run.
    #[error("{0}")]
    Run(String),
}

/// How to come by a file for the task that was expected.
fn next_step(name: &str, expected: &str) -> String {
    match expected {
        "causal" => {
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
    use super::Error;

    #[test]
    fn a_file_for_another_task_comes_with_the_next_step() {
        let error = |found: &str, expected| Error::Task {
            name: "m.onnx".into(),
            found: found.into(),
            expected,
        };
        let classifier = error("causal", "classify").to_string();
        assert!(
            classifier
                .starts_with("m.onnx: the file was made for task causal, this needs classify; ")
        );
        assert!(classifier.contains("`igpt probe m.onnx --data IMAGES -o "));
        let head = error("features", "classify or causal").to_string();
        assert!(head.contains("`igpt probe m.onnx "));
        let language = error("classify", "causal").to_string();
        assert!(language.contains("--task causal") && language.contains("lm_head.weight"));
    }
}
