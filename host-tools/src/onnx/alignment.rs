//! Where weights in panels begin: at multiples of a cache line in the file, so that a kernel reads them out
//! of a map of it.

use prost::Message as _;

use super::pb::TensorProto;
use super::plan::Initializer;
use super::wire::{field_len, header};

/// A cache line; the widest vector of any CPU is not wider.
pub(super) const ALIGNMENT: usize = 64;

/// Field numbers of onnx.proto.
mod field {
    pub(super) const GRAPH_INITIALIZER: u32 = 5;
    pub(super) const TENSOR_RAW_DATA: u32 = 9;
    pub(super) const TENSOR_DOC_STRING: u32 = 12;
}

/// One initializer of a graph, up to its values. Before values in panels a `doc_string` of spaces fills up:
/// `at`, where the initializer begins, and the file's first byte of the graph must be as many bytes apart as
/// a multiple of [`ALIGNMENT`].
pub(super) fn head(initializer: &Initializer, at: usize) -> Vec<u8> {
    let tensor = TensorProto {
        name: initializer.name.clone(),
        dims: initializer
            .stored_dims()
            .iter()
            .map(|dim| *dim as i64)
            .collect(),
        data_type: initializer.data_type().into(),
        ..TensorProto::default()
    };
    let tensor = tensor.encode_to_vec();
    let values = header(field::TENSOR_RAW_DATA, initializer.byte_len());
    let filled = |spaces: Option<usize>| {
        let filling = spaces.map(|spaces| filling(field::TENSOR_DOC_STRING, spaces));
        let filling = filling.unwrap_or_default();
        let length = tensor.len() + filling.len() + values.len() + initializer.byte_len();
        let start = header(field::GRAPH_INITIALIZER, length);
        [start.as_slice(), &tensor, &filling, &values].concat()
    };
    if initializer.panels.is_none() {
        return filled(None);
    }
    // Twice round, as the length in front may take one more byte on the way and so step over the right place.
    let mut ways = (0..2 * ALIGNMENT).map(|spaces| filled(Some(spaces)));
    ways.find(|head| (at + head.len()).is_multiple_of(ALIGNMENT))
        .unwrap_or_else(|| filled(None))
}

/// A text field that leads from byte `at` of the file to where the content of a field of `length` bytes after
/// it is aligned.
pub(super) fn before(text: u32, at: u64, number: u32, length: usize) -> Vec<u8> {
    let after = field_len(number, length) - length;
    let content = at as usize % ALIGNMENT + field_len(text, 0) + after;
    filling(text, content.next_multiple_of(ALIGNMENT) - content)
}

/// A text field of fewer than 128 spaces.
fn filling(number: u32, spaces: usize) -> Vec<u8> {
    let mut bytes = header(number, spaces);
    bytes.resize(bytes.len() + spaces, b' ');
    bytes
}
