//! A stream of frames with and without stabilised tokens, in turns: what reuse is worth on it.

mod frames;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use igpt_runtime::jpeg::Decoder;
use igpt_runtime::tools::counted;
use igpt_runtime::tools::report::{ModelReport, Reported as _, file_crc32};
use igpt_runtime::{ImageGptForImageClassification, LoadOptions, Session, StabilizerOptions};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::report::{MachineReport, quantile};
use super::source::Source;
use crate::failure::{Blame as _, Failure};
pub(super) use frames::Frames;

/// Everything that was measured on a stream; times in seconds.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    model: Subject,
    isa: &'static str,
    machine: MachineReport,
    stream: Stream,
    /// One entry a number of threads.
    runs: Vec<Run>,
}

/// The model.
#[derive(Clone, Debug, Serialize)]
struct Subject {
    #[serde(flatten)]
    model: ModelReport,
    /// File, folder or shape.
    source: String,
}

/// The stream.
#[derive(Clone, Debug, Serialize)]
struct Stream {
    file: PathBuf,
    frames: usize,
    /// Left out.
    broken: usize,
    width: u32,
    height: u32,
    margin: f32,
}

/// The stream at one number of threads.
#[derive(Clone, Debug, Serialize)]
struct Run {
    threads: usize,
    /// Every frame by itself, as `igpt-cam --stabilize off` has it.
    off: Cost,
    /// Stabilised.
    stabilized: Cost,
    /// Mean cost of a stabilised frame by that of one that is not.
    ratio: f64,
    /// Of the stabilised tokens those that were not computed again.
    reused: f64,
    /// Of the stabilised tokens those that are not the frame before's.
    changed: f64,
    /// Frames whose stabilised tokens are those of the frame before.
    unchanged_frames: usize,
    /// Mean cost of such a frame by that of one that is not stabilised; absent if there is none.
    unchanged_ratio: Option<f64>,
    /// Frames of which both ways say the same class.
    same_class: usize,
}

/// What a frame costs.
#[derive(Clone, Debug, Default, Serialize)]
struct Cost {
    mean: f64,
    median: f64,
    max: f64,
    /// Of the mean: the JPEG.
    decode: f64,
    /// Of the mean: the picture's tokens, stabilised or not.
    tokens: f64,
    /// Of the mean: the model.
    model: f64,
}

/// What one way of treating the stream came to.
#[derive(Debug, Default)]
struct Tally {
    totals: Vec<f64>,
    stages: [Duration; 3],
}

impl Tally {
    fn add(&mut self, stages: [Duration; 3]) {
        self.totals
            .push(stages.iter().sum::<Duration>().as_secs_f64());
        for (sum, stage) in self.stages.iter_mut().zip(stages) {
            *sum += stage;
        }
    }

    fn cost(&self) -> Cost {
        let frames = self.totals.len() as f64;
        let mut sorted = self.totals.clone();
        sorted.sort_by(f64::total_cmp);
        let [decode, tokens, model] = self.stages.map(|sum| sum.as_secs_f64() / frames);
        Cost {
            mean: self.totals.iter().sum::<f64>() / frames,
            median: quantile(&sorted, 0.5),
            max: quantile(&sorted, 1.0),
            decode,
            tokens,
            model,
        }
    }
}

/// A frame's verdict, what it took, and what of it was reused.
struct Seen {
    seconds: f64,
    class: usize,
    reused: usize,
    changed: usize,
    tokens: usize,
}

/// A way of treating a stream: a session and its buffers.
struct Way {
    session: Session,
    decoder: Decoder,
    rgb: Vec<u8>,
    tokens: Vec<u16>,
    tally: Tally,
}

impl Way {
    fn new(
        model: &ImageGptForImageClassification,
        stabilizer: Option<StabilizerOptions>,
    ) -> Result<Self, Failure> {
        let mut session = model.session().failed()?;
        session.stabilize(stabilizer);
        Ok(Self {
            session,
            decoder: Decoder::new(),
            rgb: Vec::new(),
            tokens: Vec::new(),
            tally: Tally::default(),
        })
    }

    fn see(&mut self, frames: &Frames, jpeg: &[u8]) -> Result<Seen, Failure> {
        let begun = Instant::now();
        let (width, height) = frames.decode(&mut self.decoder, jpeg, &mut self.rgb)?;
        let decoded = Instant::now();
        let session = &mut self.session;
        let tokens = session.tokens_into(&self.rgb, width, height, &mut self.tokens);
        tokens.bad_input()?;
        let tokenized = Instant::now();
        let verdict = session.classify(&self.tokens).bad_input()?;
        let judged = Instant::now();
        self.tally
            .add([decoded - begun, tokenized - decoded, judged - tokenized]);
        Ok(Seen {
            seconds: (judged - begun).as_secs_f64(),
            class: verdict.top_k(1).first().map_or(0, |top| top.index),
            reused: verdict.reused_tokens,
            changed: verdict.changed_tokens,
            tokens: self.tokens.len(),
        })
    }
}

/// Runs the stream at each number of threads through the model at `path`, which is what `source` says.
///
/// # Errors
/// A model that does not classify tokens (bad input).
pub(super) fn measure(
    path: &Path,
    source: &Source,
    frames: &Frames,
    margin: f32,
    sweep: &[usize],
    options: impl Fn(usize) -> LoadOptions,
) -> Result<Report, Failure> {
    // indicatif draws on standard error, and only if that is a terminal.
    let bar = ProgressBar::new((2 * sweep.len() * frames.jpegs.len()) as u64);
    bar.set_style(ProgressStyle::with_template("{wide_bar} {pos}/{len} {eta}").failed()?);
    let mut report: Option<Report> = None;
    for &threads in sweep {
        let model = ImageGptForImageClassification::load(path, &options(threads)).bad_input()?;
        let run = run(&model, frames, margin, threads, &bar)?;
        if let Some(report) = &mut report {
            report.runs.push(run);
            continue;
        }
        report = Some(Report {
            model: Subject {
                model: model
                    .model()
                    .model_report(source.file(), file_crc32(path).ok()),
                source: source.name(),
            },
            isa: model.isa().name(),
            machine: MachineReport::here(),
            stream: Stream {
                file: frames.path.clone(),
                frames: frames.jpegs.len(),
                broken: frames.broken,
                width: frames.width,
                height: frames.height,
                margin,
            },
            runs: vec![run],
        });
    }
    bar.finish_and_clear();
    report
        .ok_or_else(|| anyhow!("no number of threads to try"))
        .failed()
}

fn run(
    model: &ImageGptForImageClassification,
    frames: &Frames,
    margin: f32,
    threads: usize,
    bar: &ProgressBar,
) -> Result<Run, Failure> {
    if let Some(first) = frames.jpegs.first() {
        // Pages that are touched for the first time are not what a stream costs.
        Way::new(model, None)?.see(frames, first)?;
    }
    let options = StabilizerOptions::default().with_margin(margin);
    let mut off = Way::new(model, None)?;
    let mut on = Way::new(model, Some(options))?;
    let (mut tokens, mut reused, mut changed, mut same_class) = (0, 0, 0, 0);
    let mut unchanged = Vec::new();
    for (frame, jpeg) in frames.jpegs.iter().enumerate() {
        // In turns, so that neither always finds the caches as the other left them.
        let (alone, stable) = if frame % 2 == 0 {
            let alone = off.see(frames, jpeg)?;
            (alone, on.see(frames, jpeg)?)
        } else {
            let stable = on.see(frames, jpeg)?;
            (off.see(frames, jpeg)?, stable)
        };
        tokens += stable.tokens;
        reused += stable.reused;
        changed += stable.changed;
        same_class += usize::from(alone.class == stable.class);
        if stable.changed == 0 {
            unchanged.push(stable.seconds);
        }
        bar.inc(2);
    }
    let (off, stabilized) = (off.tally.cost(), on.tally.cost());
    let share = |count: usize| count as f64 / tokens as f64;
    let mean = unchanged.iter().sum::<f64>() / unchanged.len() as f64;
    Ok(Run {
        threads,
        ratio: stabilized.mean / off.mean,
        reused: share(reused),
        changed: share(changed),
        unchanged_frames: unchanged.len(),
        unchanged_ratio: (!unchanged.is_empty()).then_some(mean / off.mean),
        same_class,
        off,
        stabilized,
    })
}

/// Prints the report for a person.
pub(super) fn print(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let Stream {
        file,
        frames,
        broken,
        width,
        height,
        margin,
    } = &report.stream;
    writeln!(out, "{}", report.model.source)?;
    writeln!(
        out,
        "{}, {} at once, {}",
        report.machine.processor,
        counted(report.machine.cores, "thread"),
        report.isa
    )?;
    write!(
        out,
        "{}: {} of {width} x {height}, margin {margin}",
        file.display(),
        counted(*frames, "frame")
    )?;
    match broken {
        0 => writeln!(out)?,
        broken => writeln!(out, "; {} left out", counted(*broken, "broken one"))?,
    }
    writeln!(
        out,
        "\nthreads  stabilised  mean ms  median ms   max ms  decode  tokens    model"
    )?;
    let ms = |seconds: f64| seconds * 1e3;
    for run in &report.runs {
        for (name, cost) in [("off", &run.off), ("on", &run.stabilized)] {
            writeln!(
                out,
                "{:7}  {name:10} {:8.2} {:10.2} {:8.2} {:7.2} {:7.2} {:8.2}",
                run.threads,
                ms(cost.mean),
                ms(cost.median),
                ms(cost.max),
                ms(cost.decode),
                ms(cost.tokens),
                ms(cost.model),
            )?;
        }
    }
    for run in &report.runs {
        writeln!(
            out,
            "\n{}: a stabilised frame costs {:.3} of one that is not; {:.1} % of the tokens reused, {:.1} % changed",
            counted(run.threads, "thread"),
            run.ratio,
            100.0 * run.reused,
            100.0 * run.changed,
        )?;
        if let Some(ratio) = run.unchanged_ratio {
            writeln!(
                out,
                "{} did not change, and cost {:.4} of one each",
                counted(run.unchanged_frames, "frame"),
                ratio
            )?;
        }
        writeln!(
            out,
            "the same class on {} of {}",
            run.same_class,
            counted(*frames, "frame")
        )?;
    }
    Ok(())
}
