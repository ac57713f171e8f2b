//! The images of a probe: what is fitted, and what is measured.

use std::path::Path;

use igpt_runtime::tools::counted;

use crate::labelled::{LabelledSet, Part};
use crate::listing::PassedOver;

/// The share that is held out unless another is asked for.
const HELD_OUT: f64 = 0.2;

/// Which images were asked for.
pub(super) struct Asked<'a> {
    pub(super) data: &'a Path,
    /// To measure on, if not a part of `data`.
    pub(super) test: Option<&'a Path>,
    /// The share of each class that is measured where there is no test set.
    pub(super) held_out: Option<f64>,
    /// So many of each part at most.
    pub(super) limit: Option<usize>,
    pub(super) seed: u64,
}

/// The two parts of a data set.
pub(super) struct Data {
    pub(super) train: (LabelledSet, Vec<usize>),
    pub(super) test: (LabelledSet, Vec<usize>),
}

impl Data {
    /// Reads them.
    ///
    /// # Errors
    /// A data set that cannot be used.
    pub(super) fn read(asked: &Asked<'_>) -> anyhow::Result<Self> {
        let (train, has_test) = LabelledSet::read(asked.data, Part::Train)?;
        let path = asked.data.display();
        anyhow::ensure!(
            train.classes.len() >= 2,
            "{path}: {}, expected two at least",
            counted(train.classes.len(), "class")
        );
        let chosen = train.sample(asked.limit, asked.seed);
        let other = match asked.test {
            Some(path) => Some(path),
            None => has_test.then_some(asked.data),
        };
        anyhow::ensure!(
            other.is_none() || asked.held_out.is_none(),
            "{path}: it has a test part of its own, which is measured; leave --held-out out, or name the part \
             to fit alone"
        );
        let data = if let Some(path) = other {
            let (test, _) = LabelledSet::read(path, Part::Test)?;
            let test = test.with_classes(&train.classes, path)?;
            let measured = test.sample(asked.limit, asked.seed);
            Self {
                train: (train, chosen),
                test: (test, measured),
            }
        } else {
            let (fitted, measured) =
                train.split(&chosen, asked.held_out.unwrap_or(HELD_OUT), asked.seed);
            let mut test = train.clone();
            // Said once of what both are taken from.
            test.passed_over = PassedOver::default();
            Self {
                train: (train, fitted),
                test: (test, measured),
            }
        };
        anyhow::ensure!(
            !data.train.1.is_empty() && !data.test.1.is_empty(),
            "{path}: {} to fit and {} to measure, expected some of each",
            counted(data.train.1.len(), "image"),
            data.test.1.len()
        );
        Ok(data)
    }
}
