//! The part of a data set that each record of a table is of, by a column of splits.

use std::collections::BTreeSet;

use anyhow::{anyhow, bail, ensure};

use super::super::Part;
use crate::split::Split;

/// The records of one part.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Chosen {
    /// Of each record, whether it is of the part; empty if all are.
    kept: Vec<bool>,
    /// What the column calls the part.
    pub(super) split: Option<String>,
    /// Whether the other part is there as well.
    pub(super) other: bool,
}

impl Chosen {
    /// Whether the record at `index` is of the part.
    pub(super) fn holds(&self, index: usize) -> bool {
        self.kept.get(index).copied().unwrap_or(true)
    }
}

/// The records of `part` by the values of their `column`. All are, if they are of one split: a table that names
/// one part is that part, as a folder is that is named itself. Not `labelled` ones are all fitted if none is
/// called so.
///
/// # Errors
/// A value that names no split, beside others; no record of that part.
pub(super) fn choose(
    values: &[&str],
    column: &str,
    part: Part,
    labelled: bool,
) -> anyhow::Result<Chosen> {
    let distinct: BTreeSet<&str> = values.iter().copied().collect();
    let of = |value: &str| Split::named(value).or_else(|| Split::within(value));
    if distinct.len() <= 1 {
        let split = distinct.first().filter(|value| of(value).is_some());
        return Ok(Chosen {
            split: split.map(|value| (*value).to_owned()),
            ..Chosen::default()
        });
    }
    let mut splits = Vec::with_capacity(values.len());
    for (index, value) in values.iter().enumerate() {
        let number = index + 1;
        ensure!(
            !value.is_empty(),
            "record {number} has no {column}, which others have"
        );
        splits.push(of(value).ok_or_else(|| {
            anyhow!(
                "record {number} has the {column} {value:?}, expected train, validation or test; if the column \
                 says something else than parts of the data set, rename it or leave it out"
            )
        })?);
    }
    let has = |split: Split| splits.contains(&split);
    let measured = [Split::Test, Split::Validation]
        .into_iter()
        .find(|split| has(*split));
    let (wanted, other) = match (part, has(Split::Train), measured) {
        (Part::Train, true, _) => (Split::Train, measured.is_some()),
        (Part::Test, train, Some(measured)) => (measured, train),
        (Part::Test, _, None) => (Split::Train, false),
        (Part::Train, false, _) if !labelled || distinct_splits(&splits) == 1 => {
            return Ok(Chosen::default());
        }
        (Part::Train, false, _) => bail!(
            "its {column} says {}, and of no record that it is to train on: to fit on those nevertheless leave \
             the column out",
            distinct.into_iter().collect::<Vec<_>>().join(" and ")
        ),
    };
    let first = splits.iter().position(|split| *split == wanted);
    let name = first.and_then(|index| values.get(index));
    Ok(Chosen {
        kept: splits.iter().map(|split| *split == wanted).collect(),
        split: name.map(|name| (*name).to_owned()),
        other,
    })
}

/// Of how many splits records are.
fn distinct_splits(splits: &[Split]) -> usize {
    let all = [Split::Train, Split::Validation, Split::Test];
    all.iter().filter(|split| splits.contains(split)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(values: &[&str], part: Part) -> Result<(String, Option<String>, bool), String> {
        match choose(values, "split", part, true) {
            Ok(chosen) => Ok((
                (0..values.len())
                    .map(|index| if chosen.holds(index) { 'x' } else { '.' })
                    .collect(),
                chosen.split,
                chosen.other,
            )),
            Err(error) => Err(error.to_string()),
        }
    }

    fn of(kept: &str, split: &str, other: bool) -> Result<(String, Option<String>, bool), String> {
        Ok((kept.to_owned(), Some(split.to_owned()), other))
    }

    #[test]
    fn records_are_of_the_part_that_their_value_names() {
        let three = ["train", "Test", "val", "train", "test"];
        assert_eq!(chosen(&three, Part::Train), of("x..x.", "train", true));
        assert_eq!(chosen(&three, Part::Test), of(".x..x", "Test", true));
        let two = ["TRAINING", "valid", "train_set", "dev"];
        assert_eq!(chosen(&two, Part::Train), of("x.x.", "TRAINING", true));
        assert_eq!(chosen(&two, Part::Test), of(".x.x", "valid", true));
        let none = ["test", "val"];
        assert_eq!(chosen(&none, Part::Test), of("x.", "test", false));
        let error = chosen(&none, Part::Train).unwrap_err();
        assert!(error.contains("says test and val, and of no"), "{error}");
        assert_eq!(
            choose(&none, "split", Part::Train, false).unwrap(),
            Chosen::default()
        );
    }

    #[test]
    fn a_table_of_one_part_is_that_part() {
        for part in [Part::Train, Part::Test] {
            for value in ["train", "test"] {
                assert_eq!(chosen(&[value, value], part), of("xx", value, false));
            }
            for value in ["3", ""] {
                assert_eq!(
                    chosen(&[value, value], part),
                    Ok(("xx".into(), None, false))
                );
            }
            assert_eq!(chosen(&[], part), Ok((String::new(), None, false)));
        }
        let spelt = ["test", "testing"];
        assert_eq!(chosen(&spelt, Part::Train), Ok(("xx".into(), None, false)));
        assert_eq!(
            chosen(&["train", "Train"], Part::Test),
            of("xx", "train", false)
        );
    }

    #[test]
    fn what_is_no_split_is_refused_by_record_and_value() {
        for (values, words) in [
            (
                ["train", "extra"],
                "record 2 has the split \"extra\", expected train",
            ),
            (["0", "1"], "record 1 has the split \"0\""),
            (
                ["train", "train_val"],
                "record 2 has the split \"train_val\"",
            ),
            (["train", ""], "record 2 has no split"),
        ] {
            for part in [Part::Train, Part::Test] {
                let error = chosen(&values, part).unwrap_err();
                assert!(error.contains(words), "{error}");
            }
        }
    }
}
