//! A file without its weights: protobuf's wire format read just far enough to leave each initializer's
//! `raw_data` where it lies.
//!
//! The bytes are not trusted: a length that leads out of its message is an error, and nothing is copied but
//! what is small.

use std::ops::Range;

use prost::Message as _;
use prost::encoding::{decode_varint, encode_varint};
use tract_onnx::pb;

/// Field numbers of onnx.proto.
mod field {
    pub(super) const MODEL_GRAPH: u64 = 7;
    pub(super) const GRAPH_INITIALIZER: u64 = 5;
    pub(super) const TENSOR_RAW_DATA: u64 = 9;
}

/// A decoded file whose initializers have no `raw_data`.
pub(super) struct Skeleton {
    pub(super) proto: pb::ModelProto,
    /// Where the `raw_data` of each initializer lies in the file; empty if it has none.
    pub(super) raw_data: Vec<Range<usize>>,
}

impl Skeleton {
    /// # Errors
    /// Bytes that are no ONNX file.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let mut raw_data = Vec::new();
        let model = Fields::of(bytes, 0..bytes.len()).copy(|number, content, model| {
            if number != field::MODEL_GRAPH {
                return Ok(false);
            }
            let graph = Fields::of(bytes, content).copy(|number, content, graph| {
                if number != field::GRAPH_INITIALIZER {
                    return Ok(false);
                }
                let mut data = 0..0;
                let tensor = Fields::of(bytes, content).copy(|number, content, _| {
                    let found = number == field::TENSOR_RAW_DATA;
                    if found {
                        // As everywhere in protobuf, the last one counts.
                        data = content;
                    }
                    Ok(found)
                })?;
                raw_data.push(data);
                put(graph, number, &tensor);
                Ok(true)
            })?;
            put(model, number, &graph);
            Ok(true)
        })?;
        let proto = pb::ModelProto::decode(model.as_slice()).map_err(|e| e.to_string())?;
        Ok(Self { proto, raw_data })
    }
}

/// Appends a length-delimited field.
fn put(to: &mut Vec<u8>, number: u64, content: &[u8]) {
    encode_varint(number << 3 | 2, to);
    encode_varint(content.len() as u64, to);
    to.extend_from_slice(content);
}

/// The fields of one message.
struct Fields<'a> {
    bytes: &'a [u8],
    at: Range<usize>,
}

/// One field: its number, the whole of it, and its content if it is length-delimited.
struct Field {
    number: u64,
    whole: Range<usize>,
    content: Option<Range<usize>>,
}

impl<'a> Fields<'a> {
    fn of(bytes: &'a [u8], at: Range<usize>) -> Self {
        Self { bytes, at }
    }

    /// Copies the message but for the length-delimited fields that `replace` takes care of, by saying so.
    fn copy(
        mut self,
        mut replace: impl FnMut(u64, Range<usize>, &mut Vec<u8>) -> Result<bool, String>,
    ) -> Result<Vec<u8>, String> {
        let mut copy = Vec::new();
        while !self.at.is_empty() {
            let Field {
                number,
                whole,
                content,
            } = self.next()?;
            let replaced = match content {
                Some(content) => replace(number, content, &mut copy)?,
                None => false,
            };
            if !replaced {
                copy.extend_from_slice(&self.bytes[whole]);
            }
        }
        Ok(copy)
    }

    fn next(&mut self) -> Result<Field, String> {
        let start = self.at.start;
        let tag = self.varint()?;
        let content = match tag & 7 {
            0 => {
                self.varint()?;
                None
            }
            1 => self.skip(8).map(|_| None)?,
            2 => {
                let length = self.varint()?;
                Some(self.skip(length)?)
            }
            5 => self.skip(4).map(|_| None)?,
            other => return Err(format!("wire type {other} at byte {start}")),
        };
        Ok(Field {
            number: tag >> 3,
            whole: start..self.at.start,
            content,
        })
    }

    fn varint(&mut self) -> Result<u64, String> {
        let mut rest = &self.bytes[self.at.clone()];
        let value = decode_varint(&mut rest)
            .map_err(|e| format!("a varint at byte {}: {e}", self.at.start))?;
        self.at.start = self.at.end - rest.len();
        Ok(value)
    }

    fn skip(&mut self, length: u64) -> Result<Range<usize>, String> {
        let start = self.at.start;
        let end = usize::try_from(length)
            .ok()
            .and_then(|length| start.checked_add(length))
            .filter(|end| *end <= self.at.end)
            .ok_or_else(|| {
                format!(
                    "a field of {length} bytes at byte {start}, its message ends at {}",
                    self.at.end
                )
            })?;
        self.at.start = end;
        Ok(start..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Vec<u8> {
        let tensor = |name: &str, raw_data: &[u8]| pb::TensorProto {
            name: name.into(),
            dims: vec![raw_data.len() as i64],
            raw_data: raw_data.into(),
            ..Default::default()
        };
        let graph = pb::GraphProto {
            name: "g".into(),
            initializer: vec![tensor("a", b"12345"), tensor("b", b"")],
            ..Default::default()
        };
        pb::ModelProto {
            ir_version: 10,
            graph: Some(graph),
            producer_name: "p".into(),
            ..Default::default()
        }
        .encode_to_vec()
    }

    #[test]
    fn everything_but_raw_data_is_decoded_and_raw_data_is_found() {
        let bytes = file();
        let Skeleton { proto, raw_data } = Skeleton::read(&bytes).expect("a file");
        let mut whole = pb::ModelProto::decode(bytes.as_slice()).expect("a file");
        assert_eq!(&bytes[raw_data[0].clone()], b"12345");
        assert!(raw_data[1].is_empty() && raw_data.len() == 2);
        whole.graph.as_mut().expect("a graph").initializer[0]
            .raw_data
            .clear();
        assert_eq!(proto, whole);
    }

    #[test]
    fn a_file_cut_anywhere_is_an_error_or_a_shorter_file_never_a_panic() {
        let bytes = file();
        for cut in 0..bytes.len() {
            if let Ok(Skeleton { raw_data, .. }) = Skeleton::read(&bytes[..cut]) {
                assert!(raw_data.iter().all(|range| range.end <= cut));
            }
        }
        // A graph of more bytes than there are, of 2^64 - 1 bytes, and a group.
        for bad in [
            &[0x3a, 0x7f, 0x00][..],
            &[
                0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
            ],
            &[0x3b],
            &[0x80],
        ] {
            assert!(Skeleton::read(bad).is_err(), "{bad:?}");
        }
    }
}
