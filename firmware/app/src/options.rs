//! What can be asked for: one struct that is both the options of the command line and the configuration file.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::builder::PossibleValuesParser;
use igpt_runtime::Isa;
use serde::Deserialize;

use super::exit::Failure;
use super::origin::{Invalid, Origin};

/// The settings, each `None` where not given.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Options {
    /// Where frames come from: a directory of pictures and of directories with pictures, a picture, a Y4M or MJPEG file, - for
    /// standard input, a camera such as /dev/video0, pattern[:WIDTHxHEIGHT], or sample. [default: sample]
    #[arg(long, value_name = "SPEC", help_heading = "Input")]
    pub source: Option<String>,
    /// The size to ask a camera for. It may choose another near it. [default: 640x480]
    #[arg(long, value_name = "WxH", help_heading = "Input")]
    pub size: Option<String>,
    /// Stop after this many classified frames.
    #[arg(long, value_name = "N", help_heading = "Input")]
    pub frames: Option<u64>,
    /// At least this long between two classified frames, such as 500ms or 2s: saves power.
    #[arg(long, value_name = "TIME", help_heading = "Input")]
    pub interval: Option<String>,
    /// Drop frames that arrive while the model works, also from files.
    #[arg(
        long,
        num_args = 0,
        default_missing_value = "true",
        conflicts_with = "no_drop",
        help_heading = "Input"
    )]
    pub drop: Option<bool>,
    /// Classify every frame, also from a pipe: its producer waits.
    #[arg(
        long,
        num_args = 0,
        default_missing_value = "true",
        help_heading = "Input"
    )]
    pub no_drop: Option<bool>,
    /// A picture that cannot be read or classified ends the run with code 3, instead of being
    /// skipped, counted and named.
    #[arg(
        long,
        num_args = 0,
        default_missing_value = "true",
        help_heading = "Input"
    )]
    pub strict: Option<bool>,
    /// Attempts to reopen a camera that was lost, before giving up; 0 for no attempt. [default: 30]
    #[arg(long, value_name = "N", help_heading = "Input")]
    pub retries: Option<u32>,

    /// An ONNX file made with `igpt quantize --task classify` or `igpt probe`, int8, int4 or f32. Default: the
    /// bundled one, which knows ten kinds of clothing on grey 28x28 product pictures.
    #[arg(long, value_name = "FILE.onnx", help_heading = "Model")]
    pub model: Option<PathBuf>,
    /// How much nearer another colour has to be for a pixel to change its token, in the palette's scale, or off: a camera's
    /// noise then changes none, and what did not change is not computed again. Of ImageGPT only, whose palette reaches from -1 to 1.
    /// [default: 0.04 for live sources that are not recorded, else off]
    #[arg(long, value_name = "MARGIN|off", help_heading = "Model")]
    pub stabilize: Option<NumberOrOff>,
    /// Stop at the first of the model's exits whose promise is that this share of what stops gets the whole model's verdict, such as
    /// 0.99, or off. The file must have exits (`igpt probe --exits`) and promise as much. One frame in a hundred is computed to the end
    /// to see whether the promise holds here; if not, exits go off. [default: off]
    #[arg(long, value_name = "AGREEMENT|off", help_heading = "Model")]
    pub exit: Option<NumberOrOff>,
    /// Threads for the model; 0 for one a core. The result is the same for any number. [default: 0]
    #[arg(long, value_name = "N", help_heading = "Model")]
    pub threads: Option<usize>,
    /// Instruction set to use instead of the fastest the CPU has. The result is the same.
    #[arg(long, alias = "cpu", value_name = "ISA", help_heading = "Model",
          value_parser = PossibleValuesParser::new(Isa::ALL.map(Isa::name)))]
    #[serde(alias = "cpu")]
    pub isa: Option<String>,
    /// Where to note starts and keep a copy of the last model that worked. The app falls back to it
    /// from a model that cannot be loaded, and after three crashes within five minutes. Default: what systemd's StateDirectory= gives.
    #[arg(long, value_name = "DIR", help_heading = "Model")]
    pub state_dir: Option<PathBuf>,

    /// Classes to tell, likeliest first; of a regression, outputs, largest first. [default: 3]
    #[arg(long, value_name = "K", help_heading = "Verdict")]
    pub top_k: Option<usize>,
    /// Probability below which the verdict is "unsure"; of a multi-label model, from which a label is told,
    /// whatever --top-k. [default: 0.5]
    #[arg(long, value_name = "P", help_heading = "Verdict")]
    pub threshold: Option<f32>,
    /// Average over this many frames, 1 to 32. [default: 5 for live sources, 1 for files]
    #[arg(long, value_name = "N", help_heading = "Verdict")]
    pub smooth: Option<usize>,
    /// Lead that another class needs to replace the shown one, and how far what is shown may fall below the
    /// threshold. [default: 0.05 when smoothing, else 0]
    #[arg(long, value_name = "P", help_heading = "Verdict")]
    pub hysteresis: Option<f32>,

    /// Tell it as an event when what is seen has changed: one JSON object a line, appended to this file, or - for among the verdicts. A file that
    /// reaches 10 MB becomes FILE.1, in place of an older one. Of a model with one label a picture.
    #[arg(long, value_name = "FILE.jsonl|-", help_heading = "Events")]
    pub events: Option<String>,
    /// It has changed if so many of the last so many frames say the same other thing: K/N, N up to 32. [default: 3/5]
    #[arg(long, value_name = "K/N", help_heading = "Events")]
    pub event_frames: Option<String>,
    /// For events, the probability from which this label is believed, and below which a frame is of nothing known; of the others it is
    /// --threshold. May be given several times.
    #[arg(long, value_name = "LABEL=P", help_heading = "Events")]
    pub event_threshold: Option<Vec<String>>,

    /// The file of classes that were taught by showing (`igpt-cam teach`), or off. If there is one they are told instead of
    /// the model's own. Default: the model's name with .taught, in --state-dir or beside the model.
    #[arg(long, value_name = "FILE|off", help_heading = "Teaching")]
    pub taught: Option<String>,
    /// Take requests on this Unix socket, which only this user may open: `igpt-cam teach mug --control SOCKET` and its kin, or
    /// lines of JSON (docs/teaching.md).
    #[arg(long, value_name = "SOCKET", help_heading = "Teaching")]
    pub control: Option<PathBuf>,

    /// Where annotated pictures go: a framebuffer such as /dev/fb0, a directory for PNG files, or
    /// none. May be given several times. [default: ./out when there is no --source either, else none]
    #[arg(long, value_name = "SPEC", help_heading = "Output")]
    pub sink: Option<Vec<String>>,
    /// Size of the annotated pictures. Default: what suits the sink and the frame.
    #[arg(long, value_name = "WxH", help_heading = "Output")]
    pub canvas: Option<String>,
    /// Keep each classified frame as PNG, with verdicts.jsonl: the checksums of the model and of the
    /// frame's tokens, and the exact bits of its logits. The directory is itself a source, and
    /// `igpt verify` compares two of them.
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub record: Option<PathBuf>,
    /// One JSON object a line instead of text, as docs/json.md describes them.
    #[arg(
        long,
        num_args = 0,
        default_missing_value = "true",
        help_heading = "Output"
    )]
    pub json: Option<bool>,
    /// The log: text (standard error), defmt:FILE or defmt:- (binary, read with
    /// `defmt-print -e igpt-cam < FILE`; with - verdicts move to standard error), or none. [default: text]
    #[arg(long, value_name = "HOW", help_heading = "Output")]
    pub log: Option<String>,
}

/// A number, or `off`. In a file either may stand.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum NumberOrOff {
    /// As on a command line.
    Text(String),
    /// As a number in a file.
    Number(f64),
}

impl From<&str> for NumberOrOff {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// Fills what `$mine` leaves open from `$theirs`, and notes the keys that came from there.
macro_rules! fill {
    ($mine:ident, $theirs:ident, $keys:ident; $($field:ident),* $(,)?) => {
        Self { $($field: match ($mine.$field, $theirs.$field) {
            (None, Some(value)) => {
                $keys.push(stringify!($field).replace('_', "-"));
                Some(value)
            }
            (mine, _) => mine,
        }),* }
    };
}

impl Options {
    /// `self`, and where it is silent, `other`; and the keys that came from `other`.
    fn or(self, mut other: Self) -> (Self, Vec<String>) {
        // Two names of one thing.
        if self.drop.is_some() || self.no_drop.is_some() {
            (other.drop, other.no_drop) = (None, None);
        }
        let mut keys = Vec::new();
        let both = fill!(self, other, keys; source, size, frames, interval, drop, no_drop, strict,
            retries, model, stabilize, exit, events, event_frames, event_threshold, taught, control, threads, isa, state_dir, top_k, threshold, smooth,
            hysteresis, sink,
            canvas, record, json, log);
        (both, keys)
    }
}

/// The options, completed from the configuration file if there is one, and which came from there.
///
/// # Errors
/// When that file cannot be read or holds an unknown key or a wrong type.
pub(super) fn complete(
    config: Option<PathBuf>,
    options: Options,
) -> Result<(Options, Origin), Failure> {
    match config {
        None => Ok((options, Origin::default())),
        Some(path) => from_file(path, options).map_err(Failure::Usage),
    }
}

fn from_file(path: PathBuf, options: Options) -> anyhow::Result<(Options, Origin)> {
    let at = || path.display().to_string();
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("{}: cannot read the configuration", at()))?;
    let read: Options =
        toml::from_str(&text).with_context(|| format!("{}: not a valid configuration", at()))?;
    let (options, keys) = options.or(read);
    Ok((options, Origin::new(path, &text, keys)))
}

/// `640x480` as a pair.
pub(super) fn parse_size(option: &'static str, text: &str) -> Result<(u32, u32), Invalid> {
    let parsed = text
        .split_once('x')
        .and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    match parsed {
        Some((width @ 1..=8192, height @ 1..=8192)) => Ok((width, height)),
        _ => Err(Invalid::new(
            option,
            format!("{text:?}"),
            "WIDTHxHEIGHT, each 1 to 8192, such as 640x480",
        )),
    }
}

/// `500ms`, `2s`, `1.5s`, `2m`; a bare number is seconds.
pub(super) fn parse_time(option: &'static str, text: &str) -> Result<Duration, Invalid> {
    let (number, unit) = if let Some(number) = text.strip_suffix("ms") {
        (number, 0.001)
    } else if let Some(number) = text.strip_suffix('s') {
        (number, 1.0)
    } else if let Some(number) = text.strip_suffix('m') {
        (number, 60.0)
    } else {
        (text, 1.0)
    };
    number
        .trim()
        .parse::<f64>()
        .ok()
        .and_then(|number| Duration::try_from_secs_f64(number * unit).ok())
        .filter(|time| *time <= Duration::from_secs(86_400))
        .ok_or_else(|| {
            let expected = "a time up to a day, such as 500ms or 2s";
            Invalid::new(option, format!("{text:?}"), expected)
        })
}

#[cfg(test)]
mod tests;
