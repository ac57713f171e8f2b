//! What a model file is for, and how its weights are stored: the names in its metadata and on command lines.

use std::fmt;

use serde::{Serialize, Serializer};

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Task {
    /// Class logits of a whole image: Hugging Face's `ImageGPTForImageClassification`,
    /// `SegformerForImageClassification`.
    Classify,
    /// Logits of the next token at every token: `ImageGPTForCausalImageModeling`.
    Causal,
    /// Hidden states only: `ImageGPTModel`, `SegformerModel`.
    Features,
}

impl Task {
    /// Every task, in declaration order.
    pub const ALL: [Self; 3] = [Self::Classify, Self::Causal, Self::Features];

    /// The name in the metadata and on a command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Classify => "classify",
            Self::Causal => "causal",
            Self::Features => "features",
        }
    }

    /// The task of this name, or `None`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|task| task.name() == name)
    }

    /// The task of the class a checkpoint was saved from, if its `architectures` name one of ours.
    #[must_use]
    pub fn of_architectures(architectures: &[String]) -> Option<Self> {
        architectures.iter().find_map(|name| match name.as_str() {
            "ImageGPTForImageClassification" | "SegformerForImageClassification" => {
                Some(Self::Classify)
            }
            "ImageGPTForCausalImageModeling" => Some(Self::Causal),
            "ImageGPTModel" | "SegformerModel" => Some(Self::Features),
            _ => None,
        })
    }
}

/// How the linear layers of a file are stored and computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// int8 weights with a scale for each output channel, int8 or uint8 activations, float16 embeddings.
    Int8,
    /// As int8, but the blocks' weights are int4 with a multiplier for each group of rows.
    Int4,
    /// f32 throughout.
    F32,
}

impl Dtype {
    /// Every one, in declaration order.
    pub const ALL: [Self; 3] = [Self::Int8, Self::Int4, Self::F32];

    /// The name in the metadata and on a command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Int8 => "int8",
            Self::Int4 => "int4",
            Self::F32 => "f32",
        }
    }

    /// The one of this name, or `None`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dtype| dtype.name() == name)
    }
}

macro_rules! named {
    ($($kind:ty)*) => {$(
        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }

        impl Serialize for $kind {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }
    )*};
}
named!(Task Dtype);

#[cfg(test)]
mod tests {
    use super::{Dtype, Task};

    #[test]
    fn names_lead_back_to_what_they_name() {
        for task in Task::ALL {
            assert_eq!(Task::from_name(task.name()), Some(task));
            assert_eq!(task.to_string(), task.name());
        }
        for dtype in Dtype::ALL {
            assert_eq!(Dtype::from_name(dtype.name()), Some(dtype));
        }
        assert_eq!(
            (Task::from_name("Causal"), Dtype::from_name("")),
            (None, None)
        );
    }

    #[test]
    fn architectures_name_a_task_or_none() {
        let of = |names: &[&str]| {
            Task::of_architectures(
                &names
                    .iter()
                    .map(|name| (*name).to_owned())
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(of(&["Mine", "ImageGPTModel"]), Some(Task::Features));
        assert_eq!(
            of(&["ImageGPTForImageClassification"]),
            Some(Task::Classify)
        );
        assert_eq!(
            of(&["SegformerForImageClassification"]),
            Some(Task::Classify)
        );
        assert_eq!(of(&["GPT2Model"]), None);
        assert_eq!(of(&["SegformerForSemanticSegmentation"]), None);
    }
}
