//! What the pickle machine computes with and what it hands out.

/// A value on the machine's stack. Containers are indices into the machine's arenas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    None,
    Bool,
    Int(i64),
    Float,
    /// Byte range of the text within the pickle.
    Str(usize, usize),
    Tuple(usize),
    List,
    Dict(usize),
    Global(Global),
    Storage(usize),
    Tensor(usize),
}

/// What a pickle may refer to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Global {
    OrderedDict,
    RebuildTensor,
    Storage(StorageKind),
}

/// Element type of a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StorageKind {
    Float,
    Half,
    BFloat16,
    /// Causal masks of old checkpoints; never used as weights.
    Byte,
    /// As [`StorageKind::Byte`].
    Bool,
}

/// `('storage', kind, key, location, numel)` of a persistent id.
#[derive(Clone, Debug)]
pub(super) struct Storage {
    pub(super) kind: StorageKind,
    pub(super) key: String,
    pub(super) numel: usize,
}

/// The arguments of `_rebuild_tensor_v2`.
#[derive(Clone, Debug)]
pub(super) struct RawTensor {
    pub(super) storage: Storage,
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) stride: Vec<usize>,
}

/// Why the machine stopped.
#[derive(Debug)]
pub(super) enum Fault {
    /// A global outside the allow-list: `module.name`.
    Forbidden(String),
    /// Anything else, with the position of the instruction.
    At(usize, String),
}
