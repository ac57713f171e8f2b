//! The options, checked and completed: everything that can be refused is refused here, before a
//! device is touched.

use std::path::{Path, PathBuf};
use std::time::Duration;

use igpt_runtime::{Isa, StabilizerOptions};

use super::embedded::MODEL_NAME;
use super::exit::Failure;
use super::log::LogTarget;
use super::options::{NumberOrOff, Options, parse_size, parse_time};
use super::origin::{Invalid, Origin};
use crate::source::SourceOptions;
use igpt_firmware_core::events::EventSettings;
use igpt_firmware_core::pipeline::RetryPolicy;
use igpt_firmware_core::verdict::{FilterSettings, ProblemType, VerdictFilter};

/// Most classes a model may have here.
pub(super) const MAX_CLASSES: usize = 1024;
/// Most frames that can be averaged.
pub(super) const MAX_WINDOW: usize = 32;

/// The filter as the app uses it.
pub(super) type Filter = VerdictFilter<MAX_CLASSES, MAX_WINDOW>;

/// The spec of the bundled pictures.
pub(super) const SAMPLE: &str = "sample";
/// Where pictures go when nothing is asked for.
const DEFAULT_SINK: &str = "out";

/// What to do.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// Where each came from.
    pub(super) origin: Origin,
    pub(super) source: String,
    pub(super) source_options: SourceOptions,
    pub(super) drop: Option<bool>,
    pub(super) frames: Option<u64>,
    pub(super) interval: Duration,
    pub(super) retry: RetryPolicy,
    pub(super) model: Option<PathBuf>,
    /// The margin, or none; absent if nothing was said.
    pub(super) stabilize: Option<Option<f32>>,
    /// Where events go, if they are told.
    pub(super) events: Option<String>,
    pub(super) event_frames: EventSettings,
    /// Labels with probabilities of their own.
    pub(super) event_thresholds: Vec<(String, f32)>,
    /// The agreement that early exits must keep, if there are to be any.
    pub(super) exit: Option<f64>,
    pub(super) threads: Option<usize>,
    pub(super) isa: Option<Isa>,
    pub(super) state_dir: Option<PathBuf>,
    /// Where what was taught is kept, if anywhere.
    pub(super) taught: Option<PathBuf>,
    /// The control socket.
    pub(super) control: Option<PathBuf>,
    pub(super) top_k: usize,
    pub(super) threshold: Option<f32>,
    pub(super) smooth: Option<usize>,
    pub(super) hysteresis: Option<f32>,
    pub(super) sinks: Vec<String>,
    pub(super) canvas: Option<(u32, u32)>,
    pub(super) record: Option<PathBuf>,
    pub(super) json: bool,
    pub(super) strict: bool,
    pub(super) log: LogTarget,
}

/// Refuses a value that was given and is not as it must be.
fn check<T: std::fmt::Debug>(
    option: &'static str,
    value: Option<T>,
    fits: impl FnOnce(&T) -> bool,
    expected: &str,
) -> Result<(), Invalid> {
    match value {
        Some(value) if !fits(&value) => Err(Invalid::new(option, format!("{value:?}"), expected)),
        _ => Ok(()),
    }
}

/// One of the instruction sets that this machine has.
fn parse_isa(name: &str) -> Result<Isa, Invalid> {
    Isa::available()
        .find(|isa| isa.name() == name)
        .ok_or_else(|| {
            let here: Vec<&str> = Isa::available().map(Isa::name).collect();
            let expected = format!(
                "an instruction set of this machine, which has {}",
                here.join(", ")
            );
            Invalid::new("isa", format!("{name:?}"), &expected)
        })
}

/// A number that fits, or none.
fn parse_number(
    option: &'static str,
    given: &NumberOrOff,
    fits: impl FnOnce(f64) -> bool,
    expected: &str,
) -> Result<Option<f64>, Invalid> {
    let (number, found) = match given {
        NumberOrOff::Text(text) if text == "off" => return Ok(None),
        NumberOrOff::Text(text) => (text.parse().ok(), format!("{text:?}")),
        NumberOrOff::Number(number) => (Some(*number), number.to_string()),
    };
    match number {
        Some(number) if fits(number) => Ok(Some(number)),
        _ => Err(Invalid::new(option, found, expected)),
    }
}

/// A margin, or none.
fn parse_margin(margin: &NumberOrOff) -> Result<Option<f32>, Invalid> {
    let fits = |margin: f64| margin > 0.0 && margin <= 1.0;
    let expected = "a number above 0 and up to 1, such as 0.04, or off";
    let margin = parse_number("stabilize", margin, fits, expected)?;
    Ok(margin.map(|margin| margin as f32))
}

/// An agreement, or none.
fn parse_agreement(agreement: &NumberOrOff) -> Result<Option<f64>, Invalid> {
    let fits = |agreement: f64| agreement > 0.0 && agreement < 1.0;
    let expected = "a number between 0 and 1, such as 0.99, or off";
    parse_number("exit", agreement, fits, expected)
}

/// `3/5`.
fn parse_event_frames(text: &str) -> Result<EventSettings, Invalid> {
    let both = text.split_once('/');
    let both = both.and_then(|(k, n)| Some((k.trim().parse().ok()?, n.trim().parse().ok()?)));
    match both {
        Some((k, n)) if (1..=n).contains(&k) && n <= MAX_WINDOW => Ok(EventSettings { k, n }),
        _ => Err(Invalid::new(
            "event-frames",
            format!("{text:?}"),
            &format!("K/N with K from 1 to N and N up to {MAX_WINDOW}, such as 3/5"),
        )),
    }
}

/// `cat=0.8`. A label may have an equals sign in it, a number has none.
fn parse_event_threshold(text: &str) -> Result<(String, f32), Invalid> {
    let both = text.rsplit_once('=');
    let both = both.and_then(|(label, p)| Some((label.to_owned(), p.trim().parse().ok()?)));
    both.filter(|(_, p)| (0.0..=1.0).contains(p))
        .ok_or_else(|| {
            let expected = "LABEL=P with P from 0 to 1, such as cat=0.8";
            Invalid::new("event-threshold", format!("{text:?}"), expected)
        })
}

/// The options as settings, with the folder that systemd gives.
///
/// # Errors
/// As [`Settings::new`].
pub(super) fn checked(options: Options, origin: &Origin) -> Result<Settings, Failure> {
    // systemd may name several directories; ours is the first.
    let state_directory = std::env::var_os("STATE_DIRECTORY")
        .and_then(|dirs| std::env::split_paths(&dirs).next())
        .filter(|dir| !dir.as_os_str().is_empty());
    let settings = Settings::new(options, state_directory);
    let settings = settings.map_err(|invalid| Failure::Usage(origin.explain(invalid)))?;
    Ok(Settings {
        origin: origin.clone(),
        ..settings
    })
}

/// Where what was taught to a model is kept: in the folder for notes, else beside the model; of the bundled one, which lies
/// nowhere, only in that folder.
fn usual_taught(model: Option<&Path>, state_dir: Option<&Path>) -> Option<PathBuf> {
    let name = match model {
        Some(model) => PathBuf::from(model.file_name()?).with_extension("taught"),
        None => PathBuf::from(MODEL_NAME).with_extension("taught"),
    };
    match (state_dir, model) {
        (Some(folder), _) => Some(folder.join(name)),
        (None, Some(model)) => Some(model.with_file_name(name)),
        (None, None) => None,
    }
}

impl Settings {
    /// Checks the options. `state_directory` is what systemd put into the environment.
    ///
    /// # Errors
    /// For a value out of its range, or two that contradict each other.
    pub(super) fn new(options: Options, state_directory: Option<PathBuf>) -> Result<Self, Invalid> {
        let log = LogTarget::parse(options.log.as_deref().unwrap_or("text"))?;
        let mut source_options = SourceOptions::default();
        if let Some(text) = &options.size {
            source_options.size = parse_size("size", text)?;
        }
        check("frames", options.frames, |n| *n > 0, "at least 1")?;
        check("threads", options.threads, |n| *n <= 1024, "at most 1024")?;
        let stabilize = options.stabilize.as_ref().map(parse_margin).transpose()?;
        let exit = options.exit.as_ref().map(parse_agreement).transpose()?;
        let isa = options.isa.as_deref().map(parse_isa).transpose()?;
        let event_frames = options.event_frames.as_deref().map(parse_event_frames);
        let event_thresholds = options.event_threshold.unwrap_or_default();
        let event_thresholds = event_thresholds
            .iter()
            .map(|text| parse_event_threshold(text));
        let event_thresholds = event_thresholds.collect::<Result<Vec<_>, _>>()?;
        check(
            "events",
            options.events.as_deref(),
            |file| !file.is_empty(),
            "a file, or -",
        )?;
        check("top-k", options.top_k, |k| *k > 0, "at least 1")?;
        let window = format!("1 to {MAX_WINDOW}");
        check(
            "smooth",
            options.smooth,
            |n| (1..=MAX_WINDOW).contains(n),
            &window,
        )?;
        check(
            "threshold",
            options.threshold,
            |p| (0.0..=1.0).contains(p),
            "0 to 1",
        )?;
        check(
            "hysteresis",
            options.hysteresis,
            |p| (0.0..=1.0).contains(p),
            "0 to 1",
        )?;
        for (option, path) in [
            ("model", &options.model),
            ("record", &options.record),
            ("state-dir", &options.state_dir),
            ("control", &options.control),
            ("taught", &options.taught.as_ref().map(PathBuf::from)),
        ] {
            check(
                option,
                path.as_deref(),
                |path| !path.as_os_str().is_empty(),
                "a path",
            )?;
        }
        let state_dir = options.state_dir.or(state_directory);
        let taught = match options.taught.as_deref() {
            Some("off") => None,
            Some(file) => Some(PathBuf::from(file)),
            None => usual_taught(options.model.as_deref(), state_dir.as_deref()),
        };
        let drop = match (
            options.drop.unwrap_or(false),
            options.no_drop.unwrap_or(false),
        ) {
            (true, true) => {
                let expected = "one of --drop and --no-drop";
                return Err(Invalid::new("no-drop", true, expected));
            }
            (true, false) => Some(true),
            (false, true) => Some(false),
            (false, false) => None,
        };
        let bare = options.source.is_none() && options.sink.is_none();
        let sinks = options.sink.unwrap_or_else(|| {
            if bare {
                vec![DEFAULT_SINK.to_owned()]
            } else {
                Vec::new()
            }
        });
        let retry = RetryPolicy {
            limit: Some(
                options
                    .retries
                    .unwrap_or(RetryPolicy::default().limit.unwrap_or(30)),
            ),
            ..RetryPolicy::default()
        };
        Ok(Self {
            origin: Origin::default(),
            source: options.source.unwrap_or_else(|| SAMPLE.to_owned()),
            source_options,
            drop,
            frames: options.frames,
            interval: options
                .interval
                .map_or(Ok(Duration::ZERO), |text| parse_time("interval", &text))?,
            retry,
            model: options.model,
            stabilize,
            events: options.events,
            event_frames: event_frames.transpose()?.unwrap_or_default(),
            event_thresholds,
            exit: exit.flatten(),
            threads: options.threads,
            isa,
            taught,
            control: options.control,
            state_dir,
            top_k: options.top_k.unwrap_or(3),
            threshold: options.threshold,
            smooth: options.smooth,
            hysteresis: options.hysteresis,
            sinks: sinks.into_iter().filter(|sink| sink != "none").collect(),
            canvas: options
                .canvas
                .map(|text| parse_size("canvas", &text))
                .transpose()?,
            record: options.record,
            json: options.json.unwrap_or(false),
            strict: options.strict.unwrap_or(false),
            log,
        })
    }

    /// How verdicts are smoothed: a camera's frames resemble each other, a directory's need not.
    pub(super) fn filter(&self, live: bool) -> FilterSettings {
        let window = self.smooth.unwrap_or(if live { 5 } else { 1 });
        let hysteresis = self
            .hysteresis
            .unwrap_or(if window > 1 { 0.05 } else { 0.0 });
        FilterSettings {
            window,
            hysteresis,
            threshold: self.threshold.unwrap_or(0.5),
        }
    }

    /// By which margin tokens are stabilised, if they are. A recording is to be repeated frame by frame, so it is not unless
    /// it was asked for.
    pub(super) fn stabilizer(&self, live: bool) -> Option<StabilizerOptions> {
        let options = StabilizerOptions::default();
        match self.stabilize {
            Some(margin) => Some(options.with_margin(margin?)),
            None => (live && self.record.is_none()).then_some(options),
        }
    }

    /// Refuses what means nothing to such a model.
    ///
    /// # Errors
    /// For a probability to a model that gives none.
    pub(super) fn check_for(&self, problem: ProblemType, model: &str) -> Result<(), Invalid> {
        let none = format!(
            "none: it is a probability, and model {model} a regression, which gives values"
        );
        let fits = |_: &f32| problem != ProblemType::Regression;
        check("threshold", self.threshold, fits, &none)?;
        check("hysteresis", self.hysteresis, fits, &none)?;
        let one = format!(
            "none: events are of models with one label a picture, model {model} is a {}",
            match problem {
                ProblemType::Regression => "regression",
                _ => "multi-label model",
            }
        );
        let fits = |_: &String| problem == ProblemType::SingleLabel;
        check("events", self.events.clone(), fits, &one)
    }
}

#[cfg(test)]
mod tests;
