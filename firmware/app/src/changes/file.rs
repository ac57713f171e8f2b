//! A file of events that never grows beyond a size: full, it becomes the one before.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Bytes of a file.
const MOST: u64 = 10_000_000;

/// Appends to `FILE`, and to a new one when it is full; the full one is `FILE.1`.
pub(super) struct EventFile {
    path: PathBuf,
    file: File,
    size: u64,
    most: u64,
    /// Whether the last byte ended a line.
    whole: bool,
}

impl EventFile {
    /// Opens or makes the file.
    ///
    /// # Errors
    /// If that cannot be done.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Self::with_most(path, MOST)
    }

    fn with_most(path: &Path, most: u64) -> io::Result<Self> {
        let file = append(path)?;
        Ok(Self {
            path: path.to_owned(),
            size: file.metadata()?.len(),
            file,
            most,
            whole: true,
        })
    }

    /// Where a full file goes.
    fn before(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".1");
        name.into()
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

impl Write for EventFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Between two lines only, and never an empty file. A device or a pipe has no size.
        let full = self.size + bytes.len() as u64 > self.most;
        if full && self.whole && self.size > 0 && self.file.metadata()?.is_file() {
            fs::rename(&self.path, self.before())?;
            self.file = append(&self.path)?;
            self.size = 0;
        }
        let count = self.file.write(bytes)?;
        self.size += count as u64;
        self.whole = bytes
            .get(..count)
            .is_some_and(|written| written.ends_with(b"\n"));
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_becomes_the_one_before_and_no_line_is_torn() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        fs::write(&path, "earlier\n").unwrap();
        let mut file = EventFile::with_most(&path, 30).unwrap();
        for line in ["one 789\n", "two 789\n", "three 789012\n", "four\n"] {
            file.write_all(line.as_bytes()).unwrap();
        }
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("events.jsonl.1"), "earlier\none 789\ntwo 789\n");
        assert_eq!(read("events.jsonl"), "three 789012\nfour\n");
        // One line longer than a file may be is written all the same.
        file.write_all(&[b'x'; 40]).unwrap();
        file.write_all(b"\n").unwrap();
        assert_eq!(read("events.jsonl").len(), 41);
        assert_eq!(read("events.jsonl.1"), "three 789012\nfour\n");
        assert!(EventFile::open(&folder.path().join("none/x")).is_err());
    }
}
