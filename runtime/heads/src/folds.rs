//! What is left out together, so that nothing is measured on a near duplicate of itself.

use std::collections::BTreeMap;

use crate::examples::Example;

/// What the held-out accuracy counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Counted {
    /// Showings: all pictures of one are left out together.
    Showings,
    /// Of a class that was shown once only its single examples: they resemble each other, and flatter.
    Examples,
}

/// Examples by what they are left out with.
#[derive(Clone, Debug)]
pub(crate) struct Units {
    /// The unit of each example.
    pub(crate) of: Vec<usize>,
    /// How many there are.
    pub(crate) count: usize,
    /// What of the classes is counted.
    pub(crate) counted: Counted,
}

impl Units {
    /// The units of examples whose classes are `classes`, `none` where it is none: a showing, or of a class that was shown once
    /// each example.
    pub(crate) fn of(examples: &[&Example]) -> Self {
        let mut showings: BTreeMap<Option<&str>, Vec<u64>> = BTreeMap::new();
        for one in examples {
            let list = showings.entry(one.label.as_deref()).or_default();
            if !list.contains(&one.showing) {
                list.push(one.showing);
            }
        }
        let once = |label: Option<&str>| showings.get(&label).is_none_or(|list| list.len() < 2);
        let mut known: BTreeMap<(Option<&str>, u64, usize), usize> = BTreeMap::new();
        let mut of = Vec::with_capacity(examples.len());
        for (index, one) in examples.iter().enumerate() {
            let label = one.label.as_deref();
            let single = if once(label) { index } else { 0 };
            let next = known.len();
            of.push(*known.entry((label, one.showing, single)).or_insert(next));
        }
        let classes = showings.iter().filter(|(label, _)| label.is_some());
        let counted = match classes.into_iter().all(|(_, list)| list.len() > 1) {
            true => Counted::Showings,
            false => Counted::Examples,
        };
        Self {
            of,
            count: known.len(),
            counted,
        }
    }

    /// The fold of each example, of `most` at most: units go round robin, so that each class is in many.
    pub(crate) fn folds(&self, most: usize) -> (Vec<usize>, usize) {
        let folds = self.count.min(most).max(1);
        (self.of.iter().map(|unit| unit % folds).collect(), folds)
    }
}
