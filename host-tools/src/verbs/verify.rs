//! `igpt verify`: whether two recordings of `igpt-cam` say the same, to the bit.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use igpt_runtime::image_io;
use igpt_runtime::tools::counted;
use serde::Serialize;
use serde_json::{Map, Value};

use super::print_report;
use crate::failure::{Blame, Failure};

/// The list that a recording is.
const VERDICTS: &str = "verdicts.jsonl";
/// What two recordings of the same frames may differ in: times, names, and a frame's place in its source.
const ASIDE: [&str; 6] = [
    "time",
    "elapsed",
    "seconds",
    "file",
    "source_file",
    "source_seq",
];

/// Compare two recordings of `igpt-cam --record`, frame by frame: the model's checksum, the frame's pixels and
/// tokens, every bit of its logits, the verdict.
///
/// Names and times are left aside, and so is the place that a frame had in its source. Exit code 4 if the
/// recordings differ; what differs first is named, and how many frames differ.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  igpt-cam --source photos/ --record run1/     here,
  igpt-cam --source run1/ --record run2/       there,
  igpt verify run1/ run2/                      and both computed the same")]
pub struct Args {
    /// A recording.
    #[arg(value_name = "RUN1")]
    pub first: PathBuf,
    /// Another.
    #[arg(value_name = "RUN2")]
    pub second: PathBuf,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What differs in a frame.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The frame, from 0.
    pub frame: usize,
    /// Its picture in each recording.
    pub files: [PathBuf; 2],
    /// What differs: `model.crc32`, `pixels`, `tokens_crc32`, `logits[3]`, `label` and so on.
    pub what: String,
    /// What each says.
    pub values: [String; 2],
}

/// What a comparison found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The recordings.
    pub recordings: [PathBuf; 2],
    /// Frames of each.
    pub frames: [usize; 2],
    /// Whether they say the same.
    pub equal: bool,
    /// Frames that both have and that differ.
    pub different_frames: usize,
    /// The first of them; none if only their number differs.
    pub first_difference: Option<Difference>,
}

/// Runs the verb and prints its report.
///
/// # Errors
/// Something that is no recording (bad input), recordings that differ.
pub fn run(args: &Args) -> Result<(), Failure> {
    let report = verify(args)?;
    print_report("verify", args.json, &report, |out| print(out, &report))?;
    match report.equal {
        true => Ok(()),
        false => Err(Failure::Differs(anyhow!(
            "{} and {} differ",
            args.first.display(),
            args.second.display()
        ))),
    }
}

/// Runs the verb.
///
/// # Errors
/// Something that is no recording.
pub fn verify(args: &Args) -> Result<Report, Failure> {
    let first = read(&args.first).bad_input()?;
    let second = read(&args.second).bad_input()?;
    let (mut different_frames, mut first_difference) = (0, None);
    for (frame, pair) in first.iter().zip(&second).enumerate() {
        let files = [picture(&args.first, pair.0), picture(&args.second, pair.1)];
        let found = match difference(pair.0, pair.1) {
            None => pixels(&files).bad_input()?,
            some => some,
        };
        if let Some((what, values)) = found {
            different_frames += 1;
            first_difference.get_or_insert(Difference {
                frame,
                files,
                what,
                values,
            });
        }
    }
    Ok(Report {
        recordings: [args.first.clone(), args.second.clone()],
        frames: [first.len(), second.len()],
        equal: different_frames == 0 && first.len() == second.len(),
        different_frames,
        first_difference,
    })
}

/// A recording's lines.
fn read(folder: &Path) -> anyhow::Result<Vec<Map<String, Value>>> {
    let path = folder.join(VERDICTS);
    let text = fs::read_to_string(&path).with_context(|| {
        format!(
            "{}: no recording of igpt-cam --record in {}",
            path.display(),
            folder.display()
        )
    })?;
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let at = || format!("{}: line {}", path.display(), index + 1);
        let value: Map<String, Value> = serde_json::from_str(line).with_context(at)?;
        for key in ["file", "tokens_crc32", "logits"] {
            if !value.contains_key(key) {
                return Err(anyhow!("{}: no {key}, expected a line of igpt-cam", at()));
            }
        }
        // Two that hold no bits would be equal whatever was computed.
        let logits = value.get("logits").and_then(Value::as_array);
        if !logits.is_some_and(|all| !all.is_empty() && all.iter().all(|one| logit(one).is_some()))
        {
            let found = value
                .get("logits")
                .map(Value::to_string)
                .unwrap_or_default();
            let mut short: String = found.chars().take(60).collect();
            if short.len() < found.len() {
                short.push_str(" ...");
            }
            return Err(anyhow!(
                "{}: logits: found {short}, expected at least one, each its 32 bits as 8 hexadecimal digits; \
                 record again with `igpt-cam --record`",
                at()
            ));
        }
        lines.push(value);
    }
    if lines.is_empty() {
        return Err(anyhow!(
            "{}: no frames in it, nothing to compare",
            path.display()
        ));
    }
    Ok(lines)
}

fn picture(folder: &Path, line: &Map<String, Value>) -> PathBuf {
    folder.join(line.get("file").and_then(Value::as_str).unwrap_or_default())
}

/// The first thing that two lines say differently: its name, and both.
fn difference(
    one: &Map<String, Value>,
    other: &Map<String, Value>,
) -> Option<(String, [String; 2])> {
    let theirs = other.keys().filter(|key| !one.contains_key(*key));
    let keys = one
        .keys()
        .chain(theirs)
        .filter(|key| !ASIDE.contains(&key.as_str()));
    keys.into_iter().find_map(|key| {
        let (ours, theirs) = (one.get(key), other.get(key));
        match (key.as_str(), ours, theirs) {
            // Its name is a file's name.
            ("model", Some(Value::Object(ours)), Some(Value::Object(theirs))) => {
                let of =
                    |model: &Map<String, Value>| model.get("crc32").cloned().unwrap_or_default();
                (of(ours) != of(theirs)).then(|| {
                    (
                        "model.crc32".to_owned(),
                        [of(ours).to_string(), of(theirs).to_string()],
                    )
                })
            }
            (_, Some(Value::Array(ours)), Some(Value::Array(theirs))) => entries(key, ours, theirs),
            _ => (ours != theirs).then(|| (key.clone(), [said(ours), said(theirs)])),
        }
    })
}

/// The first entry in which two lists differ, or that their lengths do.
fn entries(key: &str, ours: &[Value], theirs: &[Value]) -> Option<(String, [String; 2])> {
    let mut pairs = ours.iter().zip(theirs).enumerate();
    if let Some((index, (our, their))) = pairs.find(|(_, (a, b))| a != b) {
        let value = |entry: &Value| match key {
            "logits" => logit(entry).unwrap_or_else(|| entry.to_string()),
            _ => entry.to_string(),
        };
        return Some((format!("{key}[{index}]"), [value(our), value(their)]));
    }
    let count = |list: &[Value]| format!("{} entries", list.len());
    (ours.len() != theirs.len()).then(|| (key.to_owned(), [count(ours), count(theirs)]))
}

/// A logit as a number and as its bits.
fn logit(entry: &Value) -> Option<String> {
    let text = entry.as_str().filter(|text| text.len() == 8)?;
    let bits = u32::from_str_radix(text, 16).ok()?;
    Some(format!("{:?} ({text})", f32::from_bits(bits)))
}

fn said(value: Option<&Value>) -> String {
    value.map_or_else(|| "nothing".to_owned(), Value::to_string)
}

/// The first pixel in which two pictures differ.
fn pixels(files: &[PathBuf; 2]) -> anyhow::Result<Option<(String, [String; 2])>> {
    let [one, other] = files;
    let (one, other) = (image_io::decode_file(one)?, image_io::decode_file(other)?);
    let (width, height) = (one.width(), one.height());
    if (width, height) != (other.width(), other.height()) {
        let size = |w: usize, h: usize| format!("{w}x{h}");
        let sizes = [size(width, height), size(other.width(), other.height())];
        return Ok(Some(("size".to_owned(), sizes)));
    }
    let (ours, theirs) = (one.rgb().as_chunks::<3>().0, other.rgb().as_chunks::<3>().0);
    let found = ours.iter().zip(theirs).position(|(a, b)| a != b);
    Ok(found.and_then(|at| {
        let values = [
            format!("{:?}", ours.get(at)?),
            format!("{:?}", theirs.get(at)?),
        ];
        Some((format!("pixel ({}, {})", at % width, at / width), values))
    }))
}

fn print(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let Report {
        recordings: [first, second],
        frames: [ours, theirs],
        equal,
        different_frames,
        first_difference,
    } = report;
    let (first, second) = (first.display(), second.display());
    if *equal {
        return writeln!(
            out,
            "{first} and {second}: {}, equal to the bit",
            counted(*ours, "frame")
        );
    }
    if ours != theirs {
        writeln!(
            out,
            "{first} has {}, {second} has {theirs}",
            counted(*ours, "frame")
        )?;
    }
    let both = ours.min(theirs);
    writeln!(
        out,
        "{different_frames} of {} differ",
        counted(*both, "frame")
    )?;
    if let Some(Difference {
        frame,
        files: [one, other],
        what,
        values: [our, their],
    }) = first_difference
    {
        writeln!(out, "the first is frame {frame}: {what}")?;
        writeln!(out, "  {}: {our}", one.display())?;
        writeln!(out, "  {}: {their}", other.display())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Map<String, Value> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_recording_without_the_bits_of_its_logits_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let recording = |logits: &str| {
            let line = format!(r#"{{"file":"0.png","tokens_crc32":"0","logits":{logits}}}"#);
            fs::write(folder.path().join(VERDICTS), line).unwrap();
            read(folder.path())
        };
        assert_eq!(recording(r#"["3fc00000"]"#).unwrap().len(), 1);
        for wrong in [
            "[]",
            "null",
            "\"3fc00000\"",
            "[1.5]",
            r#"["3fc0"]"#,
            r#"["3fc00000", "zzzzzzzz"]"#,
        ] {
            let message = format!("{:#}", recording(wrong).unwrap_err());
            assert!(
                message.contains("verdicts.jsonl: line 1: logits: found"),
                "{wrong}: {message}"
            );
        }
    }

    #[test]
    fn times_and_names_are_left_aside_and_everything_else_is_compared() {
        let one = line(
            r#"{"seq":0,"time":"a","file":"x.png","source_file":"p.jpg","source_seq":3,"seconds":0.5,
                "model":{"name":"m","crc32":"1"},"logits":["3fc00000","00000000"],"label":"bag"}"#,
        );
        let mut other = one.clone();
        for key in ASIDE {
            other.insert(key.to_owned(), "else".into());
        }
        other["model"]["name"] = "n".into();
        assert_eq!(difference(&one, &other), None);
        let changed = |change: &dyn Fn(&mut Map<String, Value>)| {
            let mut other = other.clone();
            change(&mut other);
            difference(&one, &other).expect("a difference")
        };
        assert_eq!(
            changed(&|l| l["model"]["crc32"] = "2".into()).0,
            "model.crc32"
        );
        let (what, values) = changed(&|l| l["logits"][1] = "80000000".into());
        assert_eq!(what, "logits[1]", "the sign of zero counts");
        assert_eq!(values, ["0.0 (00000000)", "-0.0 (80000000)"]);
        let (what, values) = changed(&|l| l["logits"] = Value::Array(vec!["3fc00000".into()]));
        assert_eq!((what.as_str(), values[1].as_str()), ("logits", "1 entries"));
        assert_eq!(changed(&|l| l["label"] = "Bag".into()).0, "label");
        assert_eq!(changed(&|l| drop(l.remove("label"))).1[1], "nothing");
        assert_eq!(
            changed(&|l| l.insert("new".into(), 1.into()).map_or((), drop)).0,
            "new"
        );
    }
}
