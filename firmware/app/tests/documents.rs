//! The manual page and the completion script that the Debian package brings: they say what `--help` says.

use std::fs;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use igpt_firmware::CommandLine;

/// Fails if the file in `firmware/packaging/` is not what the command line gives now, and replaces it if the environment
/// asks for that with `IGPT_UPDATE=1`.
fn is_current(name: &str, expected: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../packaging")
        .join(name);
    if std::env::var_os("IGPT_UPDATE").is_some() {
        fs::write(&path, expected).unwrap();
    }
    assert!(
        fs::read(&path).unwrap() == expected,
        "{} is out of date: IGPT_UPDATE=1 cargo test --release --workspace --test documents",
        path.display()
    );
}

#[test]
fn the_manual_page_is_current() {
    let command = CommandLine::command();
    // "Examples:" and "Exit codes:" become sections, line by line; clap_mangen would run them together.
    let extra = command.get_after_long_help().unwrap().to_string();
    let mut sections = Roff::new();
    for section in extra.split("\n\n") {
        let (heading, lines) = section.split_once(":\n").unwrap();
        sections.control("SH", [heading.to_uppercase().as_str()]);
        sections.control("nf", []);
        for line in lines.lines() {
            sections.text([roman(line)]);
        }
        sections.control("fi", []);
    }
    let mut page = Vec::new();
    Man::new(command.after_help(None).after_long_help(None))
        .manual("igpt-edge")
        .render(&mut page)
        .unwrap();
    page.extend(sections.to_roff().bytes());
    is_current("igpt-cam.1", &page);
}

/// `igpt-cam-teach.1` and so on, which the page of `igpt-cam` names.
#[test]
fn the_manual_pages_of_what_else_it_does_are_current() {
    let mut command = CommandLine::command();
    command.build();
    for part in command
        .get_subcommands()
        .filter(|part| part.get_name() != "help")
    {
        // clap keeps names for as long as the program runs.
        let name: &'static str = format!("igpt-cam-{}", part.get_name()).leak();
        let mut page = Vec::new();
        Man::new(part.clone().name(name).bin_name(name))
            .manual("igpt-edge")
            .render(&mut page)
            .unwrap();
        is_current(&format!("{name}.1"), &page);
    }
}

#[test]
fn the_bash_completions_are_current() {
    let mut script = Vec::new();
    clap_complete::generate(
        Shell::Bash,
        &mut CommandLine::command(),
        "igpt-cam",
        &mut script,
    );
    is_current("igpt-cam.bash", &script);
}
