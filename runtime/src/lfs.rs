//! Files that stand in for others: a repository cloned without Git LFS holds pointers where its large files
//! should be, and every parser would call such a pointer damaged.

use std::path::Path;

/// What is said of a pointer, after the file's name.
pub const MESSAGE: &str =
    "is a Git LFS pointer, not the file: run `git lfs pull` where it was cloned";

/// How every pointer begins, by the format's specification.
const START: &[u8] = b"version https://git-lfs.github.com/spec/";
/// Pointers are smaller than this, by the same specification.
const LIMIT: usize = 1024;

/// Whether the bytes of a file are a pointer.
#[must_use]
pub fn is_pointer(bytes: &[u8]) -> bool {
    bytes.len() < LIMIT && bytes.starts_with(START)
}

/// Whether the file at `path` is a pointer; one that cannot be read is none.
#[must_use]
pub fn is_pointer_file(path: &Path) -> bool {
    use std::io::Read as _;

    let mut bytes = Vec::new();
    let read = std::fs::File::open(path)
        .ok()
        .filter(|file| file.metadata().is_ok_and(|metadata| metadata.is_file()))
        .map(|file| file.take(LIMIT as u64).read_to_end(&mut bytes));
    matches!(read, Some(Ok(_))) && is_pointer(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_is_short_and_begins_as_one() {
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n";
        assert!(is_pointer(pointer));
        assert!(!is_pointer(b"version https://example.com/spec/v1\n"));
        assert!(!is_pointer(&[pointer.as_slice(), &[b'x'; 1024]].concat()));
        assert!(!is_pointer(b""));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), pointer).unwrap();
        assert!(is_pointer_file(file.path()));
        assert!(!is_pointer_file(Path::new("/no/such/file")));
    }
}
