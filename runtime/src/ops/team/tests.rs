//! Passes of many short phases, by more threads than there are cores: every task once, errors and panics where they belong.

use super::*;
use std::panic::catch_unwind;
use std::thread::{self, JoinHandle};

/// A pass with so many helpers, each a thread of its own; gives what it gave when all have ended.
fn pass<T>(helpers: usize, run: impl FnOnce() -> T) -> T {
    let threads: Mutex<Vec<JoinHandle<()>>> = Mutex::default();
    let spawn = |help: Box<dyn FnOnce() + Send>| open(&threads).push(thread::spawn(help));
    let result = catch_unwind(AssertUnwindSafe(|| lead(helpers, spawn, run)));
    for thread in threads.into_inner().unwrap() {
        thread.join().expect("a helper never panics");
    }
    result.unwrap_or_else(|payload| resume_unwind(payload))
}

/// Adds one to each of `numbers`, a task each.
fn add_one(numbers: &mut [usize]) {
    let done = try_each(numbers.iter_mut(), |_, number| {
        *number += 1;
        Ok::<(), ()>(())
    });
    assert_eq!(done, Ok(()));
}

#[test]
fn every_task_of_every_phase_is_done_once() {
    for helpers in 0..5 {
        let mut numbers = vec![0; 37];
        pass(helpers, || {
            for phase in 0..500 {
                let some = phase % numbers.len();
                add_one(&mut numbers[some..]);
                add_one(&mut numbers[..some]);
            }
        });
        assert_eq!(numbers, [500; 37], "{helpers} helpers");
    }
}

#[test]
fn passes_at_once_do_not_mix() {
    let each: Vec<_> = (0..6)
        .map(|helpers| {
            thread::spawn(move || {
                let mut numbers = vec![helpers; 20];
                for _ in 0..20 {
                    pass(helpers % 3, || (0..20).for_each(|_| add_one(&mut numbers)));
                }
                assert_eq!(numbers, [helpers + 400; 20]);
            })
        })
        .collect();
    for thread in each {
        thread.join().unwrap();
    }
}

#[test]
fn helpers_that_fell_asleep_are_woken_and_those_that_finish_late_wake() {
    let mut numbers = vec![0; 4];
    pass(3, || {
        for _ in 0..5 {
            thread::sleep(3 * (SPIN + YIELD));
            let done = try_each(numbers.iter_mut(), |i, number| {
                thread::sleep(i as u32 * (SPIN + YIELD));
                *number += 1;
                Ok::<(), ()>(())
            });
            assert_eq!(done, Ok(()));
        }
    });
    assert_eq!(numbers, [5; 4]);
}

#[test]
fn a_pass_waits_for_nobody_who_has_not_come() {
    let late: Mutex<Vec<Box<dyn FnOnce() + Send>>> = Mutex::default();
    let mut numbers = vec![0; 9];
    lead(2, |help| open(&late).push(help), || add_one(&mut numbers));
    assert_eq!(numbers, [1; 9]);
    // Who comes when it is over finds nothing to do.
    for help in late.into_inner().unwrap() {
        help();
    }
}

#[test]
fn the_first_error_is_given_and_what_comes_before_it_is_done() {
    for _ in 0..100 {
        let mut numbers = vec![0; 64];
        let done = pass(2, || {
            try_each(numbers.iter_mut(), |i, number| {
                *number += 1;
                if [11, 23, 60].contains(&i) {
                    Err(i)
                } else {
                    Ok(())
                }
            })
        });
        assert_eq!(done, Err(11));
        assert_eq!(numbers[..12], [1; 12]);
    }
}

#[test]
fn a_panic_of_any_task_is_the_pass_s_and_the_next_phase_goes_on() {
    for bad in [0, 7, 15] {
        let mut numbers = vec![0; 16];
        pass(2, || {
            let caught = catch_unwind(AssertUnwindSafe(|| {
                try_each(0..16, |i, _| {
                    assert_ne!(i, bad, "task {bad}");
                    Ok::<(), ()>(())
                })
            }));
            let payload = caught.expect_err("a task panicked");
            let text = payload.downcast_ref::<String>().unwrap();
            assert!(text.contains(&format!("task {bad}")), "{text}");
            add_one(&mut numbers);
        });
        assert_eq!(numbers, [1; 16]);
        let whole = catch_unwind(|| pass(1, || panic!("of the leader")));
        assert!(whole.is_err());
    }
    // The thread leads nobody any more.
    assert!(LED.with_borrow(Option::is_none));
}

#[test]
fn within_a_phase_a_thread_is_alone() {
    let mut rows = vec![vec![0; 8]; 8];
    pass(2, || {
        let done = try_each(rows.iter_mut(), |_, row| {
            let me = thread::current().id();
            try_each(row.iter_mut(), |_, x| {
                *x += 1;
                if thread::current().id() == me {
                    Ok(())
                } else {
                    Err(())
                }
            })
        });
        assert_eq!(done, Ok(()));
    });
    assert_eq!(rows, vec![vec![1; 8]; 8]);
}

#[test]
fn a_ticket_keeps_its_parts() {
    for ticket in [
        Ticket {
            phase: 0,
            first: 0,
            end: 0,
        },
        Ticket {
            phase: 1,
            first: 3,
            end: Ticket::MOST as u64,
        },
        Ticket {
            phase: (1 << 24) - 2,
            first: 5,
            end: 5,
        },
    ] {
        assert_eq!(Ticket::unpack(ticket.pack()), ticket);
        assert_ne!(ticket.pack(), Ticket::END);
    }
    assert!(Ticket::unpack(Ticket::END).is_empty());
}
