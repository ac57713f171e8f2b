//! The command `igpt`.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match igpt_tools::cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("igpt: {failure}");
            failure.exit_code()
        }
    }
}
