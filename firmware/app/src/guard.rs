//! The boot guard on Linux: a file that survives crashes, and a copy of the last good model.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::folder;
use igpt_firmware_core::boot_guard::{BootGuard, Decision, ModelId, Policy, RECORD_BYTES, Storage};

const RECORD: &str = "boot-guard.bin";
const LAST_GOOD: &str = "last-good.onnx";

/// The record as a file, replaced in one step.
#[derive(Debug)]
pub(super) struct FileStorage {
    path: PathBuf,
}

impl Storage for FileStorage {
    type Error = io::Error;

    fn load(&mut self, bytes: &mut [u8; RECORD_BYTES]) -> io::Result<usize> {
        let stored = match fs::read(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            other => other?,
        };
        for (to, from) in bytes.iter_mut().zip(&stored) {
            *to = *from;
        }
        Ok(stored.len())
    }

    fn store(&mut self, bytes: &[u8; RECORD_BYTES]) -> io::Result<()> {
        replace(&self.path, |file| file.write_all(bytes).map(|()| true)).map(|_| ())
    }
}

/// Writes beside `path`, makes sure it is on the disk, then renames: a power cut leaves the old
/// content or the new one. `write` may think better of it: then the old one stays, and false comes back.
fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<bool>) -> io::Result<bool> {
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    if !write(&mut file)? {
        fs::remove_file(&beside)?;
        return Ok(false);
    }
    file.sync_all()?;
    fs::rename(&beside, path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(true)
}

/// Which model file to load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Choice {
    /// The configured one.
    Configured,
    /// The copy of the last good one.
    LastGood(PathBuf),
    /// The one inside the program: there is no copy, or it is damaged.
    Bundled,
}

/// The guard, its directory and what the present model is.
pub(super) struct Guard {
    guard: BootGuard<FileStorage>,
    dir: PathBuf,
    /// The configured model, if it is the one that runs.
    running: Option<(ModelId, PathBuf)>,
    started: std::time::Instant,
    proven: bool,
}

/// Seconds since 1970; 0 on a clock before that.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs())
}

/// CRC-32 of a file.
pub(super) fn checksum(path: &Path) -> io::Result<ModelId> {
    copy(path, &mut io::sink())
}

/// Copies a file and gives its CRC-32. In pieces: a second model does not fit a small board's memory.
fn copy(path: &Path, to: &mut impl Write) -> io::Result<ModelId> {
    let mut file = File::open(path)?;
    let mut piece = vec![0; 1 << 16];
    let mut sum = crc32fast::Hasher::new();
    loop {
        let len = match file.read(&mut piece) {
            Ok(0) => return Ok(ModelId(sum.finalize())),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            read => read?,
        };
        sum.update(&piece[..len]);
        to.write_all(&piece[..len])?;
    }
}

impl Guard {
    /// Notes the start with the model file `configured` and chooses what to load. A model that
    /// cannot even be read has checksum 0: the error comes when it is loaded, and counts as a crash.
    ///
    /// # Errors
    /// When the directory or the record in it cannot be used.
    pub(super) fn start(dir: &Path, configured: &Path) -> io::Result<(Self, Choice)> {
        Self::start_at(dir, configured, now())
    }

    fn start_at(dir: &Path, configured: &Path, now: u64) -> io::Result<(Self, Choice)> {
        folder::create(dir)?;
        let id = checksum(configured).unwrap_or(ModelId(0));
        let storage = FileStorage {
            path: dir.join(RECORD),
        };
        let (guard, decision) = BootGuard::start(storage, Policy::default(), id, now)?;
        let copy = dir.join(LAST_GOOD);
        let choice = match decision {
            Decision::Run => Choice::Configured,
            Decision::FallBack {
                last_good: Some(good),
            } if checksum(&copy).is_ok_and(|found| found == good) => Choice::LastGood(copy),
            Decision::FallBack { .. } => Choice::Bundled,
        };
        let running = (choice == Choice::Configured).then(|| (id, configured.to_owned()));
        let started = std::time::Instant::now();
        Ok((
            Self {
                guard,
                dir: dir.to_owned(),
                running,
                started,
                proven: false,
            },
            choice,
        ))
    }

    /// The copy to fall back to if the configured model cannot be loaded; none if it is the same, or damaged.
    /// From then on the copy is what runs.
    pub(super) fn fall_back(&mut self) -> Option<PathBuf> {
        let (id, _) = self.running.as_ref()?;
        let good = self.guard.last_good().filter(|good| good != id)?;
        let copy = self.dir.join(LAST_GOOD);
        if !checksum(&copy).is_ok_and(|found| found == good) {
            return None;
        }
        self.running = None;
        Some(copy)
    }

    /// Called after each verdict: when the model has lasted, it becomes the one to fall back to.
    ///
    /// # Errors
    /// When that cannot be written.
    pub(super) fn verdict(&mut self) -> io::Result<()> {
        if !self.proven && self.started.elapsed() >= self.probation() {
            self.prove()?;
        }
        Ok(())
    }

    fn probation(&self) -> Duration {
        self.guard.probation()
    }

    fn prove(&mut self) -> io::Result<()> {
        self.proven = true;
        let Some((id, path)) = &self.running else {
            return Ok(());
        };
        let last_good = self.dir.join(LAST_GOOD);
        if !checksum(&last_good).is_ok_and(|found| found == *id) {
            // Replaced on the disk while we ran? Then what lies there is not what has proven itself.
            if !replace(&last_good, |to| Ok(copy(path, to)? == *id))? {
                return Ok(());
            }
        }
        self.guard.proven(*id)
    }

    /// An orderly end; with at least one verdict it proves the model.
    ///
    /// # Errors
    /// When that cannot be written.
    pub(super) fn stopped(&mut self, verdicts: u64) -> io::Result<()> {
        if verdicts > 0 && !self.proven {
            self.prove()?;
        }
        self.guard.stopped()
    }
}

#[cfg(test)]
mod tests {
    use super::{Choice, Guard, LAST_GOOD, RECORD};
    use std::fs;

    #[test]
    fn a_crash_loop_falls_back_to_the_copy_and_a_new_file_gets_its_chance() {
        let dir = tempfile::tempdir().unwrap();
        let (state, model) = (dir.path().join("state"), dir.path().join("model.onnx"));
        fs::write(&model, b"good").unwrap();
        let (mut guard, choice) = Guard::start_at(&state, &model, 0).unwrap();
        assert_eq!(choice, Choice::Configured);
        guard.stopped(5).unwrap();
        assert_eq!(fs::read(state.join(LAST_GOOD)).unwrap(), b"good");

        fs::write(&model, b"bad").unwrap();
        for now in 1..=3 {
            assert_eq!(
                Guard::start_at(&state, &model, now).unwrap().1,
                Choice::Configured,
                "start {now}"
            );
        }
        let (mut guard, choice) = Guard::start_at(&state, &model, 4).unwrap();
        assert_eq!(choice, Choice::LastGood(state.join(LAST_GOOD)));
        guard.stopped(5).unwrap();
        assert_eq!(
            fs::read(state.join(LAST_GOOD)).unwrap(),
            b"good",
            "a bad model never becomes the good one"
        );

        fs::write(&model, b"better").unwrap();
        assert_eq!(
            Guard::start_at(&state, &model, 5).unwrap().1,
            Choice::Configured
        );
    }

    #[test]
    fn a_damaged_copy_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let model = dir.path().join("model.onnx");
        fs::write(&model, b"good").unwrap();
        Guard::start_at(dir.path(), &model, 0)
            .unwrap()
            .0
            .stopped(1)
            .unwrap();
        fs::write(&model, b"bad").unwrap();
        for now in 1..=3 {
            Guard::start_at(dir.path(), &model, now).unwrap();
        }
        fs::write(dir.path().join(LAST_GOOD), b"goo").unwrap();
        assert_eq!(
            Guard::start_at(dir.path(), &model, 4).unwrap().1,
            Choice::Bundled
        );
    }

    #[test]
    fn a_run_without_a_verdict_proves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let model = dir.path().join("model.onnx");
        fs::write(&model, b"new").unwrap();
        let (mut guard, _) = Guard::start_at(dir.path(), &model, 0).unwrap();
        guard.stopped(0).unwrap();
        assert!(!dir.path().join(LAST_GOOD).exists());
        assert!(dir.path().join(RECORD).exists());
    }

    #[test]
    fn a_model_that_cannot_be_read_counts_as_a_crash_too() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing.onnx");
        for now in 1..=3 {
            assert_eq!(
                Guard::start_at(dir.path(), &missing, now).unwrap().1,
                Choice::Configured
            );
        }
        assert_eq!(
            Guard::start_at(dir.path(), &missing, 4).unwrap().1,
            Choice::Bundled
        );
    }
}
