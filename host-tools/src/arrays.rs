//! NumPy's files: token ids are read from `.npy`, results are written to `.npz`.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context, anyhow, bail, ensure};
use igpt_runtime::tools::lfs;
use npyz::{NpyFile, Order, WriterBuilder};
use zip::write::SimpleFileOptions;

use crate::output::Staged;

/// Token ids, `[batch, tokens]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenBatch {
    /// Row by row.
    pub ids: Vec<u16>,
    /// Length of a row.
    pub tokens: usize,
}

/// A header that numpy writes for an array of one or two dimensions has 128 bytes.
const HEADER_LIMIT: u16 = 1024;

/// Opening brackets of a header: numpy writes two for an array of integers, a dictionary and its shape. npyz 0.9.1 takes
/// time beyond bounds for some headers with many.
const MAX_BRACKETS: usize = 8;

impl TokenBatch {
    /// Reads an `.npy` of integers `[tokens]` or `[batch, tokens]`.
    ///
    /// # Errors
    /// A file that is missing or is not such an array, or an id beyond 65535.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        Self::read_npy(path).with_context(|| path.display().to_string())
    }

    fn read_npy(path: &Path) -> anyhow::Result<Self> {
        ensure!(!lfs::is_pointer_file(path), lfs::MESSAGE);
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        let mut file = BufReader::new(file);
        // The header is a Python literal, parsed recursively: bound it before it is parsed.
        let mut start = [0; 10];
        file.read_exact(&mut start).context("not an npy file")?;
        let [0x93, b'N', b'U', b'M', b'P', b'Y', major, _, low, high] = start else {
            bail!("not an npy file");
        };
        ensure!(major == 1, "npy version {major}, expected 1");
        let length = u16::from_le_bytes([low, high]);
        ensure!(
            length <= HEADER_LIMIT,
            "a header of {length} bytes, expected at most {HEADER_LIMIT}"
        );
        let mut header = vec![0; length.into()];
        file.read_exact(&mut header)
            .with_context(|| format!("it ends within its header of {length} bytes"))?;
        let brackets = header.iter().filter(|byte| b"{[(".contains(byte)).count();
        ensure!(
            brackets <= MAX_BRACKETS,
            "a header with {brackets} opening brackets, expected 2, as of an array of integers"
        );
        let npy = NpyFile::new(start.chain(header.chain(file)))?;
        ensure!(
            npy.order() == Order::C || npy.shape().len() == 1,
            "Fortran order, expected C order"
        );
        let shape = npy.shape().to_vec();
        let [batch, tokens] = match *shape {
            [tokens] => [1, tokens],
            [batch, tokens] => [batch, tokens],
            _ => bail!("shape {shape:?}, expected [tokens] or [batch, tokens]"),
        };
        let count = batch
            .checked_mul(tokens)
            .filter(|count| (1..=bytes).contains(count));
        count.ok_or_else(|| anyhow!("shape {shape:?} in a file of {bytes} bytes"))?;
        let dtype = npy.dtype().descr();
        let ids = match dtype.trim_matches('\'') {
            "<i8" => narrow(npy.into_vec::<i64>()?),
            "<i4" => narrow(npy.into_vec::<i32>()?),
            "<i2" => narrow(npy.into_vec::<i16>()?),
            "<u2" => narrow(npy.into_vec::<u16>()?),
            "|u1" => narrow(npy.into_vec::<u8>()?),
            other => bail!("dtype {other}, expected int64, int32, int16, uint16 or uint8"),
        }?;
        Ok(Self {
            ids,
            tokens: usize::try_from(tokens)?,
        })
    }

    /// The sequences.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[u16]> {
        self.ids.chunks_exact(self.tokens.max(1))
    }
}

fn narrow<T: Copy + TryInto<u16> + std::fmt::Display>(ids: Vec<T>) -> anyhow::Result<Vec<u16>> {
    let narrowed = ids.iter().map(|id| {
        let small: Result<u16, _> = (*id).try_into();
        small.map_err(|_| anyhow!("token id {id}, expected 0 to 65535"))
    });
    narrowed.collect()
}

/// An `.npz` being written.
pub struct NpzWriter {
    zip: zip::ZipWriter<BufWriter<UntilItFails>>,
    staged: Staged,
}

impl NpzWriter {
    /// Starts the file.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let staged = Staged::create(path);
        let (staged, file) = staged
            .and_then(|staged| staged.file().try_clone().map(|file| (staged, file)))
            .with_context(|| path.display().to_string())?;
        Ok(Self {
            zip: zip::ZipWriter::new(BufWriter::new(UntilItFails { file, failed: None })),
            staged,
        })
    }

    /// Adds an array of `shape`, row-major; `parts` one after the other are its elements.
    ///
    /// # Errors
    /// It cannot be written, or `parts` are not as many elements as `shape` says.
    pub fn add<'a, T: npyz::AutoSerialize + Copy + 'a>(
        &mut self,
        name: &str,
        shape: &[usize],
        parts: impl IntoIterator<Item = &'a [T]>,
    ) -> anyhow::Result<()> {
        let bytes = shape.iter().product::<usize>() * size_of::<T>();
        let options = SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored)
            .large_file(bytes as u64 >= u64::from(u32::MAX) - 1024);
        self.zip.start_file(format!("{name}.npy"), options)?;
        let shape: Vec<u64> = shape.iter().map(|size| *size as u64).collect();
        let writer = npyz::WriteOptions::<T>::new()
            .default_dtype()
            .shape(&shape)
            .writer(&mut self.zip);
        let mut writer = writer.begin_nd()?;
        for part in parts {
            writer.extend(part.iter().copied())?;
        }
        writer.finish()?;
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(self) -> anyhow::Result<()> {
        let out = self.zip.finish()?.into_inner();
        let out = out.map_err(|error| anyhow!(error.into_error()))?;
        match out.failed {
            Some(error) => return Err(error.into()),
            None => out.file.sync_all()?,
        }
        self.staged.finish()?;
        Ok(())
    }
}

/// A file of which the first failure is kept for the end, and after which nothing more is written: a `ZipWriter`
/// that is dropped before its end tries to finish, and prints that it cannot.
struct UntilItFails {
    file: File,
    failed: Option<io::Error>,
}

impl Write for UntilItFails {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.failed.is_some() {
            return Ok(bytes.len());
        }
        match self.file.write(bytes) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                self.failed = Some(error);
                Ok(bytes.len())
            }
            other => other,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for UntilItFails {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let mut header =
            format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
        while (10 + header.len() + 1) % 64 != 0 {
            header.push(' ');
        }
        header.push('\n');
        let length = u16::try_from(header.len()).unwrap().to_le_bytes();
        [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), data].concat()
    }

    fn read(bytes: &[u8]) -> anyhow::Result<TokenBatch> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        TokenBatch::read(file.path())
    }

    #[test]
    fn integers_of_every_width_are_read() {
        let expected = TokenBatch {
            ids: vec![1, 2, 300, 4],
            tokens: 2,
        };
        let wide = [1i64, 2, 300, 4]
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect::<Vec<_>>();
        assert_eq!(read(&npy("<i8", "(2, 2)", &wide)).unwrap(), expected);
        let short = [1u16, 2, 300, 4]
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect::<Vec<_>>();
        assert_eq!(read(&npy("<u2", "(2, 2)", &short)).unwrap(), expected);
        let row = read(&npy("|u1", "(3,)", &[7, 8, 9])).unwrap();
        assert_eq!(row.rows().collect::<Vec<_>>(), [[7, 8, 9]]);
    }

    #[test]
    fn a_header_of_more_than_integers_need_is_refused_before_it_is_parsed() {
        let message = read(&npy("<i8", "((((((((2))))))))", &[0; 16])).unwrap_err();
        assert!(
            message
                .root_cause()
                .to_string()
                .contains("9 opening brackets, expected 2"),
            "{message:#}"
        );
    }

    #[test]
    fn what_is_no_token_batch_is_refused() {
        for (bytes, culprit) in [
            (npy("<f4", "(1,)", &[0; 4]), "<f4"),
            (npy("<i8", "(1, 1, 1)", &[0; 8]), "expected [tokens]"),
            (npy("<i8", "(0,)", &[]), "shape [0]"),
            (
                npy("<i8", "(4294967296, 4294967296)", &[0; 8]),
                "shape [4294967296, 4294967296]",
            ),
            (npy("<i8", "(1,)", &(-1i64).to_le_bytes()), "token id -1"),
            (
                npy("<i8", "(1,)", &65536i64.to_le_bytes()),
                "token id 65536",
            ),
            (b"PK\x03\x04 a zip archive".to_vec(), "not an npy file"),
        ] {
            let error = format!("{:#}", read(&bytes).unwrap_err());
            assert!(error.contains(culprit), "{error}, expected {culprit}");
        }
        let whole = npy("<i8", "(2, 2)", &[0; 32]);
        for length in 0..whole.len() {
            read(&whole[..length]).unwrap_err();
        }
    }

    #[test]
    fn an_archive_reads_back() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut npz = NpzWriter::create(file.path()).unwrap();
        npz.add("a", &[2, 2], [&[1.0f32, 2.0][..], &[3.0, 4.0]])
            .unwrap();
        npz.add("b", &[3], [&[5i64, 6, 7][..]]).unwrap();
        npz.finish().unwrap();
        let mut npz = npyz::npz::NpzArchive::open(file.path()).unwrap();
        let a = npz.by_name("a").unwrap().unwrap();
        assert_eq!(
            (a.shape().to_vec(), a.into_vec::<f32>().unwrap()),
            (vec![2, 2], vec![1.0, 2.0, 3.0, 4.0])
        );
        assert_eq!(
            npz.by_name("b")
                .unwrap()
                .unwrap()
                .into_vec::<i64>()
                .unwrap(),
            [5, 6, 7]
        );
    }
}
