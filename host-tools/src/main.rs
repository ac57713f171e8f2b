//! The command `igpt`.

use std::process::ExitCode;

fn main() -> ExitCode {
    match igpt_tools::cli::Cli::from_command_line().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("igpt: {failure}");
            failure.exit_code()
        }
    }
}
