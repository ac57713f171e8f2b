//! The parts of a data set, by the names that people give their folders and files.

/// A part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// What is fitted.
    Train,
    /// What choices are made by.
    Validation,
    /// What is measured in the end.
    Test,
}

/// Hugging Face's names of them (`datasets`' `SPLIT_KEYWORDS`).
const KEYWORDS: [(&str, Split); 10] = [
    ("train", Split::Train),
    ("training", Split::Train),
    ("validation", Split::Validation),
    ("valid", Split::Validation),
    ("val", Split::Validation),
    ("dev", Split::Validation),
    ("test", Split::Test),
    ("testing", Split::Test),
    ("eval", Split::Test),
    ("evaluation", Split::Test),
];

impl Split {
    /// The split whose name this is, in any case.
    pub fn named(name: &str) -> Option<Self> {
        let found = KEYWORDS
            .iter()
            .find(|(keyword, _)| name.trim().eq_ignore_ascii_case(keyword));
        found.map(|(_, split)| *split)
    }

    /// The split that a word of this name says, as `seg_train` and `test2017` do; words end where letters do.
    /// None if it says two.
    pub fn within(name: &str) -> Option<Self> {
        let words = name.split(|c: char| !c.is_alphabetic());
        let mut splits = words.filter_map(Self::named);
        let first = splits.next()?;
        splits.all(|other| other == first).then_some(first)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "training",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hugging_faces_names_in_any_case_and_as_words() {
        for (names, split) in [
            (["train", "Training", "TRAIN"].as_slice(), Split::Train),
            (&["validation", "Valid", "val", "DEV"], Split::Validation),
            (&["test", "Testing", "eval", "Evaluation"], Split::Test),
        ] {
            for name in names {
                assert_eq!(Split::named(name), Some(split), "{name}");
                for part in [
                    format!("my-{name}"),
                    format!("{name}_set"),
                    format!("{name}2017"),
                ] {
                    assert_eq!(Split::named(&part), None, "{part}");
                    assert_eq!(Split::within(&part), Some(split), "{part}");
                }
            }
        }
        for name in [
            "trainer",
            "contest",
            "valley",
            "trainA",
            "developer",
            "bag",
            "train_val",
            "",
        ] {
            assert_eq!(
                (Split::named(name), Split::within(name)),
                (None, None),
                "{name}"
            );
        }
    }
}
