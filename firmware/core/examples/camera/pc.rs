//! The example on a PC: what the boards are compared with.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::{app, port};

pub(crate) fn main() -> ExitCode {
    let Some(log) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: camera LOG    defmt's frames go to the file LOG");
        return ExitCode::from(2);
    };
    if let Err(error) = port::open(&log) {
        eprintln!("camera: {}: {error}", log.display());
        return ExitCode::FAILURE;
    }
    match app::run(&mut |line| println!("{line}")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("camera: {trouble}");
            ExitCode::FAILURE
        }
    }
}
