//! What the pickle machine computes with and what it hands out.

/// A value on the machine's stack. Containers are indices into the machine's arenas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    /// An integer of more than 64 bits.
    BigInt,
    Float,
    Bytes,
    /// Byte range of the text within the pickle.
    Str(usize, usize),
    Tuple(usize),
    List,
    Set,
    Dict(usize),
    Global(Global),
    Storage(usize),
    Tensor(usize),
    /// An object of a class (by its place among the globals) that was not built.
    Object(usize),
}

impl Value {
    /// What it is, for messages.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "a bool",
            Self::Int(_) | Self::BigInt => "an integer",
            Self::Float => "a float",
            Self::Bytes => "bytes",
            Self::Str(..) => "a string",
            Self::Tuple(_) => "a tuple",
            Self::List => "a list",
            Self::Set => "a set",
            Self::Dict(_) => "a dict",
            Self::Global(_) => "a class or function",
            Self::Storage(_) => "a storage",
            Self::Tensor(_) => "a tensor",
            Self::Object(_) => "an object",
        }
    }
}

/// What a pickle may refer to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Global {
    OrderedDict,
    /// `_rebuild_tensor_v2`, and `_rebuild_tensor_v3` of element types without a storage class.
    RebuildTensor,
    /// `_rebuild_parameter` and `_rebuild_parameter_with_state`.
    RebuildParameter,
    Storage(Elements),
    /// An element type as `_rebuild_tensor_v3` is given it.
    Elements(Elements),
    /// Something that is passed over, by its place among the globals.
    Other(usize),
}

/// Element type of a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Elements {
    F64,
    F32,
    F16,
    BF16,
    /// Any other, by its name; never used as weights.
    Other(&'static str),
}

/// torch's storage classes.
const STORAGES: [(&str, Elements); 18] = [
    ("DoubleStorage", Elements::F64),
    ("FloatStorage", Elements::F32),
    ("HalfStorage", Elements::F16),
    ("BFloat16Storage", Elements::BF16),
    ("ByteStorage", Elements::Other("u8")),
    ("BoolStorage", Elements::Other("bool")),
    ("CharStorage", Elements::Other("i8")),
    ("ShortStorage", Elements::Other("i16")),
    ("IntStorage", Elements::Other("i32")),
    ("LongStorage", Elements::Other("i64")),
    ("ComplexFloatStorage", Elements::Other("complex64")),
    ("ComplexDoubleStorage", Elements::Other("complex128")),
    ("QInt8Storage", Elements::Other("qint8")),
    ("QUInt8Storage", Elements::Other("quint8")),
    ("QInt32Storage", Elements::Other("qint32")),
    ("QUInt4x2Storage", Elements::Other("quint4x2")),
    ("QUInt2x4Storage", Elements::Other("quint2x4")),
    ("UntypedStorage", Elements::Other("untyped")),
];

/// torch's element types that have no storage class.
const DTYPES: [&str; 10] = [
    "float8_e4m3fn",
    "float8_e4m3fnuz",
    "float8_e5m2",
    "float8_e5m2fnuz",
    "float8_e8m0fnu",
    "float4_e2m1fn_x2",
    "uint16",
    "uint32",
    "uint64",
    "complex32",
];

impl Elements {
    /// Of torch's class of this name.
    pub(super) fn of_storage(class: &str) -> Option<Self> {
        STORAGES
            .iter()
            .find(|(name, _)| *name == class)
            .map(|(_, elements)| *elements)
    }

    /// Of torch's `dtype` of this name, if it is one without a storage class.
    pub(super) fn of_dtype(name: &str) -> Option<Self> {
        DTYPES
            .iter()
            .find(|dtype| **dtype == name)
            .map(|dtype| Self::Other(dtype))
    }
}

/// `('storage', kind, key, location, numel)` of a persistent id.
#[derive(Clone, Debug)]
pub(super) struct Storage {
    pub(super) elements: Elements,
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
    /// Whether its values are what is stored with the other sign (PyTorch's negative bit).
    pub(super) negated: bool,
}

/// Why the machine stopped.
#[derive(Debug)]
pub(super) enum Fault {
    /// A global outside the allow-list: `module.name`.
    Forbidden(String),
    /// Anything else, with the position of the instruction.
    At(usize, String),
}
