//! What a family of models calls its tensors, as far as reading a checkpoint needs to know it.

/// The names of one family.
#[derive(Clone, Copy)]
pub(crate) struct Spelling {
    /// Tensors that every model of the family has and no other family: by one of them it is known, and by what
    /// stands before it the prefix that a training tool put before all names.
    pub(crate) marks: &'static [&'static str],
    /// What the heads' checkpoints have before the body's names and a bare model's has not.
    pub(crate) body: &'static str,
    /// The name in use here of a tensor without that prefix.
    pub(crate) rename: fn(&str) -> String,
    /// Whether a tensor is no weight, but something computed that was saved with them.
    pub(crate) is_buffer: fn(&str) -> bool,
}
