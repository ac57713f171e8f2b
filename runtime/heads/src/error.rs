//! What goes wrong with heads.

/// Why a head cannot be fitted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FitError {
    /// No samples, or features that are not so many for each.
    #[error("{features} features of {samples} samples, expected {width} each")]
    Shape {
        /// Numbers that were given.
        features: usize,
        /// Samples.
        samples: usize,
        /// Features of a sample.
        width: usize,
    },
    /// A class that is none of those.
    #[error("class {found} of {classes}")]
    Class {
        /// The class.
        found: usize,
        /// How many there are.
        classes: usize,
    },
    /// L-BFGS did not get to an end.
    #[error("L-BFGS: {0}")]
    Search(String),
}

/// Why something cannot be an example.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExampleError {
    /// A name that no class can have.
    #[error("label {found:?}: expected {expected}")]
    Label {
        /// The name.
        found: String,
        /// What would do.
        expected: &'static str,
    },
    /// There are as many classes as there can be.
    #[error("there are {0} classes already, the most that can be taught; forget one")]
    Classes(usize),
    /// There are as many examples as there can be.
    #[error("there are {0} examples already, the most that are kept; forget a class, or undo")]
    Examples(usize),
    /// Other features than the examples have.
    #[error("{found} features of a picture, expected {expected}")]
    Features {
        /// Numbers.
        found: usize,
        /// As many as the layers have.
        expected: usize,
    },
    /// A feature is not a number.
    #[error("a feature of the picture is not a finite number")]
    NotFinite,
    /// A class that was never shown.
    #[error("{found:?} was not taught; {}", list(.known))]
    NoSuchClass {
        /// What was asked for.
        found: String,
        /// What there is.
        known: Vec<String>,
    },
}

fn list(known: &[String]) -> String {
    if known.is_empty() {
        return "nothing was taught".into();
    }
    let known: Vec<_> = known.iter().map(|label| format!("{label:?}")).collect();
    format!("there are {}", known.join(", "))
}

/// Why a file of examples cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It cannot be read.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// It is something else.
    #[error("not a file of taught examples: it does not begin with \"igpt-taught\"")]
    Foreign,
    /// Of a later program.
    #[error(
        "version {found} of the format, this program reads {expected}: use the program that wrote it, or a newer one"
    )]
    Version {
        /// The file's.
        found: u32,
        /// Ours.
        expected: u32,
    },
    /// It ends too early.
    #[error("cut off after {0} bytes")]
    Short(usize),
    /// It was damaged.
    #[error("damaged: its checksum is {found:08x}, expected {expected:08x}")]
    Checksum {
        /// Of its bytes.
        found: u32,
        /// As it says.
        expected: u32,
    },
    /// Whole, but not what it should be.
    #[error("{0}")]
    Contents(String),
    /// It belongs to something else.
    #[error("its examples are of another {what}: {found}, what runs is {expected}")]
    Mismatch {
        /// What differs.
        what: &'static str,
        /// In the file.
        found: String,
        /// What runs.
        expected: String,
    },
}
