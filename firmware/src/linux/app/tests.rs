//! The whole app with a stand-in for the model: faults in the source, in the outputs, in the
//! model; the end while everything is blocked.

use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::exit::Failure;
use super::log::{Log, LogTarget};
use super::render::Renderer;
use super::settings::Settings;
use super::worker::Worker;
use super::{Classified, Classify, Engine, Opener, Options, Recorder, Reporter, Shared, Summary};
use crate::linux::sink::{FrameSink, SinkError};
use crate::linux::source::{
    FrameBuffer, FrameSource, ReadOutcome, Skipped, SourceError, SourceOptions,
};
use crate::pipeline::Cause;

/// The class is the picture's first byte.
struct FakeModel {
    labels: Vec<String>,
    /// How long a frame takes.
    pause: Duration,
    /// Frames to fail on.
    fails: fn(u64) -> bool,
}

impl FakeModel {
    fn new() -> Self {
        Self {
            labels: ["zero", "one", "two"].map(str::to_owned).to_vec(),
            pause: Duration::ZERO,
            fails: |_| false,
        }
    }
}

impl Classify for FakeModel {
    fn labels(&self) -> &[String] {
        &self.labels
    }

    fn name(&self) -> &str {
        "fake"
    }

    fn classify(&mut self, frame: &FrameBuffer) -> anyhow::Result<Classified> {
        thread::sleep(self.pause);
        anyhow::ensure!(!(self.fails)(frame.seq), "injected");
        let class = usize::from(frame.rgb.first().copied().unwrap_or(0)) % 3;
        let mut probabilities = vec![0.05; 3];
        probabilities[class] = 0.9;
        Ok(Classified {
            tokens_crc32: 1,
            logits: probabilities.clone(),
            probabilities,
            reused_tokens: 0,
        })
    }
}

/// What a scripted source does next.
#[derive(Clone)]
enum Step {
    Frame(u8),
    Skip,
    Fail(fn() -> SourceError),
    /// Blocks as a read of a silent pipe does.
    Block,
    Pause(Duration),
}

struct Script {
    steps: std::vec::IntoIter<Step>,
    on_skipped: Option<crate::linux::source::SkipCallback>,
    live: bool,
    seq: u64,
}

impl FrameSource for Script {
    fn read(&mut self, frame: &mut FrameBuffer) -> Result<ReadOutcome, SourceError> {
        loop {
            match self.steps.next() {
                None => return Ok(ReadOutcome::End),
                Some(Step::Frame(value)) => {
                    (frame.width, frame.height) = (2, 2);
                    frame.rgb = vec![value; 12];
                    frame.seq = self.seq;
                    frame.dropped_before = 0;
                    frame.name = None;
                    self.seq += 1;
                    return Ok(ReadOutcome::Frame);
                }
                Some(Step::Skip) => {
                    if let Some(tell) = &self.on_skipped {
                        tell(&Skipped {
                            name: "x.png".into(),
                            reason: "no picture".into(),
                        });
                    }
                }
                Some(Step::Fail(error)) => return Err(error()),
                Some(Step::Block) => loop {
                    thread::park();
                },
                Some(Step::Pause(pause)) => thread::sleep(pause),
            }
        }
    }

    fn describe(&self) -> String {
        "script".into()
    }

    fn is_live(&self) -> bool {
        self.live
    }
}

fn unplugged() -> SourceError {
    SourceError::Disconnected {
        path: "/dev/video7".into(),
    }
}

fn truncated() -> SourceError {
    SourceError::Truncated {
        name: "film.y4m".into(),
        frame: 2,
        expected: 10,
        found: 3,
    }
}

/// One script for each opening; no more openings after the last.
fn opener(live: bool, scripts: Vec<Vec<Step>>) -> Opener {
    let attempts = AtomicUsize::new(0);
    Arc::new(move |options: &SourceOptions| {
        let attempt = attempts.fetch_add(1, Ordering::Relaxed);
        let steps = scripts.get(attempt).cloned().ok_or_else(unplugged)?;
        Ok(Box::new(Script {
            steps: steps.into_iter(),
            on_skipped: options.on_skipped.clone(),
            live,
            seq: 0,
        }))
    })
}

/// Text that a test can read while the app writes it.
#[derive(Clone, Default)]
struct Text(Arc<Mutex<Vec<u8>>>);

impl Text {
    fn read(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A pipe whose reader has gone.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A sink whose disk is full at times.
struct Disk {
    full: fn(usize) -> bool,
    shown: usize,
    labels: Arc<Mutex<Vec<String>>>,
}

impl FrameSink for Disk {
    fn show(&mut self, rgb: &[u8], width: u32, height: u32, label: &str) -> Result<(), SinkError> {
        assert_eq!(rgb.len(), (width * height * 3) as usize);
        self.shown += 1;
        if (self.full)(self.shown) {
            return Err(SinkError::Full {
                path: "/full/0.png".into(),
            });
        }
        self.labels.lock().unwrap().push(label.to_owned());
        Ok(())
    }

    fn describe(&self) -> String {
        "disk".into()
    }
}

struct Rig {
    options: Options,
    model: FakeModel,
    sinks: Vec<Box<dyn FrameSink>>,
    shared: Arc<Shared>,
    out: Box<dyn Write + Send>,
    record: Option<std::path::PathBuf>,
}

impl Rig {
    fn new(out: &Text) -> Self {
        Self {
            options: Options::default(),
            model: FakeModel::new(),
            sinks: Vec::new(),
            shared: Arc::new(Shared::new()),
            out: Box::new(out.clone()),
            record: None,
        }
    }

    fn run(self, opener: Opener) -> Result<Summary, Failure> {
        let mut settings = Settings::new(self.options, None).unwrap();
        settings.retry.first = Duration::from_millis(1);
        settings.retry.limit = Some(3);
        let reporter = Reporter::new(false, self.out, Box::new(io::sink()));
        let recorder = self
            .record
            .as_deref()
            .map(|dir: &Path| Recorder::create(dir).unwrap());
        let renderer = Renderer::new(self.sinks, None);
        let worker = Worker::new(Box::new(self.model), renderer, recorder, reporter, 3)?;
        let log = Arc::new(Log::open(LogTarget::None).unwrap());
        Engine::new(settings, self.shared, opener, worker, None, log, Vec::new()).run()
    }
}

fn frames(count: u8) -> Vec<Step> {
    (0..count).map(Step::Frame).collect()
}

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
fn a_full_disk_is_counted_and_the_app_goes_on() {
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
    let summary = rig.run(opener(false, vec![frames(10)])).unwrap();
    assert_eq!(summary.counters.classified, 10);
    assert_eq!(summary.counters.output_failures, 5 + 2);
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
