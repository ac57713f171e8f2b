//! The whole app with a stand-in for the model: faults in the source, in the outputs, in the
//! model; the end while everything is blocked.

mod heads;
mod rig;

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

pub(super) use rig::FakeModel;

use super::exit::Failure;
use igpt_firmware_core::pipeline::Cause;
use rig::{Closed, Disk, Rig, Step, Text, frames, opener, truncated, unplugged};

#[test]
fn every_frame_of_a_finite_source_is_classified_in_order() {
    let out = Text::default();
    let mut rig = Rig::new(&out);
    rig.model.pause = Duration::from_millis(2);
    let summary = rig.run(opener(false, vec![frames(20)])).unwrap();
    assert_eq!(summary.cause, Cause::EndOfStream);
    assert_eq!(
        (
            summary.queue.produced,
            summary.queue.consumed,
            summary.queue.dropped
        ),
        (20, 20, 0)
    );
    assert_eq!(
        (summary.counters.captured, summary.counters.classified),
        (20, 20)
    );
    let text = out.read();
    let order: Vec<u64> = text
        .lines()
        .map(|line| line.split_whitespace().next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(order, (0..20).collect::<Vec<_>>());
}

#[test]
fn a_live_source_never_waits_and_every_drop_is_counted() {
    let out = Text::default();
    let mut rig = Rig::new(&out);
    rig.model.pause = Duration::from_millis(20);
    let steps = (0..60)
        .flat_map(|n| [Step::Frame(n), Step::Pause(Duration::from_millis(1))])
        .collect();
    let begun = Instant::now();
    let summary = rig.run(opener(true, vec![steps])).unwrap();
    assert!(
        begun.elapsed() < Duration::from_millis(60 * 20),
        "the model set the pace"
    );
    assert_eq!(summary.queue.produced, 60);
    assert!(summary.queue.dropped > 30, "{:?}", summary.queue);
    assert!(summary.queue.balanced() && summary.queue.queued == 0);
    assert_eq!(summary.queue.consumed, summary.counters.classified);
    let text = out.read();
    let dropped: u64 = text
        .lines()
        .filter_map(|line| {
            line.strip_suffix(" dropped")?
                .rsplit(' ')
                .next()?
                .parse::<u64>()
                .ok()
        })
        .sum();
    assert_eq!(
        dropped, summary.queue.dropped,
        "each drop is shown beside a verdict:\n{text}"
    );
}

#[test]
fn an_unplugged_camera_is_opened_again_and_its_frames_go_on_counting() {
    let out = Text::default();
    let labels = Arc::new(Mutex::new(Vec::new()));
    let mut rig = Rig::new(&out);
    rig.options.no_drop = Some(true);
    rig.sinks.push(Box::new(Disk {
        full: |_| false,
        shown: 0,
        labels: Arc::clone(&labels),
    }));
    let first = vec![
        Step::Frame(1),
        Step::Frame(1),
        Step::Pause(Duration::from_millis(50)),
        Step::Fail(unplugged),
    ];
    let summary = rig
        .run(opener(
            true,
            vec![first, vec![Step::Fail(unplugged)], frames(3)],
        ))
        .unwrap();
    assert_eq!(
        (
            summary.counters.source_losses,
            summary.counters.source_recoveries
        ),
        (2, 2)
    );
    assert_eq!(summary.counters.classified, 5);
    assert!(
        labels
            .lock()
            .unwrap()
            .iter()
            .any(|label| label == "no signal"),
        "the screen says so"
    );
    let text = out.read();
    assert!(
        text.lines().last().unwrap().trim_start().starts_with('4'),
        "numbers go on after the gap:\n{text}"
    );
}

#[test]
fn a_camera_that_does_not_come_back_is_given_up_by_name() {
    let out = Text::default();
    let steps = vec![Step::Frame(0), Step::Fail(unplugged)];
    let failure = Rig::new(&out)
        .run(opener(true, vec![steps]))
        .expect_err("given up");
    assert!(matches!(failure, Failure::Source(_)), "{failure:?}");
    assert!(failure.to_string().contains("/dev/video7"), "{failure}");
}

#[test]
fn a_source_that_breaks_for_good_still_gets_its_frames_classified() {
    let out = Text::default();
    let steps = vec![Step::Frame(0), Step::Frame(1), Step::Fail(truncated)];
    let failure = Rig::new(&out)
        .run(opener(false, vec![steps]))
        .expect_err("fails");
    assert_eq!(out.read().lines().count(), 2);
    assert_eq!(failure.code(), 3);
    assert!(failure.to_string().contains("film.y4m"), "{failure}");
}

#[test]
fn a_source_that_does_not_open_fails_at_once() {
    let failure = Rig::new(&Text::default())
        .run(opener(true, vec![]))
        .expect_err("fails");
    assert_eq!(failure.code(), 3);
    assert!(failure.to_string().contains("/dev/video7"), "{failure}");
}

/// Ends the run, so that a test of it fails, where the app would wait for ever.
fn run_within(limit: Duration, rig: Rig, opener: super::Opener) -> Result<super::Summary, Failure> {
    let shared = Arc::clone(&rig.shared);
    thread::spawn(move || {
        thread::sleep(limit);
        shared.request_stop();
    });
    rig.run(opener)
}

#[test]
fn a_decoder_that_panics_ends_the_run_by_name_and_loses_no_buffer() {
    for live in [false, true] {
        let out = Text::default();
        let rig = Rig::new(&out);
        let shared = Arc::clone(&rig.shared);
        let steps = vec![
            Step::Frame(0),
            Step::Pause(Duration::from_millis(50)),
            Step::Panic,
        ];
        let failure =
            run_within(Duration::from_secs(10), rig, opener(live, vec![steps])).expect_err("fails");
        assert_eq!(failure.code(), 3);
        assert!(
            failure.to_string().contains("no such marker 1"),
            "{failure}"
        );
        assert_eq!(
            out.read().lines().count(),
            1,
            "the frame before it is classified"
        );
        // Of a camera the app still holds the last frame, for a screen that shows it as lost.
        let free = std::iter::from_fn(|| shared.queue.take_free()).count();
        assert_eq!(free, super::bell::BUFFERS - usize::from(live));
    }
}

#[test]
fn a_panic_while_opening_ends_the_run_too() {
    let opener: super::Opener = Arc::new(|_| panic!("out of descriptors"));
    let failure =
        run_within(Duration::from_secs(10), Rig::new(&Text::default()), opener).expect_err("fails");
    assert_eq!(failure.code(), 3);
    assert!(
        failure.to_string().contains("out of descriptors"),
        "{failure}"
    );
}

#[test]
fn undecodable_pictures_are_passed_over_and_counted() {
    let steps = vec![
        Step::Skip,
        Step::Frame(0),
        Step::Skip,
        Step::Frame(1),
        Step::Skip,
    ];
    let summary = Rig::new(&Text::default())
        .run(opener(false, vec![steps]))
        .unwrap();
    assert_eq!(
        (summary.counters.classified, summary.counters.undecodable),
        (2, 3)
    );
}

#[test]
fn a_full_disk_is_counted_the_app_goes_on_and_says_so_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    // Pictures 0 and 3 cannot be written: something stands in their place.
    for taken in [0, 3] {
        std::fs::create_dir_all(dir.path().join(format!("frame-{taken:06}.png"))).unwrap();
    }
    let labels = Arc::new(Mutex::new(Vec::new()));
    let mut rig = Rig::new(&Text::default());
    rig.sinks.push(Box::new(Disk {
        full: |n| n % 2 == 0,
        shown: 0,
        labels: Arc::clone(&labels),
    }));
    rig.record = Some(dir.path().to_owned());
    let failure = rig.run(opener(false, vec![frames(10)])).unwrap_err();
    assert_eq!(failure.code(), 1);
    let message = failure.to_string();
    for lost in [
        "/full/0.png: no space left (5 pictures lost)",
        "frame-000000.png",
        "(2 frames lost)",
    ] {
        assert!(message.contains(lost), "{lost} is not in {message}");
    }
    assert_eq!(labels.lock().unwrap().len(), 5);
    let verdicts = std::fs::read_to_string(dir.path().join("verdicts.jsonl")).unwrap();
    assert_eq!(verdicts.lines().count(), 8);
}

#[test]
fn a_frame_that_the_model_refuses_does_not_end_the_run_but_three_in_a_row_do() {
    let mut rig = Rig::new(&Text::default());
    rig.model.fails = |seq| seq % 2 == 0;
    let summary = rig.run(opener(false, vec![frames(9)])).unwrap();
    assert_eq!((summary.counters.classified, summary.unclassified), (4, 5));

    let mut rig = Rig::new(&Text::default());
    rig.model.fails = |seq| seq >= 4;
    let failure = rig
        .run(opener(false, vec![frames(20)]))
        .expect_err("gives up");
    assert_eq!(failure.code(), 1);
    assert!(
        failure.to_string().contains("frame 6") && failure.to_string().contains("injected"),
        "{failure}"
    );
}

#[test]
fn a_stop_while_the_source_blocks_ends_at_once_with_a_summary() {
    let out = Text::default();
    let rig = Rig::new(&out);
    let shared = Arc::clone(&rig.shared);
    let stopper = thread::spawn(move || {
        thread::sleep(Duration::from_millis(100));
        shared.request_stop();
        Instant::now()
    });
    let summary = rig
        .run(opener(
            true,
            vec![vec![Step::Frame(0), Step::Frame(1), Step::Block]],
        ))
        .unwrap();
    let ended = Instant::now();
    let stopped = stopper.join().unwrap();
    assert!(ended.saturating_duration_since(stopped) < Duration::from_secs(1));
    assert_eq!(summary.cause, Cause::Requested);
    assert!(summary.counters.classified >= 1 && summary.queue.balanced());
}

#[test]
fn a_stop_while_the_source_is_lost_does_not_wait_for_the_pause() {
    let rig = Rig::new(&Text::default());
    let shared = Arc::clone(&rig.shared);
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(60));
        shared.request_stop();
    });
    // The second opening blocks for ever, inside read.
    let scripts = vec![
        vec![Step::Frame(0), Step::Fail(unplugged)],
        vec![Step::Block],
    ];
    let begun = Instant::now();
    let summary = rig.run(opener(true, scripts)).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(summary.cause, Cause::Requested);
}

#[test]
fn the_frame_limit_and_a_closed_output_end_the_run() {
    let mut rig = Rig::new(&Text::default());
    rig.options.frames = Some(3);
    let summary = rig.run(opener(false, vec![frames(50)])).unwrap();
    assert_eq!(
        (summary.counters.classified, summary.cause),
        (3, Cause::Requested)
    );

    let mut rig = Rig::new(&Text::default());
    rig.out = Box::new(Closed);
    let summary = rig.run(opener(false, vec![frames(50)])).unwrap();
    assert_eq!(
        summary.counters.classified, 1,
        "igpt-cam | head is no error and no endless run"
    );
}

#[test]
fn the_interval_paces_the_frames() {
    let mut rig = Rig::new(&Text::default());
    rig.options.interval = Some("20ms".into());
    let begun = Instant::now();
    let summary = rig.run(opener(false, vec![frames(6)])).unwrap();
    assert_eq!(summary.counters.classified, 6);
    assert!(begun.elapsed() >= Duration::from_millis(5 * 20));
}

#[test]
fn a_model_with_too_many_classes_is_refused_by_name() {
    let mut rig = Rig::new(&Text::default());
    rig.model.labels = vec![String::new(); 5000];
    let failure = rig
        .run(opener(false, vec![frames(1)]))
        .expect_err("refused");
    assert_eq!(failure.code(), 4);
    assert!(failure.to_string().contains("5000"), "{failure}");
}
