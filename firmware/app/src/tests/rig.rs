//! The rig of the app's tests: a model, a source, sinks and outputs that do as the test says.

use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::engine::{Engine, Parts};
use crate::exit::Failure;
use crate::log::{Log, LogTarget};
use crate::record::Recorder;
use crate::render::Renderer;
use crate::settings::Settings;
use crate::sink::{FrameSink, SinkError};
use crate::source::{FrameBuffer, FrameSource, ReadOutcome, Skipped, SourceError, SourceOptions};
use crate::worker::{How, Outputs, Worker};
use crate::{Classified, Classify, Opener, Options, Reporter, Shared, Summary};
use igpt_firmware_core::verdict::ProblemType;

/// The class is the picture's first byte; a multi-label one sees the class after it too.
pub(crate) struct FakeModel {
    pub(super) labels: Vec<String>,
    pub(super) problem: ProblemType,
    /// How long a frame takes.
    pub(super) pause: Duration,
    /// Frames to fail on.
    pub(super) fails: fn(u64) -> bool,
}

impl FakeModel {
    pub(crate) fn new() -> Self {
        Self {
            labels: ["zero", "one", "two"].map(str::to_owned).to_vec(),
            problem: ProblemType::SingleLabel,
            pause: Duration::ZERO,
            fails: |_| false,
        }
    }
}

impl Classify for FakeModel {
    fn labels(&self) -> &[String] {
        &self.labels
    }

    fn problem_type(&self) -> ProblemType {
        self.problem
    }

    fn name(&self) -> &str {
        "fake"
    }

    fn crc32(&self) -> u32 {
        0xFA4E
    }

    fn classify(&mut self, frame: &FrameBuffer) -> anyhow::Result<Classified> {
        thread::sleep(self.pause);
        anyhow::ensure!(!(self.fails)(frame.seq), "injected");
        let class = usize::from(frame.rgb.first().copied().unwrap_or(0)) % 3;
        let mut scores = match self.problem {
            ProblemType::Regression => vec![-7.5; 3],
            _ => vec![0.05; 3],
        };
        scores[class] = 0.9;
        if self.problem == ProblemType::MultiLabel {
            scores[(class + 1) % 3] = 0.7;
        }
        Ok(Classified {
            tokens_crc32: 1,
            logits: scores.clone(),
            scores,
            tokens: 0,
            reused_tokens: 0,
            changed_tokens: 0,
            exit_layer: None,
            exits: None,
            resize: Duration::ZERO,
            model: Duration::ZERO,
            recognised: None,
        })
    }
}

/// What a scripted source does next.
#[derive(Clone)]
pub(super) enum Step {
    Frame(u8),
    Skip,
    Fail(fn() -> SourceError),
    /// Blocks as a read of a silent pipe does.
    Block,
    Pause(Duration),
    /// Panics as a broken decoder does.
    Panic,
}

struct Script {
    steps: std::vec::IntoIter<Step>,
    on_skipped: Option<crate::source::SkipCallback>,
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
                Some(Step::Panic) => panic!("no such marker {}", self.seq),
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

pub(super) fn unplugged() -> SourceError {
    SourceError::Disconnected {
        path: "/dev/video7".into(),
    }
}

pub(super) fn truncated() -> SourceError {
    SourceError::Truncated {
        name: "film.y4m".into(),
        frame: 2,
        expected: 10,
        found: 3,
    }
}

/// One script for each opening; no more openings after the last.
pub(super) fn opener(live: bool, scripts: Vec<Vec<Step>>) -> Opener {
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
pub(super) struct Text(Arc<Mutex<Vec<u8>>>);

impl Text {
    pub(super) fn read(&self) -> String {
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
pub(super) struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A sink whose disk is full at times.
pub(super) struct Disk {
    pub(super) full: fn(usize) -> bool,
    pub(super) shown: usize,
    pub(super) labels: Arc<Mutex<Vec<String>>>,
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

pub(super) struct Rig {
    pub(super) options: Options,
    pub(super) model: FakeModel,
    pub(super) sinks: Vec<Box<dyn FrameSink>>,
    pub(super) shared: Arc<Shared>,
    pub(super) out: Box<dyn Write + Send>,
    pub(super) json: bool,
    pub(super) top_k: usize,
    pub(super) record: Option<std::path::PathBuf>,
}

impl Rig {
    pub(super) fn new(out: &Text) -> Self {
        Self {
            options: Options::default(),
            model: FakeModel::new(),
            sinks: Vec::new(),
            shared: Arc::new(Shared::new()),
            out: Box::new(out.clone()),
            json: false,
            top_k: 3,
            record: None,
        }
    }

    pub(super) fn run(self, opener: Opener) -> Result<Summary, Failure> {
        let mut settings = Settings::new(self.options, None).unwrap();
        settings.retry.first = Duration::from_millis(1);
        settings.retry.limit = Some(3);
        let reporter = Reporter::new(self.json, self.out, Box::new(io::sink()));
        let recorder = self
            .record
            .as_deref()
            .map(|dir: &Path| Recorder::create(dir, &self.model).unwrap());
        let outputs = Outputs {
            changes: None,
            reporter,
            renderer: Renderer::new(self.sinks, None),
            recorder,
        };
        let how = How {
            top_k: self.top_k,
            strict: settings.strict,
        };
        let worker = Worker::new(Box::new(self.model), outputs, how)?;
        let parts = Parts {
            settings,
            shared: self.shared,
            opener,
            worker,
            guard: None,
            log: Arc::new(Log::open(LogTarget::None).unwrap()),
            outputs: Vec::new(),
            control: None,
            errand: None,
        };
        Engine::new(parts).run()
    }
}

pub(super) fn frames(count: u8) -> Vec<Step> {
    (0..count).map(Step::Frame).collect()
}
