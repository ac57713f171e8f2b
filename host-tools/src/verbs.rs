//! What `igpt` can do, one file per verb.

pub mod bench;
pub mod classify;
pub mod complete;
pub mod completions;
pub mod eval;
pub mod inspect;
pub mod man;
pub mod palette;
pub mod probe;
pub mod quantize;
pub mod run;
pub mod verify;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::builder::{PossibleValuesParser, RangedU64ValueParser, TypedValueParser};
use igpt_runtime::tools::report::{Reported, RunReport, file_crc32, rfc3339};
use igpt_runtime::{Isa, LoadOptions};
use serde::Serialize;

use crate::failure::{self, Blame, Failure};

/// Names of instruction sets, which shells complete.
fn isa() -> impl TypedValueParser<Value = Isa> {
    PossibleValuesParser::new(Isa::ALL.map(Isa::name)).try_map(|name| name.parse())
}

/// Help of the option for one; `more` is said after it.
fn isa_help(more: &str) -> String {
    let [first, between @ .., last] = Isa::ALL.map(Isa::name);
    let between: String = between.iter().map(|name| format!(", {name}")).collect();
    format!("Instruction set: {first}{between} or {last} [default: the fastest there is].{more}")
}

/// Where a verb draws, as one option of that name in all of them.
fn plot(folder: Option<&Path>, name: &str, file: Option<&PathBuf>) -> Option<PathBuf> {
    folder
        .map(|folder| folder.join(name))
        .or_else(|| file.cloned())
}

/// How to run a model.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Backend {
    /// Threads; 0 for one a core. The result does not depend on it.
    #[arg(long, default_value_t = 0, value_parser = RangedU64ValueParser::<usize>::new().range(0..=1024))]
    pub threads: usize,
    /// Instruction set to use instead of the fastest.
    #[arg(long, alias = "cpu", value_parser = isa(), hide_possible_values = true, help = isa_help(""))]
    pub isa: Option<Isa>,
}

impl Backend {
    /// As the runtime wants it.
    ///
    /// # Errors
    /// An instruction set that this machine lacks: not the input's fault.
    pub fn options(&self) -> Result<LoadOptions, Failure> {
        if let Some(isa) = self.isa.filter(|isa| !isa.is_available()) {
            return Err(igpt_runtime::IsaError::Missing(isa)).failed();
        }
        Ok(LoadOptions::new()
            .with_threads(self.threads)
            .with_cpu(self.isa))
    }
}

/// A report as JSON: who says it, and when, then what it says. docs/json.md describes it.
#[derive(Serialize)]
struct Said<'a, R> {
    program: &'static str,
    version: &'static str,
    verb: &'static str,
    time: String,
    #[serde(flatten)]
    report: &'a R,
}

/// Writes the report of `verb` to standard output: as JSON, or as `table` does.
fn print_report(
    verb: &'static str,
    json: bool,
    report: &impl Serialize,
    table: impl FnOnce(&mut io::StdoutLock<'_>) -> io::Result<()>,
) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let printed = if json {
        let said = Said {
            program: "igpt",
            version: env!("CARGO_PKG_VERSION"),
            verb,
            time: rfc3339(SystemTime::now()),
            report,
        };
        serde_json::to_writer_pretty(&mut out, &said)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(out))
    } else {
        table(&mut out)
    };
    failure::printed(printed.and_then(|()| out.flush()))
}

/// What reports say of a model that was loaded from `path`, which the user called `name`.
fn describe_run(model: &impl Reported, name: &Path, path: &Path) -> RunReport {
    RunReport::new(model, Some(name), file_crc32(path).ok())
}
