//! Protobuf's wire format, as far as a file too large for memory needs it, with a running CRC-32.

use std::io::{self, Write};

use prost::Message;

/// Writes fields and keeps the CRC-32 of everything written.
pub(super) struct WireWriter<W> {
    inner: W,
    crc: crc32fast::Hasher,
    written: u64,
}

impl<W: Write> WireWriter<W> {
    pub(super) fn new(inner: W) -> Self {
        Self {
            inner,
            crc: crc32fast::Hasher::new(),
            written: 0,
        }
    }

    /// Raw bytes, which must continue a field begun with [`WireWriter::begin`].
    pub(super) fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.crc.update(bytes);
        self.written += bytes.len() as u64;
        self.inner.write_all(bytes)
    }

    /// The start of a length-delimited field of `length` bytes.
    pub(super) fn begin(&mut self, field: u32, length: usize) -> io::Result<()> {
        self.raw(&header(field, length))
    }

    pub(super) fn message(&mut self, field: u32, message: &impl Message) -> io::Result<()> {
        let bytes = message.encode_to_vec();
        self.begin(field, bytes.len())?;
        self.raw(&bytes)
    }

    /// CRC-32 of everything written so far.
    pub(super) fn crc32(&self) -> u32 {
        self.crc.clone().finalize()
    }

    /// Bytes written so far.
    pub(super) fn written(&self) -> u64 {
        self.written
    }
}

/// Tag and length of a length-delimited field.
pub(super) fn header(field: u32, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(12);
    // 2 is the wire type of length-delimited fields.
    prost::encoding::encode_varint(u64::from(field << 3 | 2), &mut bytes);
    prost::encoding::encode_varint(length as u64, &mut bytes);
    bytes
}

/// Bytes of a whole length-delimited field whose content is `length` bytes.
pub(super) fn field_len(field: u32, length: usize) -> usize {
    header(field, length).len() + length
}
