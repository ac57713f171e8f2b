//! The command line: one verb per file in [`crate::verbs`].

use clap::{Command, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::failure::{self, Failure};
use crate::verbs;

/// ImageGPT from a Hugging Face checkpoint to one int8 ONNX file, and what can be done with it.
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
    Probe(verbs::probe::Args),
    Inspect(verbs::inspect::Args),
    Completions(verbs::completions::Args),
    Man(verbs::man::Args),
}

impl Cli {
    /// What is understood; `--help` of every verb ends with the exit codes.
    pub fn command() -> Command {
        let codes = failure::exit_codes_help();
        <Self as CommandFactory>::command()
            .after_help(codes.clone())
            .mut_subcommands(|verb| {
                // The longer help would replace the verb's own examples, not follow them.
                let help = match verb.get_after_help() {
                    Some(examples) => format!("{examples}\n\n{codes}"),
                    None => codes.clone(),
                };
                verb.after_long_help(help)
            })
    }

    /// The command line of this process. A wrong one ends the process with exit code 2, and `--help` and
    /// `--version` with 0.
    pub fn from_command_line() -> Self {
        Self::from_arg_matches(&Self::command().get_matches()).unwrap_or_else(|error| error.exit())
    }

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
            Verb::Completions(args) => verbs::completions::run(&args, Self::command()),
            Verb::Man(args) => verbs::man::run(&args, Self::command()),
            Verb::Probe(args) => verbs::probe::run(&args),
        }
    }
}
