//! `igpt bench`: how long a forward pass takes on this machine, and how near that is to what its kernels can do.

use std::hint::black_box;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use igpt_runtime::onnx::Task;
use igpt_runtime::{ImageGptConfig, ImageGptModel, tile_benchmark};
use serde::Serialize;

use super::Backend;
use crate::failure::{Blame, Failure};

/// Time a model file on random tokens, at one and at all threads unless told otherwise.
///
/// The peak is the integer dot-product tile on operands that stay in the nearest cache, measured in the same run on as many
/// threads: the fraction says what packing, attention, norms, activations and memory cost. Run it on an idle machine.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The ONNX file that `igpt quantize` wrote.
    pub file: PathBuf,
    /// Timed runs for each number of threads, after one that is not counted.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub runs: u32,
    /// Tokens of a run [default: all the model has positions for].
    #[arg(long)]
    pub tokens: Option<usize>,
    /// How to run it.
    #[command(flatten)]
    pub backend: Backend,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Times at one number of threads, in seconds.
#[derive(Clone, Debug, Serialize)]
pub struct Timing {
    /// Threads.
    pub threads: usize,
    /// Fastest run.
    pub min: f64,
    /// Median.
    pub median: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 10^9 multiply-accumulates a second, at the median.
    pub gmac_per_s: f64,
    /// The same of the tile alone on that many threads.
    pub peak_gmac_per_s: f64,
    /// Page faults of the timed runs.
    pub page_faults: u64,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The file.
    pub file: String,
    /// Instruction set.
    pub cpu: &'static str,
    /// Tokens of a run.
    pub tokens: usize,
    /// 10^9 multiply-accumulates of the blocks for that many tokens, causal attention counted once.
    pub gmac: f64,
    /// Seconds from the file to a model that is ready.
    pub load: f64,
    /// Largest resident memory of the process, MiB.
    pub peak_mib: Option<f64>,
    /// One entry a number of threads.
    pub timings: Vec<Timing>,
}

/// Runs the verb and prints its report.
///
/// # Errors
/// A model that cannot be used (bad input), a standard output that cannot be written.
pub fn run(args: &Args) -> Result<(), Failure> {
    let mut options = args.backend.options()?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let sweep = match options.threads {
        0 if cores > 1 => vec![1, cores],
        0 => vec![1],
        threads => vec![threads],
    };
    let mut report = None;
    for threads in sweep {
        options.threads = threads;
        let start = Instant::now();
        let model = ImageGptModel::load(&args.file, &options).bad_input()?;
        let load = start.elapsed().as_secs_f64();
        let tokens = args.tokens.unwrap_or(model.config().n_positions);
        let gmac = macs(model.config(), tokens) as f64 / 1e9;
        let timing = time(&model, tokens, args.runs, threads, gmac)?;
        report
            .get_or_insert_with(|| Report {
                file: args.file.display().to_string(),
                cpu: model.isa().name(),
                tokens,
                gmac,
                load,
                peak_mib: None,
                timings: Vec::new(),
            })
            .timings
            .push(timing);
    }
    let Some(mut report) = report else {
        return Ok(());
    };
    report.peak_mib = peak_mib();
    print(&report, args.json)
        .context("standard output")
        .failed()
}

/// Multiply-accumulates of all blocks for `tokens` tokens.
pub(crate) fn macs(config: &ImageGptConfig, tokens: usize) -> u64 {
    let (c, i, t) = (
        config.n_embd as u64,
        config.inner_dim() as u64,
        tokens as u64,
    );
    let linear = t * (4 * c * c + 2 * c * i);
    let attention = 2 * c * (t * (t + 1) / 2);
    config.n_layer as u64 * (linear + attention)
}

fn time(
    model: &ImageGptModel,
    tokens: usize,
    runs: u32,
    threads: usize,
    gmac: f64,
) -> Result<Timing, Failure> {
    // Any tokens do: no kernel's time depends on their values.
    let colors = model.config().num_colors().max(1);
    let tokens: Vec<u16> = (0..tokens).map(|i| ((i * 7919) % colors) as u16).collect();
    let forward = || {
        let start = Instant::now();
        let output = match model.task() {
            Task::Features => model.forward(&[&tokens])?.logits,
            Task::Classify | Task::Causal => model.logits(&tokens)?,
        };
        black_box(output);
        Ok::<Duration, igpt_runtime::Error>(start.elapsed())
    };
    forward().bad_input()?;
    let faults = page_faults();
    let mut times = Vec::new();
    for _ in 0..runs {
        times.push(forward().bad_input()?.as_secs_f64());
    }
    let page_faults = page_faults().saturating_sub(faults);
    times.sort_by(f64::total_cmp);
    let at = |fraction: f64| times[((times.len() - 1) as f64 * fraction).round() as usize];
    Ok(Timing {
        threads,
        min: at(0.0),
        median: at(0.5),
        p95: at(0.95),
        gmac_per_s: gmac / at(0.5),
        peak_gmac_per_s: peak(model.isa(), threads)?,
        page_faults,
    })
}

/// The tile's own rate on `threads` threads, the best of several short measurements.
fn peak(isa: igpt_runtime::Isa, threads: usize) -> Result<f64, Failure> {
    let mut best = 0f64;
    for _ in 0..5 {
        let start = Instant::now();
        let work = std::thread::scope(|scope| {
            let all: Vec<_> = (0..threads)
                .map(|_| scope.spawn(|| tile_benchmark(isa, 2_000)))
                .collect();
            all.into_iter()
                .map(|thread| thread.join().unwrap_or(Ok(0)))
                .sum::<Result<u64, _>>()
        })
        .failed()?;
        best = best.max(work as f64 / 1e9 / start.elapsed().as_secs_f64());
    }
    Ok(best)
}

/// Minor and major page faults of this process so far; 0 where the system does not say.
fn page_faults() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name in parentheses, fields 10 and 12 of proc_pid_stat(5).
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    [7, 9]
        .iter()
        .filter_map(|i| fields.get(*i)?.parse::<u64>().ok())
        .sum()
}

/// VmHWM of this process.
fn peak_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<f64>().ok()? / 1024.0)
}

fn print(report: &Report, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, report)?;
        return writeln!(out);
    }
    let Report {
        file,
        cpu,
        tokens,
        gmac,
        load,
        peak_mib,
        timings,
    } = report;
    writeln!(
        out,
        "{file}: {tokens} tokens, {gmac:.2} GMAC a pass, {cpu}, loaded in {:.0} ms",
        load * 1e3
    )?;
    if let Some(mib) = peak_mib {
        writeln!(out, "peak memory {mib:.0} MiB")?;
    }
    writeln!(
        out,
        "threads    min ms  median ms     p95 ms   GMAC/s  tile GMAC/s  of tile  page faults"
    )?;
    for t in timings {
        let fraction = 100.0 * t.gmac_per_s / t.peak_gmac_per_s;
        writeln!(
            out,
            "{:7} {:9.2} {:10.2} {:10.2} {:8.1} {:12.1} {fraction:7.1}% {:12}",
            t.threads,
            t.min * 1e3,
            t.median * 1e3,
            t.p95 * 1e3,
            t.gmac_per_s,
            t.peak_gmac_per_s,
            t.page_faults
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_of_imagegpt_small_is_the_papers() {
        let config = ImageGptConfig::small();
        let gmac = macs(&config, 1024) as f64 / 1e9;
        assert!(
            (gmac - 90.2).abs() < 0.1,
            "{gmac} GMAC, expected 77.3 of linear layers and 12.9 of attention"
        );
    }
}
