//! defmt on Linux: a global logger that frames log points into any writer.
//!
//! Each thread encodes into a buffer of its own and hands over whole frames, so threads do not
//! wait for one another while they format, and frames never interleave. What a log call inside
//! another one's formatting would write is left out. A writer that fails costs the frame, which is
//! counted; the next one begins with a separator, so that the decoder finds its way back.
//!
//! Decode with `defmt-print -e target/release/igpt-cam < FILE`.

use std::cell::RefCell;
use std::io::Write;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use defmt::Encoder;

/// Frames end with this byte, and it occurs nowhere else (rzCOBS).
const SEPARATOR: u8 = 0;

static WRITER: Mutex<Option<Output>> = Mutex::new(None);
static LOST: Mutex<Option<Lost>> = Mutex::new(None);

/// Frames that the writer did not take.
#[derive(Debug)]
pub struct Lost {
    /// How many.
    pub frames: u64,
    /// Why it did not take the first.
    pub error: std::io::Error,
}

struct Output {
    writer: Box<dyn Write + Send>,
    broken: bool,
}

/// Sends log frames to `writer` from now on. Before the first call they are discarded.
pub fn install(writer: Box<dyn Write + Send>) {
    // The clock of the log starts with it.
    uptime();
    *lock() = Some(Output {
        writer,
        broken: false,
    });
}

/// Flushes the writer and stops logging.
pub fn uninstall() {
    if let Some(mut output) = lock().take() {
        // Nobody is left to tell.
        let _ = output.writer.flush();
    }
}

/// Frames that the writer did not take since the last call, if any.
pub fn lost() -> Option<Lost> {
    LOST.lock().unwrap_or_else(PoisonError::into_inner).take()
}

fn count_lost(error: std::io::Error) {
    let mut lost = LOST.lock().unwrap_or_else(PoisonError::into_inner);
    lost.get_or_insert(Lost { frames: 0, error }).frames += 1;
}

fn lock() -> std::sync::MutexGuard<'static, Option<Output>> {
    // A writer that panicked leaves nothing half done that the separator does not mend.
    WRITER.lock().unwrap_or_else(PoisonError::into_inner)
}

fn uptime() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_micros() as u64
}

defmt::timestamp!("{=u64:us}", uptime());

/// One thread's frame in the making.
struct Frame {
    encoder: Encoder,
    bytes: Vec<u8>,
    /// Log calls that have begun and not ended: more than one when a value's formatting logs.
    depth: u32,
}

thread_local! {
    static FRAME: RefCell<Frame> = const {
        RefCell::new(Frame { encoder: Encoder::new(), bytes: Vec::new(), depth: 0 })
    };
}

/// Runs `action` on this thread's frame; not at all while the thread is being torn down.
fn with_frame(action: impl FnOnce(&mut Frame)) {
    let _ = FRAME.try_with(|frame| {
        if let Ok(mut frame) = frame.try_borrow_mut() {
            action(&mut frame);
        }
    });
}

impl Frame {
    fn begin(&mut self) {
        self.depth += 1;
        if self.depth == 1 {
            self.bytes.clear();
            let bytes = &mut self.bytes;
            self.encoder
                .start_frame(|part| bytes.extend_from_slice(part));
        }
    }

    fn write(&mut self, data: &[u8]) {
        if self.depth == 1 {
            let bytes = &mut self.bytes;
            self.encoder
                .write(data, |part| bytes.extend_from_slice(part));
        }
    }

    fn end(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        if self.depth == 0 {
            let bytes = &mut self.bytes;
            self.encoder.end_frame(|part| bytes.extend_from_slice(part));
            send(&self.bytes);
        }
    }
}

fn send(frame: &[u8]) {
    let mut guard = lock();
    let Some(output) = guard.as_mut() else { return };
    let mended = if output.broken {
        output.writer.write_all(&[SEPARATOR])
    } else {
        Ok(())
    };
    let written = mended
        .and_then(|()| output.writer.write_all(frame))
        .and_then(|()| output.writer.flush());
    output.broken = written.is_err();
    if let Err(error) = written {
        count_lost(error);
    }
}

#[defmt::global_logger]
struct LinuxLogger;

// SAFETY: the trait asks that a frame be written by one context between `acquire` and `release`,
// and that `acquire` be safe against reentrance. Frames are thread-local, and a nested log call
// only changes `depth`.
unsafe impl defmt::Logger for LinuxLogger {
    fn acquire() {
        with_frame(Frame::begin);
    }

    // SAFETY: no more is asked of the caller than of `acquire`'s; the body is safe.
    unsafe fn flush() {
        if let Some(output) = lock().as_mut() {
            let _ = output.writer.flush();
        }
    }

    // SAFETY: a call without `acquire` would end an empty frame; the body is safe.
    unsafe fn release() {
        with_frame(Frame::end);
    }

    // SAFETY: a call without `acquire` writes nothing; the body is safe.
    unsafe fn write(bytes: &[u8]) {
        with_frame(|frame| frame.write(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::{Frame, SEPARATOR};
    use defmt::Encoder;

    fn frame() -> Frame {
        Frame {
            encoder: Encoder::new(),
            bytes: Vec::new(),
            depth: 0,
        }
    }

    #[test]
    fn a_frame_ends_with_the_separator_which_occurs_nowhere_in_it() {
        let mut frame = frame();
        frame.begin();
        frame.write(&[1, 0, 0, 0, 2, 0, 3]);
        frame.end();
        let body = frame
            .bytes
            .strip_prefix(&[SEPARATOR])
            .expect("the first frame starts with one");
        let (last, body) = body.split_last().expect("a frame");
        assert_eq!(*last, SEPARATOR);
        assert!(!body.is_empty() && !body.contains(&SEPARATOR), "{body:?}");
    }

    #[test]
    fn a_log_call_within_a_log_call_leaves_the_outer_frame_whole() {
        let (mut nested, mut plain) = (frame(), frame());
        plain.begin();
        plain.write(b"outer");
        plain.end();
        nested.begin();
        nested.write(b"out");
        nested.begin();
        nested.write(b"INNER");
        nested.end();
        assert_eq!(nested.depth, 1, "the outer frame is still open");
        nested.write(b"er");
        nested.end();
        assert_eq!(nested.bytes, plain.bytes);
    }
}
