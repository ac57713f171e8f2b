//! The command line: one verb per file in [`crate::verbs`].

use clap::{Parser, Subcommand};

use crate::failure::Failure;
use crate::verbs;

/// ImageGPT from a Hugging Face checkpoint to one int8 ONNX file, and what can be done with it.
///
/// Exit codes: 0 done, 1 failed, 2 wrong command line, 3 the input is at fault.
#[derive(Debug, Parser)]
#[command(name = "igpt", version)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Quantize(verbs::quantize::Args),
    Run(verbs::run::Args),
    Eval(verbs::eval::Args),
    Bench(verbs::bench::Args),
    Complete(verbs::complete::Args),
    Palette(verbs::palette::Args),
    Inspect(verbs::inspect::Args),
}

impl Cli {
    /// Runs the chosen verb.
    ///
    /// # Errors
    /// What went wrong, and whose fault it is.
    pub fn run(self) -> Result<(), Failure> {
        match self.verb {
            Verb::Quantize(args) => verbs::quantize::run(&args),
            Verb::Run(args) => verbs::run::run(&args),
            Verb::Eval(args) => verbs::eval::run(&args),
            Verb::Bench(args) => verbs::bench::run(&args),
            Verb::Complete(args) => verbs::complete::run(&args),
            Verb::Palette(args) => verbs::palette::run(&args),
            Verb::Inspect(args) => verbs::inspect::run(&args),
        }
    }
}
