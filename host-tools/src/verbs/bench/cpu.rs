//! `igpt bench --isa`: which kernels this machine gets, and why not others.

use std::io::{self, Write};

use igpt_runtime::Isa;

use igpt_runtime::tools::Kernels;
use serde::Serialize;

use super::machine::{processor, register_peak, tile_rate};
use crate::failure::{Blame as _, Failure};

/// Integer extensions that we have no kernels for; whoever compares with a runtime that uses them should
/// know.
const UNUSED: [&str; 6] = ["amx_int8", "avx_vnni_int8", "sve", "svei8mm", "sve2", "sme"];

/// The choice.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Choice {
    processor: String,
    /// The instruction set that is used.
    isa: &'static str,
    why: String,
    kernels: Vec<Entry>,
    /// Integer extensions of this processor without kernels here.
    unused: Vec<String>,
}

/// One instruction set.
#[derive(Clone, Debug, Serialize)]
struct Entry {
    isa: &'static str,
    instruction: &'static str,
    available: bool,
    /// Features that the processor lacks, or the architecture that it is not.
    missing: Vec<&'static str>,
    /// Rows and columns of a tile, and k kept together.
    tile: Option<[usize; 3]>,
    /// Of one thread: the instruction on registers alone, and the tile.
    peak_gmac_per_s: Option<f64>,
    tile_gmac_per_s: Option<f64>,
}

/// Looks at this machine, for one instruction set if asked for.
pub(super) fn choose(asked: Option<Isa>) -> Result<Choice, Failure> {
    let (processor, flags) = processor();
    let chosen = match asked {
        Some(isa) => Kernels::for_isa(isa).failed()?,
        None => Kernels::best(),
    };
    let mut kernels = Vec::new();
    for isa in Isa::ALL {
        let layout = Kernels::for_isa(isa).ok().map(|k| k.layout());
        let measure =
            |rate: fn(Isa, usize) -> Result<f64, Failure>| layout.map(|_| rate(isa, 1)).transpose();
        kernels.push(Entry {
            isa: isa.name(),
            instruction: isa.instruction(),
            available: isa.is_available(),
            missing: isa.missing(),
            tile: layout.map(|l| [l.mr, l.nr, l.kr]),
            peak_gmac_per_s: measure(register_peak)?,
            tile_gmac_per_s: measure(tile_rate)?,
        });
    }
    Ok(Choice {
        processor,
        isa: chosen.isa().name(),
        why: match asked {
            Some(isa) => format!("--isa {isa} asks for it"),
            None => {
                "the last of the list `kernels` that this machine has; the result is the same on all"
                    .into()
            }
        },
        kernels,
        unused: flags
            .into_iter()
            .filter(|flag| UNUSED.contains(&flag.as_str()))
            .collect(),
    })
}

impl Choice {
    /// Prints it for a person.
    pub(super) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{}", self.processor)?;
        writeln!(out, "chosen: {} ({})\n", self.isa, self.why)?;
        writeln!(
            out,
            "{:11} {:14} {:>9} {:>13} {:>13}  here",
            "kernels", "instruction", "tile", "peak GMAC/s", "tile GMAC/s"
        )?;
        for k in &self.kernels {
            let tile = k
                .tile
                .map_or("-".into(), |[mr, nr, kr]| format!("{mr}x{nr}x{kr}"));
            let rate = |x: Option<f64>| x.map_or("-".into(), |x| format!("{x:.1}"));
            let here = if k.available {
                if k.isa == self.isa {
                    "yes, chosen"
                } else {
                    "yes"
                }
                .to_owned()
            } else {
                format!("no: lacks {}", k.missing.join(", "))
            };
            writeln!(
                out,
                "{:11} {:14} {tile:>9} {:>13} {:>13}  {here}",
                k.isa,
                k.instruction,
                rate(k.peak_gmac_per_s),
                rate(k.tile_gmac_per_s),
            )?;
        }
        if !self.unused.is_empty() {
            let unused = self.unused.join(", ");
            writeln!(out, "\npresent, without kernels of ours: {unused}")?;
        }
        Ok(())
    }
}
