//! The threads of one forward pass: woken once when it begins, and ready for each of its phases.
//!
//! A phase of a small model takes a thread some ten microseconds; waking one that sleeps takes as long. So the threads of a
//! pool are asked to help with a pass, and between its phases they watch for the next one: for a moment without letting go of
//! their core, then letting others have it, then asleep. When the pass ends they go back to the pool, where nothing spins.
//!
//! Who begins a pass leads it, and works on every phase. So a pass goes on even if nobody comes to help, on a machine that has
//! other things to do, and it waits for nobody but who has taken a task already.
//!
//! The leader takes tasks from the first on, the others from the last: over phases of a map each thread comes by the rows that it wrote.

use std::any::Any;
use std::cell::{RefCell, UnsafeCell};
use std::convert::Infallible;
use std::fmt;
use std::hint::spin_loop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::yield_now;
use std::time::{Duration, Instant};

/// How long a thread that waits holds on to its core: the gaps between the phases of a pass are shorter, unless it has no core to itself.
const SPIN: Duration = Duration::from_micros(50);

/// How long it then offers its core to others each time that it looks, before it sleeps.
const YIELD: Duration = Duration::from_micros(200);

/// Looks between two readings of the clock.
const LOOKS: u32 = 32;

thread_local! {
    /// The team of the pass that this thread leads, unless it is within one of its phases.
    static LED: RefCell<Option<Arc<Team>>> = const { RefCell::new(None) };
}

/// What a phase does with the task of a number.
type Work<'a> = dyn Fn(usize) + Sync + 'a;

/// The threads that work on a pass.
pub(crate) struct Team {
    /// Which tasks of the present phase nobody has taken, as a [`Ticket`].
    ticket: AtomicU64,
    /// Tasks of the present phase that are done.
    done: AtomicUsize,
    /// What the present phase does with a task. Written by the leader while no task is to be had, read by whoever has taken one.
    work: UnsafeCell<Option<&'static Work<'static>>>,
    /// Threads that sleep until `ticket` or `done` changes.
    sleepers: AtomicUsize,
    lock: Mutex<()>,
    bell: Condvar,
}

// SAFETY: all but `work` is shared between threads by its own means. `work` is written by the leader alone, before the ticket that offers a
// phase's first task (a release), and after the last of a phase's tasks is done (an acquire of `done`); others read it only after they took
// a task (an acquire of the ticket) and before they count it as done (a release of `done`). What it points at is `Sync`.
unsafe impl Sync for Team {}
// SAFETY: as above; nothing in it belongs to one thread.
unsafe impl Send for Team {}

impl fmt::Debug for Team {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Team")
            .field("ticket", &self.ticket)
            .finish_non_exhaustive()
    }
}

/// The number of a phase, and the tasks `first..end` of it, which are to be had. With the phase's number in it, one that was read in an
/// earlier phase is never mistaken for today's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ticket {
    phase: u64,
    first: u64,
    end: u64,
}

impl Ticket {
    /// Bits of a task's number.
    const BITS: u32 = 20;

    /// Tasks that a phase may have.
    const MOST: usize = (1 << Self::BITS) - 1;

    /// Says that the pass has ended.
    const END: u64 = u64::MAX;

    fn pack(self) -> u64 {
        let phase = self.phase << (2 * Self::BITS);
        phase | self.first << Self::BITS | self.end
    }

    fn unpack(packed: u64) -> Self {
        let mask = Self::MOST as u64;
        Self {
            phase: packed >> (2 * Self::BITS),
            first: packed >> Self::BITS & mask,
            end: packed & mask,
        }
    }

    fn is_empty(self) -> bool {
        self.first >= self.end
    }
}

/// Runs `pass` with `helpers` threads ready for its phases, which `spawn` is to ask to run what it is given.
pub(crate) fn lead<T>(
    helpers: usize,
    spawn: impl Fn(Box<dyn FnOnce() + Send>),
    pass: impl FnOnce() -> T,
) -> T {
    if helpers == 0 {
        return pass();
    }
    let team = Arc::new(Team::new());
    for _ in 0..helpers {
        let team = team.clone();
        spawn(Box::new(move || team.help()));
    }
    let _end = End(team.clone());
    let _led = Led::by(Some(team));
    pass()
}

/// Runs `work` on each of `tasks`, and gives the error of the first that has one; tasks after that may not have been run. In a pass its
/// threads share them out, elsewhere this thread does them all.
pub(crate) fn try_each<T: Send, E: Send>(
    tasks: impl ExactSizeIterator<Item = T>,
    work: impl Fn(usize, T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let shared = (2..=Ticket::MOST).contains(&tasks.len());
    let Some(team) = LED.with_borrow(|led| led.clone().filter(|_| shared)) else {
        let mut tasks = tasks.enumerate();
        return tasks.try_for_each(|(i, task)| work(i, task));
    };
    // Within a phase there is no other: what is asked for there is this thread's own.
    let _led = Led::by(None);
    let tasks: Vec<_> = tasks.map(|task| Mutex::new(Some(task))).collect();
    let (failed, error) = (AtomicUsize::new(usize::MAX), Mutex::new(None));
    team.run(tasks.len(), &|i| {
        // Those before one that failed are run nevertheless, so that it is always the same error that is given.
        if i > failed.load(Ordering::Relaxed) {
            return;
        }
        let task = open(&tasks[i]).take();
        let Some(Err(e)) = task.map(|task| work(i, task)) else {
            return;
        };
        let mut error = open(&error);
        if failed.fetch_min(i, Ordering::Relaxed) > i {
            *error = Some(e);
        }
    });
    let error = error.into_inner().unwrap_or_else(PoisonError::into_inner);
    error.map_or(Ok(()), Err)
}

/// [`try_each`] of what cannot fail.
pub(crate) fn each<T: Send>(
    tasks: impl ExactSizeIterator<Item = T>,
    work: impl Fn(usize, T) + Sync,
) {
    let done: Result<(), Infallible> = try_each(tasks, |i, task| {
        work(i, task);
        Ok(())
    });
    let Ok(()) = done;
}

/// What a lock guards: a panic leaves nothing here half done.
fn open<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// For as long as this lives, this thread leads another team or none.
struct Led(Option<Arc<Team>>);

impl Led {
    fn by(team: Option<Arc<Team>>) -> Self {
        Self(LED.replace(team))
    }
}

impl Drop for Led {
    fn drop(&mut self) {
        LED.set(self.0.take());
    }
}

/// Ends a team's pass, however that ends.
struct End(Arc<Team>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.ticket.store(Ticket::END, Ordering::SeqCst);
        self.0.wake();
    }
}

impl Team {
    fn new() -> Self {
        Self {
            ticket: AtomicU64::new(0),
            done: AtomicUsize::new(0),
            work: UnsafeCell::new(None),
            sleepers: AtomicUsize::new(0),
            lock: Mutex::default(),
            bell: Condvar::new(),
        }
    }

    /// A phase: runs `work` for each of `tasks` tasks, and returns when all are done. By the leader alone, not from within a phase.
    fn run(&self, tasks: usize, work: &Work<'_>) {
        let panic: Mutex<Option<Box<dyn Any + Send>>> = Mutex::default();
        // A panic waits until nobody is at work any more with what it would take away.
        let careful = |i: usize| {
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| work(i))) {
                open(&panic).get_or_insert(payload);
            }
        };
        let careful: &Work<'_> = &careful;
        // SAFETY: only the lifetime changes. It is called only for tasks that were taken and are not yet counted as done, and this function
        // does not return, nor unwind, before all are counted: from here on there is nothing that panics until then.
        let careful = unsafe { std::mem::transmute::<&Work<'_>, &'static Work<'static>>(careful) };
        // SAFETY: no task is to be had, and none is under way, so nobody else reads this: see `Sync`.
        unsafe { *self.work.get() = Some(careful) };
        self.done.store(0, Ordering::Relaxed);
        let phase = Ticket::unpack(self.ticket.load(Ordering::Relaxed)).phase;
        let ticket = Ticket {
            phase: phase + 1,
            first: 0,
            end: tasks as u64,
        };
        self.ticket.store(ticket.pack(), Ordering::SeqCst);
        self.wake();
        while let Some(i) = self.take(|ticket| (ticket.first, 1, 0)) {
            careful(i);
            self.done.fetch_add(1, Ordering::Release);
        }
        self.wait(|| self.done.load(Ordering::SeqCst) == tasks);
        if let Some(payload) = panic.into_inner().unwrap_or_else(PoisonError::into_inner) {
            resume_unwind(payload);
        }
    }

    /// Works on one phase after the other, until the pass has ended.
    fn help(&self) {
        loop {
            while let Some(i) = self.take(|ticket| (ticket.end - 1, 0, 1)) {
                // SAFETY: a task of this phase was taken and is not yet done: the leader has written it before, and leaves it alone.
                if let Some(work) = unsafe { *self.work.get() } {
                    work(i);
                }
                self.done.fetch_add(1, Ordering::SeqCst);
                self.wake();
            }
            let mut ended = false;
            self.wait(|| {
                let ticket = self.ticket.load(Ordering::SeqCst);
                ended = ticket == Ticket::END;
                ended || !Ticket::unpack(ticket).is_empty()
            });
            if ended {
                return;
            }
        }
    }

    /// Takes a task, if there is one: `which` says of a ticket its number, and what becomes of the ticket's two ends.
    fn take(&self, which: impl Fn(Ticket) -> (u64, u64, u64)) -> Option<usize> {
        let mut packed = self.ticket.load(Ordering::Acquire);
        loop {
            let ticket = Ticket::unpack(packed);
            if ticket.is_empty() {
                return None;
            }
            let (task, first, end) = which(ticket);
            let rest = Ticket {
                first: ticket.first + first,
                end: ticket.end - end,
                ..ticket
            };
            let taken = self.ticket.compare_exchange_weak(
                packed,
                rest.pack(),
                Ordering::AcqRel,
                Ordering::Acquire,
            );
            match taken {
                Ok(_) => return Some(task as usize),
                Err(now) => packed = now,
            }
        }
    }

    /// Waits until `ready`, which reads `ticket` or `done`, and is asked at most once more after it said so.
    fn wait(&self, mut ready: impl FnMut() -> bool) {
        let mut since = None;
        loop {
            for _ in 0..LOOKS {
                if ready() {
                    return;
                }
                spin_loop();
            }
            let waited = since.get_or_insert_with(Instant::now).elapsed();
            if waited >= SPIN + YIELD {
                break;
            }
            if waited >= SPIN {
                yield_now();
            }
        }
        // Whoever changes something looks for sleepers after that, and here it is the other way round: one of both sees the other.
        let mut guard = open(&self.lock);
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        while !ready() {
            let woken = self.bell.wait(guard);
            guard = woken.unwrap_or_else(PoisonError::into_inner);
        }
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
    }

    /// Wakes who sleeps, after `ticket` or `done` was changed.
    fn wake(&self) {
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            // Who is about to sleep holds the lock until it does.
            drop(open(&self.lock));
            self.bell.notify_all();
        }
    }
}

#[cfg(test)]
mod tests;
