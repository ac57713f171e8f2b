//! What a measurement says, as JSON and as a table.

use std::io::{self, Write};

use igpt_runtime::tools::counted;
use igpt_runtime::tools::report::ModelReport;
use serde::Serialize;

use super::machine::processor;

/// Everything that was measured. Times are in seconds, rates in 10^9 a second.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    /// What was measured.
    pub(super) model: Subject,
    /// The instruction set used.
    pub(super) isa: &'static str,
    /// What it was measured on.
    pub(super) machine: MachineReport,
    /// Loading the file.
    pub(super) load: Load,
    /// Memory of one model and one sequence, at the first number of threads.
    pub(super) memory: Memory,
    /// Forward passes, one entry a number of threads.
    pub(super) timings: Vec<Timing>,
    /// Generation, one entry for each number of threads, samples and context.
    pub(super) generation: Vec<Generation>,
}

/// A model. Its tokens are those of a forward pass.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Subject {
    /// The file.
    #[serde(flatten)]
    pub(super) model: ModelReport,
    /// File, folder or shape.
    pub(super) source: String,
    /// 10^9 multiply-accumulates of its linear layers and convolutions.
    pub(super) linear_gmac: f64,
    /// The same of its attention; of an ImageGPT pairs above the diagonal left out.
    pub(super) attention_gmac: f64,
}

/// A machine.
#[derive(Clone, Debug, Serialize)]
pub(super) struct MachineReport {
    /// As the system names it.
    pub(super) processor: String,
    /// Threads it runs at once.
    pub(super) cores: usize,
}

impl MachineReport {
    /// Of this machine.
    pub(super) fn here() -> Self {
        Self {
            processor: processor().0,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// Loading.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Load {
    /// The first time.
    pub(super) first: f64,
    /// The fastest of the next times: the file is in the system's cache.
    pub(super) warm: f64,
    /// How the weights came into memory: where they lie in the file, or packed.
    pub(super) weights: String,
    /// Size of the file.
    pub(super) file_bytes: u64,
}

/// Resident memory of the process, bytes; absent where the system does not say.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Memory {
    /// Before loading.
    pub(super) before: Option<u64>,
    /// The most until the last forward pass.
    pub(super) peak: Option<u64>,
}

/// Forward passes at one number of threads.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Timing {
    /// Threads.
    pub(super) threads: usize,
    /// Timed runs.
    pub(super) runs: usize,
    /// Fastest run.
    pub(super) min: f64,
    /// Half of the runs took less.
    pub(super) median: f64,
    /// 95 % of the runs took less.
    pub(super) p95: f64,
    /// 99 % of the runs took less.
    pub(super) p99: f64,
    /// Slowest run.
    pub(super) max: f64,
    /// Multiply-accumulates, at the median.
    pub(super) gmac_per_s: f64,
    /// What this instruction set's dot products do on registers alone, on as many threads.
    pub(super) peak_gmac_per_s: f64,
    /// What the kernels' tile does on operands in the nearest cache.
    pub(super) tile_gmac_per_s: f64,
    /// The median's rate of the peak; absent for f32 files, which do not use these instructions.
    pub(super) fraction_of_peak: Option<f64>,
    /// The fastest run's.
    pub(super) best_fraction_of_peak: Option<f64>,
    /// Page faults of a run, averaged.
    pub(super) page_faults_per_run: f64,
    /// Read from memory beyond all caches.
    pub(super) memory_gb_per_s: f64,
    /// Where the time of further runs went.
    pub(super) profile: Profile,
}

/// Time by operator; thread-seconds of a run, so that all sum to `total`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Profile {
    /// Duration of a run times threads.
    pub(super) total: f64,
    /// In the order of the forward pass.
    pub(super) operators: Vec<OperatorTime>,
    /// Waiting for other threads, and everything that is no operator.
    pub(super) other: f64,
}

/// One operator.
#[derive(Clone, Debug, Serialize)]
pub(super) struct OperatorTime {
    /// Its name.
    pub(super) name: &'static str,
    /// Thread-seconds of a run.
    pub(super) seconds: f64,
    /// Of the profile's total.
    pub(super) share: f64,
    /// Multiply-accumulates of a thread, if that is what it does.
    pub(super) gmac_per_s: Option<f64>,
    /// The same of one thread's peak.
    pub(super) fraction_of_peak: Option<f64>,
}

/// One token at a time, or one for each of several samples.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Generation {
    /// Threads.
    pub(super) threads: usize,
    /// Sequences under way at once.
    pub(super) samples: usize,
    /// Tokens before the first that was timed.
    pub(super) context: usize,
    /// Tokens timed, of each sample.
    pub(super) tokens: usize,
    /// Of all samples.
    pub(super) tokens_per_s: f64,
    /// From one token to the next at the fastest: what other programs disturb least.
    pub(super) fastest_token_s: f64,
    /// What a token needs: its share of the weights, which all samples read together, and the keys and values
    /// of this context.
    pub(super) bytes_per_token: f64,
    /// Reading as many bytes as the weights are, over and over.
    pub(super) weights_gb_per_s: f64,
    /// Tokens a second if nothing took time but that reading, or nothing but the dot products where these
    /// take longer.
    pub(super) bound_tokens_per_s: f64,
    /// Which of the two it is: bandwidth or compute.
    pub(super) bound_by: &'static str,
    /// Of that bound.
    pub(super) fraction_of_bound: f64,
}

/// The value below which this fraction of sorted times lies.
pub(super) fn quantile(sorted: &[f64], fraction: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let at = (last as f64 * fraction).round() as usize;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

/// Prints the report for a person.
pub(super) fn print(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let Report {
        model: subject,
        isa,
        machine,
        load,
        memory,
        timings,
        generation,
    } = report;
    writeln!(
        out,
        "{}: {}, {}, {}: {:.2} GMAC of {} + {:.2} of attention",
        subject.source,
        subject.model.dtype,
        subject.model.task,
        match subject.model.size {
            Some([height, width]) => format!("{width} x {height} pixels"),
            None => counted(subject.model.tokens.unwrap_or_default(), "token"),
        },
        subject.linear_gmac,
        match subject.model.size {
            Some(_) => "linear layers and convolutions",
            None => "linear layers",
        },
        subject.attention_gmac
    )?;
    writeln!(
        out,
        "{}, {} at once, {isa}",
        machine.processor,
        counted(machine.cores, "thread")
    )?;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    writeln!(
        out,
        "file {:.1} MiB, loaded in {:.0} ms, warm {:.0} ms, weights {}",
        mib(load.file_bytes),
        load.first * 1e3,
        load.warm * 1e3,
        load.weights
    )?;
    if let (Some(before), Some(peak)) = (memory.before, memory.peak) {
        let (before, peak) = (mib(before), mib(peak));
        let over = peak - mib(load.file_bytes);
        writeln!(
            out,
            "peak memory {peak:.0} MiB ({over:.0} more than the file; {before:.0} before loading)"
        )?;
    }
    writeln!(
        out,
        "\nthreads  runs    min ms  median ms     p95 ms     p99 ms   GMAC/s  \
         peak GMAC/s  of peak  tile of peak  faults/run"
    )?;
    for t in timings {
        let percent = |x: Option<f64>| x.map_or("-".into(), |x| format!("{:.1}%", 100.0 * x));
        writeln!(
            out,
            "{:7} {:5} {:9.2} {:10.2} {:10.2} {:10.2} {:8.1} {:12.1} {:>8} {:>13} {:11.1}",
            t.threads,
            t.runs,
            t.min * 1e3,
            t.median * 1e3,
            t.p95 * 1e3,
            t.p99 * 1e3,
            t.gmac_per_s,
            t.peak_gmac_per_s,
            percent(t.fraction_of_peak),
            percent(Some(t.tile_gmac_per_s / t.peak_gmac_per_s)),
            t.page_faults_per_run
        )?;
    }
    for t in timings {
        print_profile(t, out)?;
    }
    print_generation(generation, out)
}

fn print_profile(timing: &Timing, out: &mut impl Write) -> io::Result<()> {
    let Profile {
        total,
        operators,
        other,
    } = &timing.profile;
    writeln!(
        out,
        "\n{:32} thread-ms   share  GMAC/s  of peak",
        format!("operators, {}", counted(timing.threads, "thread"))
    )?;
    for o in operators {
        let rate = o.gmac_per_s.map_or(String::new(), |x| format!("{x:.1}"));
        let peak = o
            .fraction_of_peak
            .map_or(String::new(), |x| format!("{:.1}%", 100.0 * x));
        writeln!(
            out,
            "{:32} {:9.2} {:6.1}% {rate:>7} {peak:>8}",
            o.name,
            o.seconds * 1e3,
            100.0 * o.share
        )?;
    }
    writeln!(
        out,
        "{:32} {:9.2} {:6.1}%",
        "waiting and the rest",
        other * 1e3,
        100.0 * other / total
    )
}

fn print_generation(generation: &[Generation], out: &mut impl Write) -> io::Result<()> {
    if generation.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "\nthreads  samples  context  tokens/s  MB/token  GB/s read  bound tokens/s  bound by   of bound"
    )?;
    for g in generation {
        writeln!(
            out,
            "{:7} {:8} {:8} {:9.1} {:9.1} {:10.1} {:15.1}  {:9} {:8.1}%",
            g.threads,
            g.samples,
            g.context,
            g.tokens_per_s,
            g.bytes_per_token / 1e6,
            g.weights_gb_per_s,
            g.bound_tokens_per_s,
            g.bound_by,
            100.0 * g.fraction_of_bound
        )?;
    }
    Ok(())
}
