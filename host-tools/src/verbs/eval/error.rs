//! What can be wrong with the files and the images of an evaluation.

use std::path::PathBuf;

/// A model file and images, or two model files, that do not go together.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// A file that predicts nothing.
    #[error(
        "{}: made for task {found}, expected classify or causal, which predict something; \
         `igpt probe {} --data IMAGES -o classifier.onnx` makes a classifier of it",
        file.display(),
        file.display()
    )]
    NoHead {
        /// The model file.
        file: PathBuf,
        /// Its task.
        found: &'static str,
    },
    /// A classifier whose images have no single right label.
    #[error(
        "{}: its problem type is {found}: an image has no one label that would be right, and eval measures those \
         that have (single_label_classification) and language models. What it says of images: igpt run \
         writes the logits and what they mean",
        file.display()
    )]
    NotOneLabel {
        /// The model file.
        file: PathBuf,
        /// Its problem type, and how that is known.
        found: String,
    },
    /// A file that cannot read images.
    #[error("{}: {}", file.display(), igpt_runtime::tools::NO_PROCESSOR)]
    NoProcessor {
        /// The model file.
        file: PathBuf,
    },
    /// A class of the data set that the model has no label for.
    #[error(
        "{}: class {class:?} is no label of {}, expected one of {labels}",
        data.display(),
        file.display()
    )]
    UnknownClass {
        /// The data set.
        data: PathBuf,
        /// Its class.
        class: String,
        /// The model file.
        file: PathBuf,
        /// Its labels.
        labels: String,
    },
    /// A number of a class beyond the model's.
    #[error(
        "{}: label {label}, expected 0 to {} as {} has {labels} of them",
        data.display(),
        labels - 1,
        file.display()
    )]
    LabelRange {
        /// The data set.
        data: PathBuf,
        /// Its label.
        label: usize,
        /// The model file.
        file: PathBuf,
        /// How many labels it has.
        labels: usize,
    },
    /// Two files that cannot be compared.
    #[error("{}: {field} is {found}, expected {expected} as in {}", against.display(), file.display())]
    Differs {
        /// The file that is measured.
        file: PathBuf,
        /// The one that it is held against.
        against: PathBuf,
        /// In what they differ.
        field: String,
        /// What `against` has.
        found: String,
        /// What `file` has.
        expected: String,
    },
}
