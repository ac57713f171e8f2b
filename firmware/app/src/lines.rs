//! Lines to an output that may be full at times: never half of one beside the next, and what is lost is counted.

use std::io::{self, ErrorKind, Write};

use anyhow::anyhow;
use igpt_runtime::tools::counted;

use super::exit::Failure;

/// What an output did not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Loss {
    /// Which output.
    pub(super) output: String,
    /// What it did not take, in the plural.
    pub(super) what: &'static str,
    /// How many.
    pub(super) count: u64,
    /// Why it did not take the first.
    pub(super) first: String,
}

/// The failure that losses make of a run which otherwise went well.
pub(super) fn failure(losses: &[Loss]) -> Option<Failure> {
    let told: Vec<String> = losses
        .iter()
        .map(|loss| {
            let Loss {
                output,
                what,
                count,
                first,
            } = loss;
            // Errors of files name the file already.
            let at = if first.contains(output.as_str()) {
                String::new()
            } else {
                format!("{output}: ")
            };
            format!("{at}{first} ({} lost)", counted(*count, what))
        })
        .collect();
    (!told.is_empty()).then(|| Failure::Runtime(anyhow!("{}", told.join("; "))))
}

/// A writer of whole lines.
pub(super) struct Lines {
    to: Box<dyn Write + Send>,
    /// The last line went out in part: the next begins on a new one.
    torn: bool,
    /// Lines that were not taken. A reader that went away is not counted: it wanted no more.
    pub(super) lost: u64,
    pub(super) first_error: Option<String>,
}

impl Lines {
    pub(super) fn new(to: Box<dyn Write + Send>) -> Self {
        Self {
            to,
            torn: false,
            lost: 0,
            first_error: None,
        }
    }

    /// Writes `text`, which ends with a newline, and flushes.
    ///
    /// # Errors
    /// As the writer. The next line may succeed.
    pub(super) fn write(&mut self, text: &str) -> io::Result<()> {
        let written = self.try_write(text);
        if let Err(error) = &written
            && error.kind() != ErrorKind::BrokenPipe
        {
            self.lost += 1;
            self.first_error.get_or_insert_with(|| error.to_string());
        }
        written
    }

    fn try_write(&mut self, text: &str) -> io::Result<()> {
        if self.torn {
            self.to.write_all(b"\n")?;
            self.torn = false;
        }
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            match self.to.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => {
                    rest = rest.get(count..).unwrap_or_default();
                    self.torn = !rest.is_empty();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::{Lines, Loss, failure};
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    /// Takes so many bytes, then none until somebody makes room.
    #[derive(Clone, Default)]
    struct Disk(Arc<Mutex<(usize, Vec<u8>)>>);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let (room, taken) = &mut *self.0.lock().unwrap();
            let count = bytes.len().min(*room);
            if count == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            *room -= count;
            taken.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_torn_line_stays_alone_and_losses_are_counted() {
        let disk = Disk::default();
        let room = |bytes| disk.0.lock().unwrap().0 = bytes;
        let mut lines = Lines::new(Box::new(disk.clone()));
        room(10);
        lines.write("whole\n").unwrap();
        assert!(lines.write("torn in two\n").is_err());
        assert!(lines.write("never\n").is_err());
        room(100);
        lines.write("again\n").unwrap();
        assert_eq!(disk.0.lock().unwrap().1, b"whole\ntorn\nagain\n");
        assert_eq!(lines.lost, 2);
        assert!(lines.first_error.is_some());
    }

    #[test]
    fn every_loss_is_named_once() {
        let loss = |output: &str, what, first: &str| Loss {
            output: output.to_owned(),
            what,
            count: 2,
            first: first.to_owned(),
        };
        assert!(failure(&[]).is_none());
        let losses = [
            loss("standard output", "line", "no space left"),
            loss("run", "frame", "run/verdicts.jsonl: cannot write"),
        ];
        let failure = failure(&losses).unwrap();
        assert_eq!(
            failure.to_string(),
            "standard output: no space left (2 lines lost); run/verdicts.jsonl: cannot write (2 frames lost)"
        );
        assert_eq!(failure.code(), 1);
    }
}
