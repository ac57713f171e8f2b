//! Which tensors a configuration asks for, and whether a checkpoint has exactly those.

use std::collections::BTreeMap;

use igpt_runtime::Task;

use super::{Checkpoint, CheckpointError};

/// The head a conversion needs from the checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// None; a head that is there is left out.
    Any,
    /// That of `ImageGPTForImageClassification` or `SegformerForImageClassification`.
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

/// The tensors that a family's configuration asks for. Names are those of [`Checkpoint`].
pub trait Tensors {
    /// What people call the model.
    const MODEL: &'static str;
    /// What the names of its repeated parts begin with.
    const PARTS: &'static str;

    /// Name and shape of every tensor of the model without a head, in the order of the forward pass.
    fn body(&self) -> Vec<(String, Vec<usize>)>;

    /// Those of its heads.
    fn heads(&self) -> Vec<(Head, &'static str, Vec<usize>)>;
}

/// Checks that `checkpoint` has the tensors of `config` and of `head`, in their shapes, and no others.
///
/// # Errors
/// [`CheckpointError::Mismatch`] with every difference.
pub fn check<T: Tensors>(
    checkpoint: &Checkpoint,
    config: &T,
    head: Head,
) -> Result<(), CheckpointError> {
    let mut expected: BTreeMap<String, Vec<usize>> = config.body().into_iter().collect();
    let heads = config.heads();
    let needed = heads.iter().filter(|(kind, ..)| *kind == head);
    expected.extend(needed.map(|(_, name, shape)| ((*name).to_owned(), shape.clone())));
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
        if !expected.contains_key(name) && !heads.iter().any(|(_, head, _)| *head == name) {
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
            .chain(next_step::<T>(checkpoint, &expected, &extra))
            .collect(),
    })
}

/// What to do about tensors that a training script added or called otherwise; nothing if the configuration is
/// another model's, of which many differ.
fn next_step<T: Tensors>(
    checkpoint: &Checkpoint,
    expected: &BTreeMap<String, Vec<usize>>,
    extra: &[(&str, &[usize])],
) -> Option<String> {
    let missing: Vec<_> = expected
        .iter()
        .filter(|(name, _)| checkpoint.shape(name).is_none())
        .collect();
    let of_model = |name: &str| name.starts_with(T::PARTS) || expected.contains_key(name);
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
                "  {} has no such tensors: take {} out of the state_dict and save it again",
                T::MODEL,
                names.join(", ")
            ))
        }
        [(name, shape)] => {
            let (other, _) = extra.iter().find(|(_, found)| found == &shape.as_slice())?;
            Some(format!(
                "  if `{other}` is what {} calls `{name}`, rename it and save the state_dict again: \
                 weights[\"{name}\"] = weights.pop(\"{other}\")",
                T::MODEL
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
