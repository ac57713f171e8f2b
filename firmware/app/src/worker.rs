//! One frame's way after the queue: judged, then noted, reported, shown and recorded, each by itself.

use std::io;
use std::time::Duration;

use igpt_firmware_core::overlay::{Bar, Mood, Panel, Saved};
use igpt_firmware_core::verdict::{FilterSettings, Score};
use igpt_runtime::tools::one_line;
use igpt_runtime::{ExitCounts, StabilizerOptions};
use serde_json::Value;

use super::changes::{self, Changes};
use super::classify::Classify;
use super::drops::Dropped;
use super::exit::{Failure, chain};
use super::judge::{Judge, Judgement};
use super::lines::Loss;
use super::log::{Event, Log};
use super::ranked::Ranked;
use super::record::{Entry, Recorder};
use super::render::Renderer;
use super::report::{Report, Reporter, Start};
use super::stats::Stats;
use super::teach::request;
use crate::source::FrameBuffer;

/// Frames in a row that the model may fail on. One can be odd; three mean that nothing works.
const FAILURES_IN_A_ROW: u32 = 3;

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It has its verdict; so many outputs failed.
    Classified {
        /// Sinks and records that did not take it.
        output_failures: u64,
        /// Nobody gets anything of it any more: the reader went away, or the only output is full.
        in_vain: bool,
    },
    /// The model failed on it.
    Unclassified,
}

/// How frames are judged and told.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    /// How many classes are told.
    pub(super) top_k: usize,
    /// One frame that the model fails on is one too many.
    pub(super) strict: bool,
}

/// Where verdicts go.
pub(super) struct Outputs {
    /// To lines.
    pub(super) reporter: Reporter,
    /// To pictures.
    pub(super) renderer: Renderer,
    /// To a record, if there is to be one.
    pub(super) recorder: Option<Recorder>,
    /// As events, if they are told.
    pub(super) changes: Option<Changes>,
}

/// Everything that happens to a frame.
pub(super) struct Worker {
    judge: Judge,
    outputs: Outputs,
    strict: bool,
    pub(super) stats: Stats,
    pub(super) unclassified: u64,
    /// What became of frames that might stop early.
    pub(super) exits: Option<ExitCounts>,
    failures_in_a_row: u32,
    record_lost: Option<Loss>,
    /// What the last picture shows.
    shown: Vec<Ranked>,
    /// What is being taught.
    notice: Option<String>,
}

impl Worker {
    /// # Errors
    /// When the model has no classes, or too many.
    pub(super) fn new(
        classifier: Box<dyn Classify>,
        outputs: Outputs,
        how: How,
    ) -> Result<Self, Failure> {
        Ok(Self {
            judge: Judge::new(classifier, how.top_k)?,
            outputs,
            strict: how.strict,
            stats: Stats::default(),
            unclassified: 0,
            exits: None,
            failures_in_a_row: 0,
            record_lost: None,
            shown: Vec::new(),
            notice: None,
        })
    }

    /// What prints verdicts, and whatever else is to be told.
    pub(super) fn reporter(&mut self) -> &mut Reporter {
        &mut self.outputs.reporter
    }

    /// Says what is run, before the first frame.
    pub(super) fn start(&mut self, source: &str) {
        let classifier = self.judge.classifier();
        let start = Start {
            run: classifier.run(),
            model: classifier.name(),
            labels: classifier.labels(),
            source,
        };
        // A line that cannot be written is counted and told at the end.
        let _ = self.outputs.reporter.start(&start);
    }

    /// Keeps tokens from flickering, or not, beginning afresh.
    pub(super) fn stabilize(&mut self, options: Option<StabilizerOptions>) {
        self.judge.stabilize(options);
    }

    /// The model, to be taught.
    pub(super) fn pupil(&mut self) -> &mut dyn Classify {
        self.judge.pupil()
    }

    /// Says from now on what is taught now, smoothed afresh.
    pub(super) fn taught(&mut self, settings: FilterSettings, log: &Log) -> Result<(), Failure> {
        self.judge.set_filter(settings)?;
        self.tell_taught(log);
        Ok(())
    }

    /// Tells what was taught, if anything can be.
    pub(super) fn tell_taught(&mut self, log: &Log) {
        let Some(teacher) = self.judge.pupil().teacher() else {
            return;
        };
        let report = Value::Object(teacher.report());
        let text = request::text(&report).replace('\n', "; ");
        log.write(&Event::Taught { what: &text });
        // A line that cannot be written is counted and told at the end.
        let _ = self.outputs.reporter.taught(&report);
    }

    /// What is being shown, in place of a verdict on the screen; or nothing any more.
    pub(super) fn notice(&mut self, notice: Option<String>) {
        self.notice = notice;
    }

    /// Starts smoothing afresh: another source, another scene.
    pub(super) fn set_filter(&mut self, settings: FilterSettings) -> Result<(), Failure> {
        self.judge.set_filter(settings)
    }

    /// Does everything that is to be done with one frame.
    ///
    /// # Errors
    /// When the model fails again and again.
    pub(super) fn process(
        &mut self,
        frame: &FrameBuffer,
        dropped: Dropped,
        since_start: impl Fn() -> Duration,
        log: &Log,
    ) -> Result<Outcome, Failure> {
        let judgement = match self.judge.judge(frame) {
            Ok(judgement) => judgement,
            Err(error) => return self.failed(frame, error, log),
        };
        self.failures_in_a_row = 0;
        self.stats.note(&judgement, &self.judge, since_start());
        self.note_exits(judgement.classified.exits, log);
        log.write(&Event::Verdict {
            seq: frame.seq,
            label: &judgement.word,
            score: judgement.shown.score,
            milliseconds: judgement.milliseconds,
            dropped: dropped.in_all,
        });
        let (mut output_failures, in_vain) =
            self.report(frame, &judgement, dropped.since_last, log);
        output_failures += self.show(frame, &judgement, dropped.in_all, log);
        output_failures += self.record(frame, &judgement, log);
        output_failures += self.tell_change(frame, &judgement, log);
        self.shown = judgement.top;
        Ok(Outcome::Classified {
            output_failures,
            in_vain,
        })
    }

    /// Another source: events begin afresh.
    pub(super) fn interrupt_changes(&mut self) {
        if let Some(changes) = &mut self.outputs.changes {
            changes.interrupt();
        }
    }

    /// Tells it if what is seen has changed. How many outputs failed.
    fn tell_change(&mut self, frame: &FrameBuffer, judgement: &Judgement, log: &Log) -> u64 {
        let labels = self.judge.classifier().labels();
        let Outputs {
            changes, reporter, ..
        } = &mut self.outputs;
        let Some(changes) = changes else {
            return 0;
        };
        let Some(change) = changes.push(judgement, labels) else {
            return 0;
        };
        let score = serde_json::json!(judgement.shown.score.number());
        let fields = changes::fields(&change, labels, (frame.seq, frame.name.as_deref()), score);
        let written = match changes.lines() {
            None => reporter.change(fields),
            Some((_, lines)) => lines.write(&reporter.line("change", Value::Object(fields))),
        };
        if written.is_ok() {
            return 0;
        }
        if let Some(loss) = changes.lost().filter(|loss| loss.count.is_power_of_two()) {
            log.write(&Event::LinesLost {
                output: &loss.output,
                error: &loss.first,
                count: loss.count,
            });
        }
        1
    }

    /// Says it once if early exits went off.
    fn note_exits(&mut self, exits: Option<ExitCounts>, log: &Log) {
        let before = self.exits.is_some_and(|exits| exits.broken);
        self.exits = exits;
        if let Some(exits) = exits.filter(|exits| exits.broken && !before) {
            log.write(&Event::ExitsOff {
                agreed: exits.agreed,
                audited: exits.audited,
            });
        }
    }

    /// Everything that an output did not take.
    pub(super) fn lost(&self) -> Vec<Loss> {
        let record = self.record_lost.clone();
        let lines = self.outputs.reporter.lost();
        lines
            .into_iter()
            .chain(self.outputs.renderer.lost())
            .chain(record)
            .chain(self.outputs.changes.as_ref().and_then(Changes::lost))
            .collect()
    }

    /// Prints the verdict. How many outputs failed, and whether nobody is left to print for.
    fn report(
        &mut self,
        frame: &FrameBuffer,
        judgement: &Judgement,
        dropped: u64,
        log: &Log,
    ) -> (u64, bool) {
        let report = Report {
            seq: frame.seq,
            name: frame.name.as_deref(),
            problem: self.judge.classifier().problem_type(),
            sure: judgement.sure,
            verdict: &judgement.shown,
            top: &judgement.top,
            milliseconds: judgement.milliseconds,
            stages: [
                ("decode_seconds", frame.decode),
                ("resize_seconds", judgement.classified.resize),
                ("model_seconds", judgement.classified.model),
            ],
            reused_tokens: judgement.classified.reused_tokens,
            changed_tokens: judgement.classified.changed_tokens,
            exit_layer: judgement.classified.exit_layer,
            recognised: judgement.classified.recognised.as_ref(),
            dropped,
        };
        match self.outputs.reporter.verdict(&report) {
            Ok(()) => (0, false),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => (0, true),
            Err(_) => {
                self.tell_lost_lines(log);
                let only = self.outputs.renderer.is_empty() && self.outputs.recorder.is_none();
                (1, only)
            }
        }
    }

    /// A full disk fails on every line: the log gets the 1st, 2nd, 4th, 8th ...
    fn tell_lost_lines(&self, log: &Log) {
        let lost = self.outputs.reporter.lost();
        if let Some(loss) = lost.filter(|loss| loss.count.is_power_of_two()) {
            log.write(&Event::LinesLost {
                output: &loss.output,
                error: &loss.first,
                count: loss.count,
            });
        }
    }

    /// Draws the verdict. How many outputs failed.
    fn show(&mut self, frame: &FrameBuffer, judgement: &Judgement, dropped: u64, log: &Log) -> u64 {
        let notice = self
            .notice
            .as_deref()
            .map(|notice| one_line(notice).into_owned());
        let headline = Headline {
            text: notice.as_deref().unwrap_or(&judgement.word),
            mood: match judgement.sure && notice.is_none() {
                true => Mood::Sure,
                false => Mood::Unsure,
            },
            score: notice.is_none().then_some(judgement.shown.score),
            milliseconds: judgement.milliseconds,
            dropped,
            saved: judgement.classified.saved(),
        };
        self.draw(frame, &headline, &judgement.top, log)
    }

    /// Shows that the source is lost, over the last picture: a frozen screen would lie.
    pub(super) fn show_lost(&mut self, frame: &FrameBuffer, dropped: u64, log: &Log) -> u64 {
        let headline = Headline {
            text: "no signal",
            mood: Mood::Lost,
            score: None,
            milliseconds: 0.0,
            dropped,
            saved: Saved::default(),
        };
        let shown = std::mem::take(&mut self.shown);
        let failures = self.draw(frame, &headline, &shown, log);
        self.shown = shown;
        failures
    }

    /// Draws a frame with its panel for every sink.
    fn draw(
        &mut self,
        frame: &FrameBuffer,
        headline: &Headline<'_>,
        top: &[Ranked],
        log: &Log,
    ) -> u64 {
        let labels: Vec<_> = top.iter().map(|ranked| one_line(&ranked.label)).collect();
        let any = top.iter().any(|ranked| ranked.present);
        let bars: Vec<Bar<'_>> = top
            .iter()
            .zip(&labels)
            .enumerate()
            .map(|(index, (ranked, label))| Bar {
                label,
                score: ranked.score,
                // Unsure of all, the first is the guess.
                marked: if any { ranked.present } else { index == 0 },
            })
            .collect();
        let panel = Panel {
            headline: headline.text,
            mood: headline.mood,
            score: headline.score,
            bars: &bars,
            milliseconds: headline.milliseconds,
            frames_per_second: self.stats.rate(),
            dropped: headline.dropped,
            saved: headline.saved,
            model: self.judge.classifier().name(),
        };
        let renderer = &mut self.outputs.renderer;
        renderer.show(frame, &panel, headline.text, log)
    }

    /// Keeps the frame. How many outputs failed.
    fn record(&mut self, frame: &FrameBuffer, judgement: &Judgement, log: &Log) -> u64 {
        let Some(recorder) = &mut self.outputs.recorder else {
            return 0;
        };
        let kept = recorder.add(&Entry {
            frame,
            classified: &judgement.classified,
            verdict: &self.judge.own(judgement),
            milliseconds: judgement.milliseconds,
        });
        let Err(error) = kept else {
            return 0;
        };
        let loss = self.record_lost.get_or_insert_with(|| Loss {
            output: recorder.describe(),
            what: "frame",
            count: 0,
            first: chain(&error),
        });
        loss.count += 1;
        if loss.count.is_power_of_two() {
            log.write(&Event::RecordFailed {
                error: &chain(&error),
                count: loss.count,
            });
        }
        1
    }

    /// The model failed on a frame.
    fn failed(
        &mut self,
        frame: &FrameBuffer,
        error: anyhow::Error,
        log: &Log,
    ) -> Result<Outcome, Failure> {
        let name = frame
            .name
            .clone()
            .unwrap_or_else(|| format!("frame {}", frame.seq));
        log.write(&Event::ClassifyFailed {
            frame: &name,
            error: &chain(&error),
        });
        self.unclassified += 1;
        self.failures_in_a_row += 1;
        if self.strict {
            return Err(Failure::Source(
                error.context(format!("{name}: not classified (--strict)")),
            ));
        }
        if self.failures_in_a_row >= FAILURES_IN_A_ROW {
            return Err(Failure::Runtime(error.context(format!(
                "{name}: {FAILURES_IN_A_ROW} frames in a row failed"
            ))));
        }
        Ok(Outcome::Unclassified)
    }
}

/// What stands on the panel in large type and in figures.
struct Headline<'a> {
    text: &'a str,
    mood: Mood,
    score: Option<Score>,
    milliseconds: f32,
    dropped: u64,
    saved: Saved,
}
