//! One frame's way after the queue: classify, smooth, print, draw, record.

use std::io;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::classify::Classify;
use super::exit::{Failure, chain};
use super::log::{Event, Log};
use super::record::Recorder;
use super::render::Renderer;
use super::report::{Ranked, Report, Reporter};
use super::settings::Filter;
use super::stats::Stats;
use crate::linux::source::FrameBuffer;
use crate::overlay::{Bar, Mood, Panel};
use crate::verdict::FilterSettings;

/// Frames in a row that the model may fail on. One can be odd; three mean that nothing works.
const FAILURES_IN_A_ROW: u32 = 3;

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It has its verdict; so many outputs failed.
    Classified {
        /// Sinks and records that did not take it.
        output_failures: u64,
        /// Nobody reads our output any more.
        reader_gone: bool,
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
    record_failures: u64,
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
        top_k: usize,
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
            record_failures: 0,
            filter,
            shown: Vec::new(),
        })
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
                .push(&classified.probabilities)
                .context("the model's probabilities")?;
            Ok((classified, verdict))
        });
        let milliseconds = begun.elapsed().as_secs_f32() * 1000.0;
        let (classified, verdict) = match classified {
            Ok(both) => both,
            Err(error) => return self.failed(frame, error, log),
        };
        self.failures_in_a_row = 0;

        let class = usize::from(verdict.class);
        let average = self.filter.average();
        let top = rank(average, self.classifier.labels(), self.top_k);
        let shown = Ranked {
            class,
            label: label(self.classifier.labels(), class),
            probability: verdict.probability,
        };
        let word = if verdict.sure {
            shown.label.as_str()
        } else {
            "unsure"
        };
        self.stats.add(word, milliseconds, since_start());
        log.write(&Event::Verdict {
            seq: frame.seq,
            label: word,
            probability: verdict.probability,
            milliseconds,
            dropped: dropped.1,
        });
        let report = Report {
            seq: frame.seq,
            name: frame.name.as_deref(),
            sure: verdict.sure,
            verdict: &shown,
            top: &top,
            milliseconds,
            reused_tokens: classified.reused_tokens,
            dropped: dropped.0,
        };
        let (mut output_failures, mut reader_gone) = (0, false);
        if let Err(error) = self.reporter.verdict(&report) {
            reader_gone = error.kind() == io::ErrorKind::BrokenPipe;
            output_failures += u64::from(!reader_gone);
        }
        let mood = if verdict.sure {
            Mood::Sure
        } else {
            Mood::Unsure
        };
        let panel = (
            word,
            mood,
            Some(verdict.probability),
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
            let own = rank(&classified.probabilities, self.classifier.labels(), 1);
            let (class, label) = own
                .first()
                .map_or((0, ""), |first| (first.class, first.label.as_str()));
            if let Err(error) = recorder.add(frame, &classified, (class, label), milliseconds) {
                output_failures += 1;
                self.record_failures += 1;
                if self.record_failures.is_power_of_two() {
                    log.write(&Event::RecordFailed {
                        error: &chain(&error),
                        count: self.record_failures,
                    });
                }
            }
        }
        self.shown = top;
        Ok(Outcome::Classified {
            output_failures,
            reader_gone,
        })
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
    (headline, mood, probability, milliseconds, dropped): (&str, Mood, Option<f32>, f32, u64),
    log: &Log,
) -> u64 {
    let bars: Vec<Bar<'_>> = top
        .iter()
        .map(|ranked| Bar {
            label: &ranked.label,
            probability: ranked.probability,
        })
        .collect();
    let panel = Panel {
        headline,
        mood,
        probability,
        bars: &bars,
        milliseconds,
        frames_per_second: stats.rate(),
        dropped,
        model,
    };
    renderer.show(frame, &panel, headline, log)
}

fn new_filter(classifier: &dyn Classify, settings: FilterSettings) -> Result<Box<Filter>, Failure> {
    Filter::new(classifier.labels().len(), settings)
        .map(Box::new)
        .with_context(|| format!("model {}", classifier.name()))
        .map_err(Failure::Model)
}

fn label(labels: &[String], class: usize) -> String {
    labels
        .get(class)
        .cloned()
        .unwrap_or_else(|| format!("class {class}"))
}

/// The `k` likeliest, ties to the lowest index.
fn rank(probabilities: &[f32], labels: &[String], k: usize) -> Vec<Ranked> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    let of = |class: usize| probabilities.get(class).copied().unwrap_or_default();
    // A stable sort keeps the lower index first among equals.
    order.sort_by(|&a, &b| of(b).total_cmp(&of(a)));
    order.truncate(k);
    order
        .into_iter()
        .map(|class| Ranked {
            class,
            label: label(labels, class),
            probability: of(class),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::rank;

    #[test]
    fn the_likeliest_come_first_and_ties_go_to_the_lowest_index() {
        let labels = ["a", "b", "c", "d"].map(str::to_owned);
        let top = rank(&[0.2, 0.4, 0.4, 0.0], &labels, 3);
        let order: Vec<&str> = top.iter().map(|ranked| ranked.label.as_str()).collect();
        assert_eq!(order, ["b", "c", "a"]);
        assert_eq!(
            rank(&[1.0], &[], 5)[0].label,
            "class 0",
            "a class without a name has a number"
        );
    }
}
