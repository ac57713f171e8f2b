//! Ends crash loops: a model that makes the app die again and again is set aside for the last one
//! that worked.
//!
//! Each start is written down before the model is touched and struck out when the app ends in an
//! orderly way. A start still standing at the next start was a crash: a panic, an abort, the
//! watchdog, a power cut. After [`Policy::crashes`] of them within [`Policy::within`] the model is
//! condemned, and stays so until another one is configured, so that a board in the field does not
//! try it again after every reboot.

use core::time::Duration;

use heapless::Deque;

/// Most crashes that can be counted, and so the largest useful [`Policy::crashes`].
pub const MAX_CRASHES: usize = 8;

/// Bytes that a [`Storage`] must keep.
pub const RECORD_BYTES: usize = 4 + 4 + 4 + 4 + 4 + 8 + MAX_CRASHES * 8 + 4;

const MAGIC: [u8; 4] = *b"IGB1";
const HAS_GOOD: u8 = 1;
const HAS_CONDEMNED: u8 = 2;
const RUNNING: u8 = 4;

/// Somewhere that survives a crash: a flash sector, a file.
pub trait Storage {
    /// What can go wrong.
    type Error;

    /// Reads what was stored last into `bytes` and says how many bytes that was; 0 if nothing was.
    ///
    /// # Errors
    /// When reading fails.
    fn load(&mut self, bytes: &mut [u8; RECORD_BYTES]) -> Result<usize, Self::Error>;

    /// Replaces what is stored, in one step: after a power cut either the old bytes or the new
    /// ones are there.
    ///
    /// # Errors
    /// When writing fails.
    fn store(&mut self, bytes: &[u8; RECORD_BYTES]) -> Result<(), Self::Error>;
}

/// Which model: a checksum of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, defmt::Format)]
pub struct ModelId(pub u32);

/// When a model is condemned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// This many crashes, 1 to [`MAX_CRASHES`].
    pub crashes: usize,
    /// No further apart than this.
    pub within: Duration,
}

impl Default for Policy {
    /// Three within five minutes: a restart every few seconds reaches it at once, a power cut a day never does.
    fn default() -> Self {
        Self {
            crashes: 3,
            within: Duration::from_secs(300),
        }
    }
}

/// Which model to load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, defmt::Format)]
pub enum Decision {
    /// The configured one.
    Run,
    /// Not that one: it is condemned.
    FallBack {
        /// The last model that worked, if there was one.
        last_good: Option<ModelId>,
    },
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Record {
    model: u32,
    last_good: Option<u32>,
    condemned: Option<u32>,
    running: bool,
    started: u64,
    crashes: Deque<u64, MAX_CRASHES>,
}

/// The guard. Times are seconds on a clock that goes on across restarts.
#[derive(Debug)]
pub struct BootGuard<S> {
    storage: S,
    policy: Policy,
    record: Record,
}

impl<S: Storage> BootGuard<S> {
    /// Notes a start with `model` and decides whether it may be loaded. A damaged record counts
    /// as none: the guard must not become the thing that keeps a board from starting.
    ///
    /// # Errors
    /// When the storage cannot be read or written; the app may well go on without a guard.
    pub fn start(
        mut storage: S,
        policy: Policy,
        model: ModelId,
        now: u64,
    ) -> Result<(Self, Decision), S::Error> {
        let mut bytes = [0; RECORD_BYTES];
        let length = storage.load(&mut bytes)?;
        let mut record = match Record::parse(&bytes) {
            Some(record) if length == RECORD_BYTES => record,
            _ => {
                if length > 0 {
                    defmt::warn!(
                        "boot guard: damaged record of {=usize} bytes, starting afresh",
                        length
                    );
                }
                Record::default()
            }
        };
        if record.model != model.0 {
            // The crashes were another model's.
            record.crashes.clear();
        } else if record.running {
            if record.crashes.is_full() {
                record.crashes.pop_front();
            }
            // Just made room.
            let _ = record.crashes.push_back(record.started);
        }
        let oldest = now.saturating_sub(policy.within.as_secs());
        record.crashes.retain(|at| *at >= oldest);
        if record.crashes.len() >= policy.crashes.clamp(1, MAX_CRASHES) {
            defmt::error!(
                "boot guard: {=usize} crashes, condemning model {=u32:08x}",
                record.crashes.len(),
                model.0
            );
            record.condemned = Some(model.0);
            record.crashes.clear();
        }
        let decision = if record.condemned == Some(model.0) {
            Decision::FallBack {
                last_good: record.last_good.map(ModelId),
            }
        } else {
            Decision::Run
        };
        record.model = model.0;
        record.running = true;
        record.started = now;
        storage.store(&record.to_bytes())?;
        Ok((
            Self {
                storage,
                policy,
                record,
            },
            decision,
        ))
    }

    /// Crashes that count at present.
    pub fn crashes(&self) -> usize {
        self.record.crashes.len()
    }

    /// How long a model must run before it has proven itself.
    pub const fn probation(&self) -> Duration {
        self.policy.within
    }

    /// `model` has proven itself: it becomes the one to fall back to, and past crashes are forgiven.
    ///
    /// # Errors
    /// When the storage cannot be written.
    pub fn proven(&mut self, model: ModelId) -> Result<(), S::Error> {
        self.record.last_good = Some(model.0);
        self.record.crashes.clear();
        self.storage.store(&self.record.to_bytes())
    }

    /// The last model that worked, if there was one.
    pub fn last_good(&self) -> Option<ModelId> {
        self.record.last_good.map(ModelId)
    }

    /// The app ends in an orderly way: this start was no crash.
    ///
    /// # Errors
    /// When the storage cannot be written.
    pub fn stopped(&mut self) -> Result<(), S::Error> {
        self.record.running = false;
        self.storage.store(&self.record.to_bytes())
    }
}

impl Record {
    /// Layout, little endian: magic, flags (u32), model, last good, condemned (u32 each),
    /// started (u64), crash times (u64 each, unused ones all ones), CRC-32 of what precedes.
    fn to_bytes(&self) -> [u8; RECORD_BYTES] {
        let mut flags = 0;
        flags |= if self.last_good.is_some() {
            HAS_GOOD
        } else {
            0
        };
        flags |= if self.condemned.is_some() {
            HAS_CONDEMNED
        } else {
            0
        };
        flags |= if self.running { RUNNING } else { 0 };
        let mut out = [0; RECORD_BYTES];
        let mut rest = &mut out[..];
        put(&mut rest, &MAGIC);
        put(&mut rest, &u32::from(flags).to_le_bytes());
        for word in [
            self.model,
            self.last_good.unwrap_or(0),
            self.condemned.unwrap_or(0),
        ] {
            put(&mut rest, &word.to_le_bytes());
        }
        put(&mut rest, &self.started.to_le_bytes());
        let unused = core::iter::repeat(u64::MAX);
        for at in self.crashes.iter().copied().chain(unused).take(MAX_CRASHES) {
            put(&mut rest, &at.to_le_bytes());
        }
        let crc = crc32fast::hash(&out[..RECORD_BYTES - 4]);
        out[RECORD_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    fn parse(bytes: &[u8; RECORD_BYTES]) -> Option<Self> {
        let (body, crc) = bytes.split_at(RECORD_BYTES - 4);
        if crc != crc32fast::hash(body).to_le_bytes() {
            return None;
        }
        let mut rest = body.strip_prefix(&MAGIC)?;
        let flags = take_u32(&mut rest)? as u8;
        let model = take_u32(&mut rest)?;
        let last_good = take_u32(&mut rest)?;
        let condemned = take_u32(&mut rest)?;
        let started = take_u64(&mut rest)?;
        let mut crashes = Deque::new();
        for _ in 0..MAX_CRASHES {
            let at = take_u64(&mut rest)?;
            if at != u64::MAX {
                crashes.push_back(at).ok()?;
            }
        }
        Some(Self {
            model,
            last_good: (flags & HAS_GOOD != 0).then_some(last_good),
            condemned: (flags & HAS_CONDEMNED != 0).then_some(condemned),
            running: flags & RUNNING != 0,
            started,
            crashes,
        })
    }
}

/// Copies `bytes` to the front of `rest` and moves on. `rest` has room: its length is the sum of
/// the fields.
fn put(rest: &mut &mut [u8], bytes: &[u8]) {
    let (field, tail) = core::mem::take(rest).split_at_mut(bytes.len());
    field.copy_from_slice(bytes);
    *rest = tail;
}

fn take_u32(rest: &mut &[u8]) -> Option<u32> {
    let (field, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(u32::from_le_bytes(*field))
}

fn take_u64(rest: &mut &[u8]) -> Option<u64> {
    let (field, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(u64::from_le_bytes(*field))
}

#[cfg(test)]
mod tests;
