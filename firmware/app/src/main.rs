//! `igpt-cam`: see `igpt-cam --help`; its logic is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    igpt_firmware::main()
}
