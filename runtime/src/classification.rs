//! What a classifier says of an image, whatever its family.

use std::sync::Arc;

use crate::config::{ProblemType, Score};

/// One class and what the model says of it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Prediction {
    /// Index of the class.
    pub index: usize,
    /// Its name.
    pub label: String,
    /// Its probability, or a regression's value.
    pub score: Score,
}

/// What the model says of one image.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Classification {
    /// One a class.
    pub logits: Vec<f32>,
    /// The block after which a probe gave the verdict; `None` of the whole model.
    pub exit_layer: Option<usize>,
    /// Tokens whose work was reused from the image before; 0 of a model without tokens.
    pub reused_tokens: usize,
    /// Tokens that are not those of the image before, all of them of the first; 0 of a model without tokens.
    pub changed_tokens: usize,
    labels: Arc<[String]>,
    problem_type: ProblemType,
}

impl Classification {
    /// What the logits mean.
    #[must_use]
    pub fn problem_type(&self) -> ProblemType {
        self.problem_type
    }

    /// One number a class, in the order of the classes: the softmax of the logits, of a multi-label model
    /// their sigmoids, of a regression the logits themselves.
    #[must_use]
    pub fn scores(&self) -> Vec<f32> {
        self.problem_type.scores(&self.logits)
    }

    /// The scores of a model that gives probabilities; `None` of a regression.
    #[must_use]
    pub fn probabilities(&self) -> Option<Vec<f32>> {
        (self.problem_type != ProblemType::Regression).then(|| self.scores())
    }

    /// The `k` classes of the largest scores, largest first; equal ones in order of their index.
    #[must_use]
    pub fn top_k(&self, k: usize) -> Vec<Prediction> {
        let scores = self.scores();
        let mut order: Vec<usize> = (0..self.logits.len()).collect();
        // By the logits: scores that round to the same number keep their order.
        order.sort_by(|a, b| self.logits[*b].total_cmp(&self.logits[*a]).then(a.cmp(b)));
        let name = |index: usize| {
            self.labels
                .get(index)
                .cloned()
                .unwrap_or_else(|| format!("LABEL_{index}"))
        };
        let prediction = |index| Prediction {
            index,
            label: name(index),
            score: self.problem_type.score(scores[index]),
        };
        order.into_iter().take(k).map(prediction).collect()
    }
}

/// What a classifier's logits mean.
#[derive(Clone, Debug)]
pub(crate) struct Meaning {
    pub(crate) labels: Arc<[String]>,
    pub(crate) problem_type: ProblemType,
}

impl Meaning {
    /// What these logits say.
    pub(crate) fn classification(
        &self,
        logits: Vec<f32>,
        exit_layer: Option<usize>,
        reused_tokens: usize,
        changed_tokens: usize,
    ) -> Classification {
        Classification {
            logits,
            exit_layer,
            reused_tokens,
            changed_tokens,
            labels: self.labels.clone(),
            problem_type: self.problem_type,
        }
    }
}
