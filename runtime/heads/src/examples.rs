//! What was shown: examples of classes and of none of them, near duplicates counted once, the last action undone.

use std::collections::BTreeMap;

use crate::error::ExampleError;

/// What is none of the classes, in every report; no class can be called so.
pub const NONE: &str = "none of these";
/// Most examples that are kept: a head of them is trained in seconds on a small board.
pub const MOST_EXAMPLES: usize = 1000;
/// Most classes.
pub const MOST_CLASSES: usize = 100;
/// Bytes that a class's name may have.
pub const LONGEST_LABEL: usize = 100;
/// Two examples of one showing nearer than this, as a share of their length, in every layer, are one.
const NEAR: f64 = 0.05;

/// A layer that features are kept of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Layer {
    /// Its number, as `igpt probe` counts.
    pub number: usize,
    /// Features of an example.
    pub width: usize,
}

/// A picture that was shown.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Example {
    /// Its class; none if it is of none.
    pub label: Option<String>,
    /// The showing that it is of: pictures that were taken together resemble each other.
    pub showing: u64,
    /// How often it was seen in this showing, near duplicates counted.
    pub times: u32,
    /// The action that forgot it, if one did.
    pub(crate) forgotten: Option<u64>,
    /// Its features, layer after layer.
    pub(crate) features: Vec<f32>,
}

/// What became of a picture that was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is an example more.
    New,
    /// It is nearly one that there is.
    Duplicate,
}

/// What was taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Undone {
    /// A showing: so many examples of this class, none of which is left.
    Taught {
        /// The class; none if it was none of these.
        label: Option<String>,
        /// How many.
        examples: usize,
    },
    /// A class is remembered again.
    Forgotten {
        /// The class; none if it was none of these.
        label: Option<String>,
        /// How many examples it has again.
        examples: usize,
    },
}

/// A class in numbers.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Class {
    /// Its name.
    pub label: String,
    /// Examples that differ.
    pub examples: usize,
    /// Showings that they are of.
    pub showings: usize,
    /// Pictures, near duplicates counted.
    pub pictures: u64,
}

/// All that was shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Examples {
    pub(crate) layers: Vec<Layer>,
    pub(crate) list: Vec<Example>,
    /// Actions so far: showings and what was forgotten, each with its number.
    pub(crate) actions: u64,
}

impl Examples {
    /// None yet, of these layers.
    #[must_use]
    pub fn new(layers: Vec<Layer>) -> Self {
        Self {
            layers,
            list: Vec::new(),
            actions: 0,
        }
    }

    /// The layers that features are kept of.
    #[must_use]
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Those that count, in the order in which they were shown.
    pub fn iter(&self) -> impl Iterator<Item = &Example> {
        self.list.iter().filter(|one| one.forgotten.is_none())
    }

    /// Begins a showing of a class, or of none. Its number is for [`Examples::add`].
    ///
    /// # Errors
    /// A name that no class can have, too many classes or examples.
    pub fn begin(&mut self, label: Option<&str>) -> Result<u64, ExampleError> {
        if let Some(label) = label {
            check_label(label)?;
            let classes = self.classes();
            let known = classes.iter().any(|class| class.label == label);
            if !known && classes.len() >= MOST_CLASSES {
                return Err(ExampleError::Classes(MOST_CLASSES));
            }
        }
        self.check_room()?;
        Ok(self.next_action())
    }

    /// Adds what was shown: a number for each feature of each layer, layer after layer.
    ///
    /// # Errors
    /// Other features than the layers have, a number that is not finite, too many examples.
    pub fn add(
        &mut self,
        showing: u64,
        label: Option<&str>,
        features: &[&[f32]],
    ) -> Result<Added, ExampleError> {
        let widths = self.layers.iter().map(|layer| layer.width);
        if !widths.eq(features.iter().map(|features| features.len())) {
            let found = features.iter().map(|features| features.len()).sum();
            let expected = self.layers.iter().map(|layer| layer.width).sum();
            return Err(ExampleError::Features { found, expected });
        }
        let features = features.concat();
        if !features.iter().all(|x| x.is_finite()) {
            return Err(ExampleError::NotFinite);
        }
        let twin = (self.list.iter())
            .position(|one| one.showing == showing && self.near(&one.features, &features));
        if let Some(one) = twin.and_then(|twin| self.list.get_mut(twin)) {
            one.times = one.times.saturating_add(1);
            return Ok(Added::Duplicate);
        }
        self.check_room()?;
        self.list.push(Example {
            label: label.map(str::to_owned),
            showing,
            times: 1,
            forgotten: None,
            features,
        });
        Ok(Added::New)
    }

    /// Forgets a class, or what is none of them. How many examples that were.
    ///
    /// # Errors
    /// A class that was not shown.
    pub fn forget(&mut self, label: Option<&str>) -> Result<usize, ExampleError> {
        let of = |one: &Example| one.forgotten.is_none() && one.label.as_deref() == label;
        let count = self.list.iter().filter(|one| of(one)).count();
        if count == 0 {
            let classes = self.classes().into_iter().map(|class| class.label);
            return Err(ExampleError::NoSuchClass {
                found: label.unwrap_or(NONE).to_owned(),
                known: classes.collect(),
            });
        }
        let action = self.next_action();
        let forgotten = self.list.iter_mut().filter(|one| of(one));
        forgotten.for_each(|one| one.forgotten = Some(action));
        Ok(count)
    }

    /// Takes back the last showing, or the forgetting of a class if that was later. What came before the last thing that was
    /// forgotten and is gone with the next action, so one forgetting at most can be undone, any number of showings.
    pub fn undo(&mut self) -> Option<Undone> {
        let last = |one: &Example| one.forgotten.unwrap_or(0).max(one.showing);
        let action = self.list.iter().map(last).max()?;
        let (mut label, mut examples) = (None, 0);
        let again = self
            .list
            .iter_mut()
            .filter(|one| one.forgotten == Some(action));
        for one in again {
            one.forgotten = None;
            (label, examples) = (one.label.clone(), examples + 1);
        }
        if examples > 0 {
            return Some(Undone::Forgotten { label, examples });
        }
        self.list.retain(|one| {
            let keep = one.showing != action;
            if !keep {
                (label, examples) = (one.label.clone(), examples + 1);
            }
            keep
        });
        Some(Undone::Taught { label, examples })
    }

    /// Every class, in alphabetical order.
    #[must_use]
    pub fn classes(&self) -> Vec<Class> {
        let mut classes: BTreeMap<&str, Vec<&Example>> = BTreeMap::new();
        for one in self.iter() {
            if let Some(label) = one.label.as_deref() {
                classes.entry(label).or_default().push(one);
            }
        }
        let class = |(label, list): (&str, Vec<&Example>)| class_of(label, &list);
        classes.into_iter().map(class).collect()
    }

    /// What is none of the classes, if any was shown.
    #[must_use]
    pub fn negatives(&self) -> Option<Class> {
        let list: Vec<_> = self.iter().filter(|one| one.label.is_none()).collect();
        (!list.is_empty()).then(|| class_of(NONE, &list))
    }

    /// The next action's number. What was forgotten before is gone now.
    fn next_action(&mut self) -> u64 {
        self.list.retain(|one| one.forgotten.is_none());
        self.actions += 1;
        self.actions
    }

    fn check_room(&self) -> Result<(), ExampleError> {
        match self.iter().count() {
            0..MOST_EXAMPLES => Ok(()),
            _ => Err(ExampleError::Examples(MOST_EXAMPLES)),
        }
    }

    /// Whether two examples are nearly one: in every layer.
    fn near(&self, one: &[f32], other: &[f32]) -> bool {
        let mut at = 0;
        self.layers.iter().all(|layer| {
            let range = at..at + layer.width;
            at = range.end;
            let (Some(one), Some(other)) = (one.get(range.clone()), other.get(range)) else {
                return false;
            };
            let square = |x: f64| x * x;
            let apart = one.iter().zip(other);
            let apart: f64 = apart
                .map(|(a, b)| square(f64::from(*a) - f64::from(*b)))
                .sum();
            let length: f64 = one.iter().map(|a| square(f64::from(*a))).sum();
            apart <= NEAR * NEAR * length
        })
    }
}

/// Refuses what no class can be called.
pub(crate) fn check_label(label: &str) -> Result<(), ExampleError> {
    let expected = if label.trim().is_empty() {
        "a name"
    } else if label.trim() != label {
        "a name without spaces around it"
    } else if label.len() > LONGEST_LABEL {
        "at most 100 bytes"
    } else if label.chars().any(char::is_control) {
        "a name on one line, without control characters"
    } else if label == NONE {
        "another name: what is none of the classes is shown without one"
    } else {
        return Ok(());
    };
    Err(ExampleError::Label {
        found: label.to_owned(),
        expected,
    })
}

fn class_of(label: &str, list: &[&Example]) -> Class {
    let mut showings: Vec<u64> = list.iter().map(|one| one.showing).collect();
    showings.sort_unstable();
    showings.dedup();
    Class {
        label: label.to_owned(),
        examples: list.len(),
        showings: showings.len(),
        pictures: list.iter().map(|one| u64::from(one.times)).sum(),
    }
}

#[cfg(test)]
mod tests;
