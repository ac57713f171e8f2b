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

/// What a split's name is written together with.
const COMPOUNDS: [&str; 6] = ["set", "sets", "data", "images", "imgs", "split"];

/// A name's words in lower case, with spaces between them.
fn spaced(name: &str) -> String {
    let mut spaced = String::new();
    let mut before = ' ';
    for c in name.chars() {
        if !c.is_alphabetic() || (c.is_uppercase() && before.is_lowercase()) {
            spaced.push(' ');
        }
        if c.is_alphabetic() {
            spaced.extend(c.to_lowercase());
        }
        before = c;
    }
    spaced
}

impl Split {
    /// The split whose name this is, in any case.
    pub fn named(name: &str) -> Option<Self> {
        let found = KEYWORDS
            .iter()
            .find(|(keyword, _)| name.trim().eq_ignore_ascii_case(keyword));
        found.map(|(_, split)| *split)
    }

    /// The split that a word of this name says, as `seg_train`, `test2017`, `trainA` and `testset` do; words end
    /// where letters do and before capitals. None if it says two.
    pub fn within(name: &str) -> Option<Self> {
        let spaced = spaced(name);
        let words = spaced.split_whitespace();
        let of_word = |word: &str| {
            let mut bare = COMPOUNDS.iter().filter_map(|end| word.strip_suffix(end));
            Self::named(word).or_else(|| bare.find_map(Self::named))
        };
        let mut splits = words.filter_map(of_word);
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
                    format!("{name}set"),
                    format!("{}A", name.to_lowercase()),
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
            "trains",
            "tr",
            "asset",
            "set",
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
