//! One frame's way after the queue: classify, smooth, print, draw, record.

use std::io;
use std::time::{Duration, Instant};

use anyhow::Context;
use igpt_runtime::tools::one_line;

use super::classify::Classify;
use super::exit::{Failure, chain};
use super::lines::Loss;
use super::log::{Event, Log};
use super::ranked::{Ranked, label, order, strongest, word};
use super::record::Recorder;
use super::render::Renderer;
use super::report::{Report, Reporter, Start};
use super::settings::Filter;
use super::stats::Stats;
use crate::source::FrameBuffer;
use igpt_firmware_core::overlay::{Bar, Mood, Panel};
use igpt_firmware_core::verdict::{FilterSettings, ProblemType, Score, Verdict};

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

/// Everything that happens to a frame.
pub(super) struct Worker {
    pub(super) classifier: Box<dyn Classify>,
    pub(super) renderer: Renderer,
    pub(super) recorder: Option<Recorder>,
    pub(super) reporter: Reporter,
    pub(super) top_k: usize,
    pub(super) stats: Stats,
    pub(super) unclassified: u64,
    failures_in_a_row: u32,
    record_lost: Option<Loss>,
    /// One frame that the model fails on is one too many.
    strict: bool,
    filter: Box<Filter>,
    shown: Vec<Ranked>,
}

impl Worker {
    /// # Errors
    /// When the model has no classes, or too many.
    pub(super) fn new(
        classifier: Box<dyn Classify>,
        renderer: Renderer,
        recorder: Option<Recorder>,
        reporter: Reporter,
        (top_k, strict): (usize, bool),
    ) -> Result<Self, Failure> {
        let filter = new_filter(&*classifier, FilterSettings::default())?;
        Ok(Self {
            classifier,
            renderer,
            recorder,
            reporter,
            top_k,
            stats: Stats::default(),
            unclassified: 0,
            failures_in_a_row: 0,
            record_lost: None,
            strict,
            filter,
            shown: Vec::new(),
        })
    }

    /// Says what is run, before the first frame.
    pub(super) fn start(&mut self, source: &str) {
        let start = Start {
            run: self.classifier.run(),
            model: self.classifier.name(),
            labels: self.classifier.labels(),
            source,
        };
        // A line that cannot be written is counted and told at the end.
        let _ = self.reporter.start(&start);
    }

    /// Starts smoothing afresh: another source, another scene.
    pub(super) fn set_filter(&mut self, settings: FilterSettings) -> Result<(), Failure> {
        self.filter = new_filter(&*self.classifier, settings)?;
        Ok(())
    }

    /// Does everything that is to be done with one frame. `dropped` is (since the last verdict, in all).
    ///
    /// # Errors
    /// When the model fails again and again.
    pub(super) fn process(
        &mut self,
        frame: &FrameBuffer,
        dropped: (u64, u64),
        since_start: impl Fn() -> Duration,
        log: &Log,
    ) -> Result<Outcome, Failure> {
        let begun = Instant::now();
        let classified = self.classifier.classify(frame).and_then(|classified| {
            let verdict = self
                .filter
                .push(&classified.scores)
                .context("the model's output")?;
            Ok((classified, verdict))
        });
        let milliseconds = begun.elapsed().as_secs_f32() * 1000.0;
        let (classified, verdict) = match classified {
            Ok(both) => both,
            Err(error) => return self.failed(frame, error, log),
        };
        self.failures_in_a_row = 0;

        let problem = self.classifier.problem_type();
        let top = self.top(verdict);
        let class = usize::from(verdict.class);
        let shown = Ranked {
            class,
            label: label(self.classifier.labels(), class),
            score: verdict.score,
            present: true,
        };
        let word = word(problem, verdict.sure, &shown, &top);
        self.note(&shown, &top, milliseconds, since_start(), verdict.sure);
        log.write(&Event::Verdict {
            seq: frame.seq,
            label: &word,
            score: verdict.score,
            milliseconds,
            dropped: dropped.1,
        });
        let report = Report {
            seq: frame.seq,
            name: frame.name.as_deref(),
            problem,
            sure: verdict.sure,
            verdict: &shown,
            top: &top,
            milliseconds,
            reused_tokens: classified.reused_tokens,
            dropped: dropped.0,
        };
        let (mut output_failures, mut in_vain) = (0, false);
        if let Err(error) = self.reporter.verdict(&report) {
            let reader_gone = error.kind() == io::ErrorKind::BrokenPipe;
            output_failures += u64::from(!reader_gone);
            in_vain = reader_gone || (self.renderer.is_empty() && self.recorder.is_none());
            if !reader_gone {
                self.tell_lost_lines(log);
            }
        }
        let mood = if verdict.sure {
            Mood::Sure
        } else {
            Mood::Unsure
        };
        let panel = (
            word.as_str(),
            mood,
            Some(verdict.score),
            milliseconds,
            dropped.1,
        );
        output_failures += draw(
            &mut self.renderer,
            &self.stats,
            self.classifier.name(),
            frame,
            &top,
            panel,
            log,
        );
        if let Some(recorder) = &mut self.recorder {
            // This frame's own verdict, before any smoothing.
            let own = Ranked {
                present: true,
                ..strongest(&classified.scores, self.classifier.labels(), problem)
            };
            if let Err(error) = recorder.add(frame, &classified, &own, milliseconds) {
                output_failures += 1;
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
            }
        }
        self.shown = top;
        Ok(Outcome::Classified {
            output_failures,
            in_vain,
        })
    }

    /// Everything that an output did not take.
    pub(super) fn lost(&self) -> Vec<Loss> {
        let record = self.record_lost.clone();
        self.reporter
            .lost()
            .into_iter()
            .chain(self.renderer.lost())
            .chain(record)
            .collect()
    }

    /// A full disk fails on every line: the log gets the 1st, 2nd, 4th, 8th ...
    fn tell_lost_lines(&self, log: &Log) {
        if let Some(loss) = self
            .reporter
            .lost()
            .filter(|loss| loss.count.is_power_of_two())
        {
            log.write(&Event::LinesLost {
                output: &loss.output,
                error: &loss.first,
                count: loss.count,
            });
        }
    }

    /// The classes to tell, largest score first: as many as were asked for, and of a multi-label model every
    /// one that is present.
    fn top(&self, verdict: Verdict) -> Vec<Ranked> {
        let problem = self.classifier.problem_type();
        let average = self.filter.average();
        let present = |class: &usize| match problem {
            ProblemType::SingleLabel => *class == usize::from(verdict.class) && verdict.sure,
            ProblemType::MultiLabel => self.filter.is_present(*class),
            ProblemType::Regression => true,
        };
        let order = order(average);
        let extra = match problem {
            ProblemType::MultiLabel => order.iter().rposition(&present).map_or(0, |at| at + 1),
            _ => 0,
        };
        let ranked = |class: &usize| Ranked {
            class: *class,
            label: label(self.classifier.labels(), *class),
            score: problem.score(average.get(*class).copied().unwrap_or_default()),
            present: present(class),
        };
        order
            .iter()
            .take(self.top_k.max(extra))
            .map(ranked)
            .collect()
    }

    /// Adds a frame to what the summary tells.
    fn note(
        &mut self,
        shown: &Ranked,
        top: &[Ranked],
        milliseconds: f32,
        now: Duration,
        sure: bool,
    ) {
        self.stats.time(milliseconds, now);
        match (self.classifier.problem_type(), sure) {
            (ProblemType::SingleLabel, true) => self.stats.verdict(shown.class, &shown.label),
            (ProblemType::SingleLabel, false) => self.stats.unsure += 1,
            // Each label for itself: combinations of them could be without end.
            (ProblemType::MultiLabel, true) => {
                let present = top.iter().filter(|ranked| ranked.present);
                present.for_each(|ranked| self.stats.verdict(ranked.class, &ranked.label));
            }
            (ProblemType::MultiLabel, false) => self.stats.none += 1,
            (ProblemType::Regression, _) => {
                for (class, value) in self.filter.average().iter().enumerate() {
                    let label = label(self.classifier.labels(), class);
                    self.stats.value(class, &label, *value);
                }
            }
        }
    }

    /// Shows that the source is lost, over the last picture: a frozen screen would lie.
    pub(super) fn show_lost(&mut self, frame: &FrameBuffer, dropped: u64, log: &Log) -> u64 {
        let panel = ("no signal", Mood::Lost, None, 0.0, dropped);
        draw(
            &mut self.renderer,
            &self.stats,
            self.classifier.name(),
            frame,
            &self.shown,
            panel,
            log,
        )
    }

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

fn draw(
    renderer: &mut Renderer,
    stats: &Stats,
    model: &str,
    frame: &FrameBuffer,
    top: &[Ranked],
    (headline, mood, score, milliseconds, dropped): (&str, Mood, Option<Score>, f32, u64),
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
        headline,
        mood,
        score,
        bars: &bars,
        milliseconds,
        frames_per_second: stats.rate(),
        dropped,
        model,
    };
    renderer.show(frame, &panel, headline, log)
}

fn new_filter(classifier: &dyn Classify, settings: FilterSettings) -> Result<Box<Filter>, Failure> {
    Filter::new(
        classifier.labels().len(),
        classifier.problem_type(),
        settings,
    )
    .map(Box::new)
    .with_context(|| format!("model {}", classifier.name()))
    .map_err(Failure::Model)
}
