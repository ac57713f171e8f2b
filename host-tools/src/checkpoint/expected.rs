//! Which tensors a configuration asks for, and whether a checkpoint has exactly those.

use std::collections::BTreeMap;

use igpt_runtime::{ImageGptConfig, Task};

use super::{Checkpoint, CheckpointError};

/// The head a conversion needs from the checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// None; a head that is there is left out.
    Any,
    /// `score.weight` of `ImageGPTForImageClassification`.
    Classification,
    /// `lm_head.weight` of `ImageGPTForCausalImageModeling`.
    Causal,
}

impl Head {
    /// The one that a task needs.
    pub fn of(task: Task) -> Self {
        match task {
            Task::Classify => Self::Classification,
            Task::Causal => Self::Causal,
            Task::Features => Self::Any,
        }
    }
}

const SCORE: &str = "score.weight";
const LM_HEAD: &str = "lm_head.weight";

/// Name (without `transformer.`) and shape of every tensor of the model without a head, in the order of
/// the forward pass.
pub fn body_tensors(config: &ImageGptConfig) -> Vec<(String, Vec<usize>)> {
    let (c, inner) = (config.n_embd, config.inner_dim());
    let mut tensors = vec![
        ("wte.weight".to_owned(), vec![config.vocab_size, c]),
        ("wpe.weight".to_owned(), vec![config.n_positions, c]),
    ];
    for layer in 0..config.n_layer {
        let block = [
            ("ln_1.weight", vec![c]),
            ("attn.c_attn.weight", vec![c, 3 * c]),
            ("attn.c_attn.bias", vec![3 * c]),
            ("attn.c_proj.weight", vec![c, c]),
            ("attn.c_proj.bias", vec![c]),
            ("ln_2.weight", vec![c]),
            ("mlp.c_fc.weight", vec![c, inner]),
            ("mlp.c_fc.bias", vec![inner]),
            ("mlp.c_proj.weight", vec![inner, c]),
            ("mlp.c_proj.bias", vec![c]),
        ];
        tensors.extend(block.map(|(name, shape)| (format!("h.{layer}.{name}"), shape)));
    }
    tensors.push(("ln_f.weight".to_owned(), vec![c]));
    tensors
}

/// Checks that `checkpoint` has the tensors of `config` and of `head`, in their shapes, and no others.
///
/// # Errors
/// [`CheckpointError::Mismatch`] with every difference.
pub fn check(
    checkpoint: &Checkpoint,
    config: &ImageGptConfig,
    head: Head,
) -> Result<(), CheckpointError> {
    let mut expected: BTreeMap<String, Vec<usize>> = body_tensors(config).into_iter().collect();
    let heads = [
        (
            Head::Classification,
            SCORE,
            [config.num_labels(), config.n_embd],
        ),
        (Head::Causal, LM_HEAD, [config.num_colors(), config.n_embd]),
    ];
    for (kind, name, shape) in heads {
        if kind == head {
            expected.insert(name.to_owned(), shape.to_vec());
        }
    }
    let mut problems = Vec::new();
    for (name, shape) in &expected {
        match checkpoint.shape(name) {
            None => problems.push(format!("  missing: `{name}` {shape:?}")),
            Some(found) if found != shape => {
                problems.push(format!("  `{name}`: shape {found:?}, expected {shape:?}"));
            }
            Some(_) => {}
        }
    }
    let mut extra = Vec::new();
    for name in checkpoint.names() {
        // Another task's head does no harm: a classifier's checkpoint still has features.
        if !expected.contains_key(name) && name != SCORE && name != LM_HEAD {
            let shape = checkpoint.shape(name).unwrap_or_default();
            problems.push(format!("  unexpected: `{name}` {shape:?}"));
            extra.push((name, shape));
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(CheckpointError::Mismatch {
        folder: checkpoint.folder().to_owned(),
        problems: shorten(problems)
            .into_iter()
            .chain(next_step(checkpoint, &expected, &extra))
            .collect(),
    })
}

/// What to do about tensors that a training script added or called otherwise; nothing if the configuration is
/// another model's, of which many differ.
fn next_step(
    checkpoint: &Checkpoint,
    expected: &BTreeMap<String, Vec<usize>>,
    extra: &[(&str, &[usize])],
) -> Option<String> {
    let missing: Vec<_> = expected
        .iter()
        .filter(|(name, _)| checkpoint.shape(name).is_none())
        .collect();
    let of_model = |name: &str| name.starts_with("h.") || expected.contains_key(name);
    let fits = checkpoint.names().all(|name| {
        expected
            .get(name)
            .is_none_or(|shape| checkpoint.shape(name) == Some(shape))
    });
    if !fits || extra.is_empty() || extra.iter().any(|(name, _)| of_model(name)) {
        return None;
    }
    match missing.as_slice() {
        [] => {
            let names: Vec<String> = extra.iter().map(|(name, _)| format!("{name:?}")).collect();
            Some(format!(
                "  ImageGPT has no such tensors: take {} out of the state_dict and save it again",
                names.join(", ")
            ))
        }
        [(name, shape)] => {
            let (other, _) = extra.iter().find(|(_, found)| found == &shape.as_slice())?;
            Some(format!(
                "  if `{other}` is what ImageGPT calls `{name}`, rename it and save the state_dict again: \
                 weights[\"{name}\"] = weights.pop(\"{other}\")"
            ))
        }
        _ => None,
    }
}

/// A wrong `n_layer` makes hundreds of lines of which ten tell the story.
fn shorten(mut problems: Vec<String>) -> Vec<String> {
    const SHOWN: usize = 10;
    if problems.len() > SHOWN + 1 {
        let more = problems.len() - SHOWN;
        problems.truncate(SHOWN);
        problems.push(format!("  and {more} more"));
    }
    problems
}
