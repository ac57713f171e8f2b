//! Runs `igpt-cam` as a person does.

// Each test program uses some of these.
#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The program in this directory, without anything from systemd.
pub(crate) fn cam(dir: &Path) -> Command {
    // At run time, not with env!: built for another architecture, Cargo 1.95 does not define it for the compiler.
    let program = std::env::var_os("CARGO_BIN_EXE_igpt-cam").expect("run by cargo test");
    let mut command = Command::new(program);
    command
        .current_dir(dir)
        .env_remove("NOTIFY_SOCKET")
        .env_remove("SYSTEMD_EXEC_PID")
        .env_remove("STATE_DIRECTORY");
    command
}

pub(crate) fn run(dir: &Path, arguments: &[&str]) -> Output {
    cam(dir)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Expects this exit code and an error that names the culprit.
pub(crate) fn ends_with(output: &Output, code: i32, culprit: &str) {
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{errors}");
    assert!(
        errors.contains(culprit),
        "{culprit:?} is not named in: {errors}"
    );
    assert!(!errors.contains("panicked"), "{errors}");
}

/// Runs, and expects this exit code and an error that names the culprit.
pub(crate) fn refused(dir: &Path, arguments: &[&str], code: i32, culprit: &str) {
    println!("{arguments:?}");
    ends_with(&run(dir, arguments), code, culprit);
}

/// The model file that the program has inside it.
pub(crate) fn bundled() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../models/fashion-mnist/igpt-fashion-mnist-int8.onnx")
}

/// A grey picture.
pub(crate) fn save(path: &Path, width: u32, height: u32, grey: u8) {
    image::GrayImage::from_pixel(width, height, image::Luma([grey]))
        .save(path)
        .unwrap();
}
