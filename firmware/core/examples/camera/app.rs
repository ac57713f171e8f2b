//! The app: the camera's side fills the queue, the other side empties it, on one clock.

use alloc::boxed::Box;
use core::fmt;
use core::time::Duration;

use igpt_firmware_core::overlay::{Bar, Mood, Panel, Picture, PictureError, Saved};
use igpt_firmware_core::pipeline::{Action, Event, Pipeline, RetryPolicy, UnexpectedEvent};
use igpt_firmware_core::queue::FrameQueue;
use igpt_firmware_core::verdict::{
    FilterError, FilterSettings, ProblemType, Score, Verdict, VerdictFilter,
};
use igpt_kernels::NonFinite;

use crate::classifier::{CLASSES, Classifier};
use crate::log::set_time;
use crate::notes;
use crate::scene::{Camera, Frame, HEIGHT, News, Pattern, WIDTH};
use crate::screen::Screen;

/// Frame buffers: one being filled, one being looked at, one in between.
const BUFFERS: usize = 3;
/// Frames that are averaged.
const WINDOW: usize = 3;
/// The model is slow until this frame, so that frames are dropped.
const SLOW_UNTIL: u32 = 20;

/// What can go wrong: nothing of it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// In the order of events.
    #[error(transparent)]
    Event(#[from] UnexpectedEvent),
    /// In a frame's probabilities.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// In a frame's brightness.
    #[error("{0}")]
    Rows(NonFinite),
    /// In a frame's size.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// A buffer was lost, or one too many was there.
    #[error("the queue refused a buffer of its own")]
    Buffer,
}

/// Where lines go.
type Print<'a> = &'a mut dyn FnMut(fmt::Arguments<'_>);

struct App {
    now: Duration,
    camera: Camera,
    queue: FrameQueue<&'static mut Frame, BUFFERS>,
    pipeline: Pipeline,
    classifier: Classifier,
    filter: VerdictFilter<CLASSES, WINDOW>,
    screen: Screen,
    /// Until the camera has no more frames.
    capturing: bool,
}

/// Runs the film to its end.
pub(crate) fn run(print: Print<'_>) -> Result<(), Trouble> {
    notes::crash_loop(print);
    let mut app = App::new()?;
    loop {
        while app.capturing && app.camera.due() <= app.now {
            app.capture(print)?;
        }
        if let Some(frame) = app.queue.take_newest() {
            let judged = app.judge(frame, print);
            app.queue.give_back(frame).map_err(|_| Trouble::Buffer)?;
            judged?;
        } else if app.capturing {
            app.now = app.camera.due();
            set_time(app.now);
        } else if app.event(Event::Drained)? == Action::Finish {
            return app.summary(print);
        }
    }
}

impl App {
    fn new() -> Result<Self, Trouble> {
        let settings = FilterSettings {
            window: WINDOW,
            hysteresis: 0.1,
            threshold: 0.75,
        };
        let queue = FrameQueue::new();
        for _ in 0..BUFFERS {
            let buffer: &'static mut Frame = Box::leak(Box::new(Frame::new()));
            queue.supply(buffer).map_err(|_| Trouble::Buffer)?;
        }
        Ok(Self {
            now: Duration::ZERO,
            camera: Camera::new(),
            queue,
            pipeline: Pipeline::new(RetryPolicy::default()),
            classifier: Classifier::new(),
            filter: VerdictFilter::new(CLASSES, ProblemType::SingleLabel, settings)?,
            screen: Screen::new(),
            capturing: true,
        })
    }

    fn event(&mut self, event: Event) -> Result<Action, UnexpectedEvent> {
        self.pipeline.handle(event, self.now)
    }

    /// Takes what the camera has: on a board, the work of an interrupt.
    fn capture(&mut self, print: Print<'_>) -> Result<(), Trouble> {
        let event = match self.camera.news() {
            News::Ready => Event::SourceReady,
            News::Frame => {
                let frame = self.queue.take_empty().ok_or(Trouble::Buffer)?;
                self.camera.read(frame);
                self.queue.publish(frame).map_err(|_| Trouble::Buffer)?;
                Event::Captured
            }
            News::Failed => Event::SourceFailed { retryable: true },
            News::End => Event::SourceEnded,
        };
        match self.event(event)? {
            Action::Reopen { at } => {
                self.camera.reopen(at);
                self.filter.reset();
                self.show_lost(at, print);
            }
            Action::Drain | Action::Finish => self.capturing = false,
            Action::Continue => {}
        }
        Ok(())
    }

    /// One frame's way after the queue.
    fn judge(&mut self, frame: &Frame, print: Print<'_>) -> Result<(), Trouble> {
        let took = Duration::from_millis(if frame.number < SLOW_UNTIL { 90 } else { 20 });
        let probabilities = self.classifier.classify(frame).map_err(Trouble::Rows)?;
        self.now += took;
        set_time(self.now);
        let verdict = self.filter.push(&probabilities)?;
        self.event(Event::Classified)?;
        let drawn = self.show(frame, verdict, took)?;
        let class = Pattern::ALL[usize::from(verdict.class)].name();
        let sure = if verdict.sure { "sure" } else { "unsure" };
        let sum = checksum(&probabilities);
        defmt::info!("frame {=u32}: {=str}, {}", frame.number, class, verdict);
        print(format_args!(
            "frame {:2}: {class:8} {:>8} {sure:6}  probabilities {sum:08x}  picture {drawn:08x}",
            frame.number, verdict.score
        ));
        Ok(())
    }

    /// Draws a frame with its verdict; returns the picture's checksum.
    fn show(&mut self, frame: &Frame, verdict: Verdict, took: Duration) -> Result<u32, Trouble> {
        let average = self.filter.average();
        let bars: [Bar<'_>; CLASSES] = core::array::from_fn(|class| Bar {
            label: Pattern::ALL[class].name(),
            score: Score::Probability(average.get(class).copied().unwrap_or_default()),
            marked: class == usize::from(verdict.class),
        });
        let class = Pattern::ALL[usize::from(verdict.class)].name();
        let (headline, mood) = match verdict.sure {
            true => (class, Mood::Sure),
            false => ("unsure", Mood::Unsure),
        };
        let panel = Panel {
            headline,
            mood,
            score: Some(verdict.score),
            bars: &bars,
            milliseconds: took.as_secs_f32() * 1000.0,
            frames_per_second: 1.0 / took.as_secs_f32(),
            dropped: self.queue.counters().dropped,
            saved: Saved::default(),
            model: "64 cells",
        };
        let picture = Picture::new(&frame.rgb, WIDTH as u32, HEIGHT as u32)?;
        Ok(self.screen.show(Some(&picture), &panel))
    }

    fn show_lost(&mut self, at: Duration, print: Print<'_>) {
        let panel = Panel {
            headline: "no signal",
            mood: Mood::Lost,
            score: None,
            bars: &[],
            milliseconds: 0.0,
            frames_per_second: 0.0,
            dropped: self.queue.counters().dropped,
            saved: Saved::default(),
            model: "64 cells",
        };
        let drawn = self.screen.show(None, &panel);
        print(format_args!(
            "no signal, to be opened again at {} ms  picture {drawn:08x}",
            at.as_millis()
        ));
    }

    fn summary(&self, print: Print<'_>) -> Result<(), Trouble> {
        print(format_args!("{:?}", self.queue.counters()));
        print(format_args!("{:?}", self.pipeline.counters()));
        print(format_args!(
            "{} at {} ms",
            self.pipeline.state(),
            self.now.as_millis()
        ));
        Ok(())
    }
}

/// Of every bit of the numbers.
fn checksum(numbers: &[f32]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    for number in numbers {
        sum.update(&number.to_bits().to_le_bytes());
    }
    sum.finalize()
}
