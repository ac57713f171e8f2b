//! `igpt-cam`: see `igpt-cam --help`; its logic is in `igpt_firmware::linux::app`.

use std::process::ExitCode;

fn main() -> ExitCode {
    igpt_firmware::linux::app::main()
}
