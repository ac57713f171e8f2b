//! The command line: one verb per file in [`crate::verbs`].

use std::io::{self, Write as _};

use clap::{Command, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::failure::{self, Failure};
use crate::json;
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
    Classify(verbs::classify::Args),
    Run(verbs::run::Args),
    Eval(verbs::eval::Args),
    Bench(verbs::bench::Args),
    Complete(verbs::complete::Args),
    Palette(verbs::palette::Args),
    Probe(verbs::probe::Args),
    Inspect(verbs::inspect::Args),
    Verify(verbs::verify::Args),
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

    /// The command line of this process; none if all it asked for was `--help` or `--version`. A wrong one ends
    /// the process with exit code 2.
    ///
    /// # Errors
    /// A standard output that does not take the help, of which clap would say nothing.
    pub fn from_command_line() -> Result<Option<Self>, Failure> {
        let parsed = Self::command().try_get_matches();
        match parsed.and_then(|matches| Self::from_arg_matches(&matches)) {
            Ok(line) => json::check_names(std::env::args_os()).map(|()| Some(line)),
            Err(error) if error.use_stderr() => error.exit(),
            Err(help) => {
                let written = help.print().and_then(|()| io::stdout().flush());
                failure::printed(written).map(|()| None)
            }
        }
    }

    /// Runs the chosen verb.
    ///
    /// # Errors
    /// What went wrong, and whose fault it is.
    pub fn run(self) -> Result<(), Failure> {
        match self.verb {
            Verb::Quantize(args) => verbs::quantize::run(&args),
            Verb::Classify(args) => verbs::classify::run(&args),
            Verb::Run(args) => verbs::run::run(&args),
            Verb::Eval(args) => verbs::eval::run(&args),
            Verb::Bench(args) => verbs::bench::run(&args),
            Verb::Complete(args) => verbs::complete::run(&args),
            Verb::Palette(args) => verbs::palette::run(&args),
            Verb::Inspect(args) => verbs::inspect::run(&args),
            Verb::Verify(args) => verbs::verify::run(&args),
            Verb::Completions(args) => verbs::completions::run(&args, Self::command()),
            Verb::Man(args) => verbs::man::run(&args, Self::command()),
            Verb::Probe(args) => verbs::probe::run(&args),
        }
    }
}
