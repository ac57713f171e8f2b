//! `igpt man`: the manual pages, made from what `--help` says.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::failure::{Blame, EXIT_CODES, Failure, Late, exit_codes_help, printed};
use crate::output::{self, Outputs};

/// Write manual pages: one for `igpt` and one for each of its verbs.
///
/// `igpt man -o ~/.cargo/share/man/man1`, then `man igpt-quantize`: man looks beside every folder of
/// programs in `PATH`, and
/// `cargo install` puts this one into `~/.cargo/bin`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The folder for them; it is made if it is not there. Files of the same names are replaced.
    #[arg(short, long, alias = "out", value_name = "DIR")]
    pub output: PathBuf,
}

/// Runs the verb and prints the path of each page.
///
/// # Errors
/// A folder, page or standard output that cannot be written.
pub fn run(args: &Args, command: Command) -> Result<(), Failure> {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let pages = std::iter::once(&command).chain(command.get_subcommands());
    let pages: Vec<&Command> = pages.filter(|page| !page.is_hide_set()).collect();
    let pages = pages
        .into_iter()
        .map(|page| (path(page, &args.output), page));
    let mut outputs = Outputs::default();
    for (path, _) in pages.clone() {
        outputs.file(&path)?;
    }
    let mut late = Late::default();
    let mut written = Vec::new();
    for (path, page) in pages {
        if late.note(write_page(page, &path)).is_some() {
            written.push(path);
        }
    }
    late.note(printed(print(&written)));
    late.end()
}

fn print(pages: &[PathBuf]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for path in pages {
        writeln!(out, "{}", path.display())?;
    }
    out.flush()
}

fn path(command: &Command, folder: &Path) -> PathBuf {
    folder.join(Man::new(command.clone()).get_filename())
}

fn write_page(command: &Command, path: &Path) -> Result<(), Failure> {
    // Examples and codes get the sections that manual pages have for them; clap_mangen would put them under
    // "EXTRA".
    let man = Man::new(command.clone().after_help(None).after_long_help(None)).manual("igpt-edge");
    let mut page = Vec::new();
    man.render(&mut page)
        .and_then(|()| page.write_all(examples(command).to_roff().as_bytes()))
        .and_then(|()| page.write_all(exit_status().to_roff().as_bytes()))
        .with_context(|| path.display().to_string())
        .and_then(|()| output::write(path, &page))
        .failed()
}

/// What `--help` says after the options, line by line as it stands there: the sections "EXAMPLES" and, before
/// it, "NOTES".
fn examples(command: &Command) -> Roff {
    let help = command.get_after_help().map(ToString::to_string);
    let help = help
        .filter(|help| *help != exit_codes_help())
        .unwrap_or_default();
    let lines: Vec<&str> = help.lines().collect();
    let end = lines.iter().position(|line| *line == "Examples:");
    let (notes, examples) = lines
        .split_at_checked(end.unwrap_or(lines.len()))
        .unwrap_or_default();
    let mut section = Roff::new();
    for (title, lines) in [
        ("NOTES", notes),
        ("EXAMPLES", examples.get(1..).unwrap_or_default()),
    ] {
        if !lines.is_empty() {
            section.control("SH", [title]);
            section.control("nf", []);
            for line in lines {
                section.text([roman(*line)]);
            }
            section.control("fi", []);
        }
    }
    section
}

/// The section "EXIT STATUS".
fn exit_status() -> Roff {
    let mut section = Roff::new();
    section.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in EXIT_CODES {
        section.control("TP", []);
        section.text([bold(code.to_string())]);
        section.text([roman(meaning)]);
    }
    section
}
