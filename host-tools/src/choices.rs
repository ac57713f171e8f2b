//! The options `--task` and `--dtype`, whose words are those of a model file's metadata, and sizes of pictures.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use igpt_runtime::{Dtype, MAX_SIDE, Task};

/// Takes a task, and tells shells of all.
pub(crate) fn task() -> impl TypedValueParser<Value = Task> {
    let says = |task| match task {
        Task::Classify => {
            "One verdict per image: `ImageGPTForImageClassification`, `SegformerForImageClassification`"
        }
        Task::Causal => "The next token's logits: `ImageGPTForCausalImageModeling`",
        Task::Features => "Every hidden state: `ImageGPTModel`, `SegformerModel`",
    };
    let word = |task: Task| PossibleValue::new(task.name()).help(says(task));
    PossibleValuesParser::new(Task::ALL.map(word))
        .try_map(|name| Task::from_name(&name).ok_or("no such task"))
}

/// Takes a data type of the linear layers, and tells shells of all.
pub(crate) fn dtype() -> impl TypedValueParser<Value = Dtype> {
    let says = |dtype| match dtype {
        Dtype::Int8 => "int8 weights with a scale per output channel, float16 embeddings",
        Dtype::Int4 => {
            "As int8, but the blocks' weights are int4: 4.1 bits each, for generation on boards that wait for \
             their memory"
        }
        Dtype::F32 => "f32 throughout",
    };
    let word = |dtype: Dtype| PossibleValue::new(dtype.name()).help(says(dtype));
    PossibleValuesParser::new(Dtype::ALL.map(word))
        .try_map(|name| Dtype::from_name(&name).ok_or("no such data type"))
}

/// Height and width of `224` or `224x160`.
pub(crate) fn image_size(text: &str) -> Result<(usize, usize), String> {
    let (width, height) = text.split_once('x').unwrap_or((text, text));
    let side = |side: &str| {
        side.parse()
            .ok()
            .filter(|side| (1..=MAX_SIDE).contains(side))
    };
    match (side(height), side(width)) {
        (Some(height), Some(width)) => Ok((height, width)),
        _ => Err(format!(
            "expected a side such as 224, or WIDTHxHEIGHT such as 224x160, of 1 to {MAX_SIDE} pixels"
        )),
    }
}
