//! `igpt man`: the manual pages, made from what `--help` says.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::failure::{Blame, EXIT_CODES, Failure};

/// Write manual pages: one for `igpt` and one for each of its verbs.
///
/// `igpt man --out ~/.local/share/man/man1`, then `man igpt-quantize`.
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
    // The codes get the section that manual pages have for them; clap_mangen would put them under "EXTRA".
    let man = Man::new(command.clone().after_help(None).after_long_help(None)).manual("igpt-edge");
    let path = folder.join(man.get_filename());
    let mut page = Vec::new();
    man.render(&mut page)
        .and_then(|()| page.write_all(exit_status().to_roff().as_bytes()))
        .and_then(|()| fs::write(&path, &page))
        .with_context(|| path.display().to_string())
        .failed()?;
    Ok(path)
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
