//! The command `igpt`.

use std::process::ExitCode;

use igpt_tools::cli::Cli;
use igpt_tools::failure::{Failure, say};

fn main() -> ExitCode {
    match Cli::from_command_line().and_then(|line| line.map_or(Ok(()), Cli::run)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure
                .each()
                .into_iter()
                .map(Failure::to_string)
                .for_each(|line| say(&line));
            failure.exit_code()
        }
    }
}
