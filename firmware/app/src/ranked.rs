//! Classes with what the model says of them: in order, by name, in words.

use igpt_runtime::tools::one_line;
use serde_json::{Map, Value, json};

use igpt_firmware_core::verdict::{ProblemType, Score};

/// The verdict of a model that is not sure of any class.
const UNSURE: &str = "unsure";
/// The verdict of a multi-label model that sees none of its labels.
const NONE: &str = "none";

/// A class and what the model says of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ranked {
    pub(super) class: usize,
    pub(super) label: String,
    pub(super) score: Score,
    /// Whether the verdict is, or holds, this class.
    pub(super) present: bool,
}

impl Ranked {
    /// `cat 91.2 %`, `wear -0.484`.
    pub(super) fn text(&self) -> String {
        format!("{} {}", one_line(&self.label), self.score)
    }

    pub(super) fn json(&self) -> Map<String, Value> {
        let mut object = Map::new();
        object.insert("label".into(), json!(self.label));
        object.insert("class".into(), json!(self.class));
        object.insert(self.score.name().into(), json!(self.score.number()));
        object
    }
}

/// The name of a class.
pub(super) fn label(labels: &[String], class: usize) -> String {
    labels
        .get(class)
        .cloned()
        .unwrap_or_else(|| format!("class {class}"))
}

/// The verdict in a few words: the class, every label that is present, or that there is none.
pub(super) fn word(problem: ProblemType, sure: bool, shown: &Ranked, top: &[Ranked]) -> String {
    match (problem, sure) {
        (ProblemType::SingleLabel, false) => UNSURE.to_owned(),
        (ProblemType::MultiLabel, false) => NONE.to_owned(),
        (ProblemType::MultiLabel, true) => {
            let present = top.iter().filter(|ranked| ranked.present);
            let labels: Vec<_> = present.map(|ranked| one_line(&ranked.label)).collect();
            labels.join(", ")
        }
        (ProblemType::SingleLabel, true) | (ProblemType::Regression, _) => {
            one_line(&shown.label).into_owned()
        }
    }
}

/// The class of the largest score.
pub(super) fn strongest(scores: &[f32], labels: &[String], problem: ProblemType) -> Ranked {
    let class = order(scores).first().copied().unwrap_or_default();
    Ranked {
        class,
        label: label(labels, class),
        score: problem.score(scores.get(class).copied().unwrap_or_default()),
        present: false,
    }
}

/// The classes by their scores, largest first, ties to the lowest index.
pub(super) fn order(scores: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    let of = |class: usize| scores.get(class).copied().unwrap_or_default();
    // A stable sort keeps the lower index first among equals.
    order.sort_by(|&a, &b| of(b).total_cmp(&of(a)));
    order
}

#[cfg(test)]
mod tests {
    use super::{label, order};

    #[test]
    fn the_likeliest_come_first_and_ties_go_to_the_lowest_index() {
        assert_eq!(order(&[0.2, 0.4, 0.4, 0.0]), [1, 2, 0, 3]);
        assert_eq!(
            label(&[], 0),
            "class 0",
            "a class without a name has a number"
        );
    }
}
