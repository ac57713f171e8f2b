//! This machine's programs and examples, for tests that run them.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests lie in the workspace")
        .to_owned()
}

/// Runs a command to its end and returns its standard output; its standard error goes to the test's.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{text}",
        output.status
    );
    text
}

/// The program of this name, `kind` being `--bin` or `--example`. Cargo builds programs for the tests of their own
/// package only.
pub(crate) fn native(kind: &str, name: &str) -> PathBuf {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = [
        "build",
        "--release",
        "--workspace",
        kind,
        name,
        "--message-format=json",
    ];
    let mut build = Command::new(cargo);
    build.args(arguments).current_dir(root());
    // What cargo tells a test of its package: build scripts that look at it would run again, and half of the
    // dependencies be compiled again.
    for (name, _) in env::vars_os() {
        let told = name.to_string_lossy();
        if told.starts_with("CARGO_PKG_") || told.starts_with("CARGO_MANIFEST_") {
            build.env_remove(&name);
        }
    }
    let messages = run(&mut build);
    let messages = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut executables =
        messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
    executables
        .next_back()
        .expect("cargo names the program it built")
}
