//! What the model and the filter make of one frame.

use std::time::Instant;

use anyhow::Context;
use igpt_firmware_core::verdict::{FilterSettings, ProblemType, Verdict};
use igpt_runtime::StabilizerOptions;

use super::classify::{Classified, Classify};
use super::exit::Failure;
use super::ranked::{Ranked, label, order, strongest, word};
use super::settings::Filter;
use crate::source::FrameBuffer;

/// The model, and the filter behind it.
pub(super) struct Judge {
    classifier: Box<dyn Classify>,
    filter: Box<Filter>,
    /// How many classes are told.
    top_k: usize,
}

/// What became known of one frame.
#[derive(Debug)]
pub(super) struct Judgement {
    /// The model's own numbers, before any smoothing.
    pub(super) classified: Classified,
    /// What the filter shows; of a multi-label model the strongest.
    pub(super) shown: Ranked,
    /// Whether that is enough to say so.
    pub(super) sure: bool,
    /// The classes to tell, largest score first.
    pub(super) top: Vec<Ranked>,
    /// The verdict in a word: a label, several, "unsure", "none".
    pub(super) word: String,
    /// Time that the model took.
    pub(super) milliseconds: f32,
}

impl Judge {
    /// # Errors
    /// When the model has no classes, or too many.
    pub(super) fn new(classifier: Box<dyn Classify>, top_k: usize) -> Result<Self, Failure> {
        let filter = new_filter(&*classifier, FilterSettings::default())?;
        Ok(Self {
            classifier,
            filter,
            top_k,
        })
    }

    /// The model.
    pub(super) fn classifier(&self) -> &dyn Classify {
        &*self.classifier
    }

    /// The model, to be taught.
    pub(super) fn pupil(&mut self) -> &mut dyn Classify {
        &mut *self.classifier
    }

    /// The smoothed numbers behind the last judgement, one per class.
    pub(super) fn average(&self) -> &[f32] {
        self.filter.average()
    }

    /// Keeps tokens from flickering, or not, beginning afresh.
    pub(super) fn stabilize(&mut self, options: Option<StabilizerOptions>) {
        self.classifier.stabilize(options);
    }

    /// Starts smoothing afresh: another source, another scene.
    pub(super) fn set_filter(&mut self, settings: FilterSettings) -> Result<(), Failure> {
        self.filter = new_filter(&*self.classifier, settings)?;
        Ok(())
    }

    /// Classifies and smooths.
    ///
    /// # Errors
    /// When the model fails on the frame, or gives what are no probabilities or values.
    pub(super) fn judge(&mut self, frame: &FrameBuffer) -> anyhow::Result<Judgement> {
        let begun = Instant::now();
        let classified = self.classifier.classify(frame)?;
        let verdict = self
            .filter
            .push(&classified.scores)
            .context("the model's output")?;
        let milliseconds = begun.elapsed().as_secs_f32() * 1000.0;
        let top = self.top(verdict);
        let class = usize::from(verdict.class);
        let shown = Ranked {
            class,
            label: label(self.classifier.labels(), class),
            score: verdict.score,
            present: true,
        };
        let word = word(self.classifier.problem_type(), verdict.sure, &shown, &top);
        Ok(Judgement {
            classified,
            shown,
            sure: verdict.sure,
            top,
            word,
            milliseconds,
        })
    }

    /// A frame's own verdict, before any smoothing.
    pub(super) fn own(&self, judgement: &Judgement) -> Ranked {
        let problem = self.classifier.problem_type();
        let scores = &judgement.classified.scores;
        Ranked {
            present: true,
            ..strongest(scores, self.classifier.labels(), problem)
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
