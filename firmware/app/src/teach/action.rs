//! `igpt-cam teach` and its kin: what a person asks for of what is taught, of the running app or without one.

use std::path::PathBuf;

use crate::options::Options;

use super::request::Request;

/// What can be done with what is taught.
#[derive(Debug, Clone, clap::Subcommand)]
#[allow(
    clippy::large_enum_variant,
    reason = "one a program, read once from its command line"
)]
pub enum Action {
    /// Teach a class by showing it: a few frames of the source become its examples.
    ///
    /// With --control the running app takes its own next frames, and uses what it learnt from the next frame on. Without, frames
    /// come from --source, and the app uses it when it is started. Show a class several times, at other places and in other light;
    /// show what is none of the classes too (--none).
    Teach(Teach),
    /// What was taught, and how well it is told apart.
    List(Place),
    /// Take back the last showing, or the last class that was forgotten.
    Undo(Place),
    /// Forget a class.
    Forget(Forget),
    /// Write a model file of the taught classes, as `igpt probe` does.
    Export(Export),
    /// What runs, and what was taught.
    Status(Place),
}

/// Where what was taught is.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Place {
    /// Read settings from this TOML file.
    #[arg(long, value_name = "FILE.toml")]
    pub config: Option<PathBuf>,
    /// Ask the app that listens on this socket.
    #[arg(long, value_name = "SOCKET")]
    pub control: Option<PathBuf>,
    /// The model that the classes belong to.
    #[arg(long, value_name = "FILE.onnx")]
    pub model: Option<PathBuf>,
    /// The file of what was taught. [default: beside the model, or in --state-dir]
    #[arg(long, value_name = "FILE")]
    pub taught: Option<String>,
    /// As of the app.
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Print lines of JSON, as docs/teaching.md describes them.
    #[arg(long, num_args = 0, default_missing_value = "true")]
    pub json: Option<bool>,
}

/// Of `teach`.
#[derive(Debug, Clone, clap::Args)]
pub struct Teach {
    /// The class.
    #[arg(required_unless_present = "none", conflicts_with = "none")]
    pub label: Option<String>,
    /// Show what is none of the classes.
    #[arg(long)]
    pub none: bool,
    /// Examples to take, which differ from one another. [default: 5 of a live source, else all]
    #[arg(long, value_name = "N")]
    pub examples: Option<u32>,
    /// Read settings from this TOML file.
    #[arg(long, value_name = "FILE.toml")]
    pub config: Option<PathBuf>,
    /// The same as of the app; --interval is the time between two examples. [default: 500ms of a live source]
    #[command(flatten)]
    pub options: Options,
}

/// Of `forget`.
#[derive(Debug, Clone, clap::Args)]
pub struct Forget {
    /// The class.
    #[arg(required_unless_present = "none", conflicts_with = "none")]
    pub label: Option<String>,
    /// What is none of the classes.
    #[arg(long)]
    pub none: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,
}

/// Of `export`.
#[derive(Debug, Clone, clap::Args)]
pub struct Export {
    /// The model file to write.
    #[arg(value_name = "OUT.onnx")]
    pub file: PathBuf,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,
}

impl Place {
    fn settings(self) -> (Option<PathBuf>, Options) {
        let options = Options {
            control: self.control,
            model: self.model,
            taught: self.taught,
            state_dir: self.state_dir,
            json: self.json,
            ..Options::default()
        };
        (self.config, options)
    }
}

impl Action {
    /// What is asked for, and the configuration file and options that it is asked with.
    pub(crate) fn split(self) -> (Request, (Option<PathBuf>, Options)) {
        match self {
            Self::Teach(teach) => {
                let request = Request::Teach {
                    label: teach.label,
                    none: teach.none,
                    examples: teach.examples,
                    interval: None,
                };
                (request, (teach.config, teach.options))
            }
            Self::List(place) => (Request::List {}, place.settings()),
            Self::Undo(place) => (Request::Undo {}, place.settings()),
            Self::Status(place) => (Request::Status {}, place.settings()),
            Self::Forget(Forget { label, none, place }) => {
                (Request::Forget { label, none }, place.settings())
            }
            Self::Export(Export { file, place }) => (Request::Export { file }, place.settings()),
        }
    }
}
