//! `igpt man`: the manual pages, made from what `--help` says.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::failure::{Blame, EXIT_CODES, Failure, exit_codes_help};

/// Write manual pages: one for `igpt` and one for each of its verbs.
///
/// `igpt man --out ~/.cargo/share/man/man1`, then `man igpt-quantize`: man looks beside every folder of
/// programs in `PATH`, and
/// `cargo install` puts this one into `~/.cargo/bin`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The folder for them; it is made if it is not there. Files of the same names are replaced.
    #[arg(short, long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Runs the verb and prints the path of each page.
///
/// # Errors
/// A folder, page or standard output that cannot be written.
pub fn run(args: &Args, command: Command) -> Result<(), Failure> {
    fs::create_dir_all(&args.out)
        .with_context(|| args.out.display().to_string())
        .failed()?;
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let pages = std::iter::once(&command).chain(command.get_subcommands());
    for page in pages.filter(|page| !page.is_hide_set()) {
        let path = write_page(page, &args.out)?;
        writeln!(io::stdout(), "{}", path.display())
            .context("standard output")
            .failed()?;
    }
    Ok(())
}

fn write_page(command: &Command, folder: &Path) -> Result<PathBuf, Failure> {
    // Examples and codes get the sections that manual pages have for them; clap_mangen would put them under
    // "EXTRA".
    let man = Man::new(command.clone().after_help(None).after_long_help(None)).manual("igpt-edge");
    let path = folder.join(man.get_filename());
    let mut page = Vec::new();
    man.render(&mut page)
        .and_then(|()| page.write_all(examples(command).to_roff().as_bytes()))
        .and_then(|()| page.write_all(exit_status().to_roff().as_bytes()))
        .and_then(|()| fs::write(&path, &page))
        .with_context(|| path.display().to_string())
        .failed()?;
    Ok(path)
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
