//! Keeps what was classified: each frame as PNG, each verdict with the exact bits behind it, so
//! that another machine can classify the same frames and prove that it gets the same.
//!
//! ```text
//! DIR/frame-000000.png    the frame, lossless, before any scaling
//! DIR/verdicts.jsonl      one object a line, as docs/json.md has it: seq, file, model, tokens_crc32, logits (bits) ...
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, Cursor, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, bail};
use igpt_runtime::tools::report::{hex, rfc3339};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use serde::Serialize;

use super::classify::{Classified, Classify};
use super::ranked::Ranked;
use crate::folder;
use crate::source::FrameBuffer;
use igpt_firmware_core::verdict::Score;

const VERDICTS: &str = "verdicts.jsonl";

/// Which model a line is of.
#[derive(Debug, Serialize)]
struct Model {
    name: String,
    crc32: String,
}

/// One line of `verdicts.jsonl`. Of the same frame and model file (its CRC-32 says so), two machines may
/// differ in times, in what they call the files and the model, and in a frame's place in its source
/// (`igpt verify` leaves those aside), and in nothing else.
#[derive(Debug, Serialize)]
struct Line<'a> {
    seq: u64,
    time: String,
    file: &'a str,
    source_seq: u64,
    source_file: Option<&'a str>,
    model: &'a Model,
    tokens_crc32: String,
    logits: Vec<String>,
    class: usize,
    label: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    probability: Option<f32>,
    /// A regression's.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<f32>,
    seconds: f32,
}

/// One frame to keep.
pub(super) struct Entry<'a> {
    pub(super) frame: &'a FrameBuffer,
    pub(super) classified: &'a Classified,
    /// Its own verdict, before any smoothing.
    pub(super) verdict: &'a Ranked,
    /// Time that the model took.
    pub(super) milliseconds: f32,
}

/// A directory being recorded into.
#[derive(Debug)]
pub(super) struct Recorder {
    dir: PathBuf,
    model: Model,
    verdicts: File,
    /// Length of `verdicts` up to its last whole line.
    length: u64,
    seq: u64,
    png: Vec<u8>,
}

impl Recorder {
    /// Creates the directory and its list of verdicts, to be those of `model`.
    ///
    /// # Errors
    /// When that fails, or the directory holds a recording: two must not mix.
    pub(super) fn create(dir: &Path, model: &dyn Classify) -> anyhow::Result<Self> {
        folder::create(dir)
            .with_context(|| format!("{}: cannot create the directory", dir.display()))?;
        let path = dir.join(VERDICTS);
        // Also of a link to nothing.
        if path.symlink_metadata().is_ok() {
            bail!(
                "{}: holds a recording already; name another directory",
                dir.display()
            );
        }
        let verdicts = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .with_context(|| format!("{}: cannot create", path.display()))?;
        Ok(Self {
            dir: dir.to_owned(),
            model: Model {
                name: model.name().to_owned(),
                crc32: hex(model.crc32()),
            },
            verdicts,
            length: 0,
            seq: 0,
            png: Vec::new(),
        })
    }

    /// Where it is.
    pub(super) fn describe(&self) -> String {
        self.dir.display().to_string()
    }

    /// Keeps one frame.
    ///
    /// # Errors
    /// When writing fails, a full disk for one. Neither half a picture nor half a line stays, and
    /// the next frame may succeed.
    pub(super) fn add(&mut self, entry: &Entry<'_>) -> anyhow::Result<()> {
        let Entry {
            frame,
            classified,
            verdict,
            milliseconds,
        } = *entry;
        let seq = self.seq;
        self.seq += 1;
        let file = format!("frame-{seq:06}.png");
        let path = self.dir.join(&file);
        self.png.clear();
        PngEncoder::new_with_quality(
            Cursor::new(&mut self.png),
            CompressionType::Fast,
            FilterType::Adaptive,
        )
        .write_image(
            &frame.rgb,
            frame.width,
            frame.height,
            ExtendedColorType::Rgb8,
        )
        .with_context(|| format!("{}: cannot encode", path.display()))?;
        // Never over a file that is there: it may be somebody's picture.
        let mut picture = File::create_new(&path)
            .with_context(|| format!("{}: cannot create", path.display()))?;
        if let Err(error) = picture.write_all(&self.png) {
            // If it is not even there, there is nothing to remove.
            let _ = fs::remove_file(&path);
            return Err(error).with_context(|| format!("{}: cannot write", path.display()));
        }
        let (probability, value) = match verdict.score {
            Score::Probability(probability) => (Some(probability), None),
            Score::Value(value) => (None, Some(value)),
        };
        let line = Line {
            seq,
            time: rfc3339(SystemTime::now()),
            file: &file,
            source_seq: frame.seq,
            source_file: frame.name.as_deref(),
            model: &self.model,
            tokens_crc32: hex(classified.tokens_crc32),
            logits: classified
                .logits
                .iter()
                .map(|logit| format!("{:08x}", logit.to_bits()))
                .collect(),
            class: verdict.class,
            label: &verdict.label,
            probability,
            value,
            seconds: milliseconds / 1000.0,
        };
        let mut text = serde_json::to_vec(&line)?;
        text.push(b'\n');
        if let Err(error) = self.append(&text) {
            let _ = fs::remove_file(&path);
            return Err(error)
                .with_context(|| format!("{}: cannot write", self.dir.join(VERDICTS).display()));
        }
        Ok(())
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        if let Err(error) = self.verdicts.write_all(line) {
            // Takes back what was written of it. If that fails too, the reader meets half a line.
            let _ = self.verdicts.set_len(self.length);
            let _ = self.verdicts.seek(SeekFrom::Start(self.length));
            return Err(error);
        }
        self.length += line.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Entry, Ranked, Recorder, Score, VERDICTS};
    use crate::classify::Classified;
    use crate::source::FrameBuffer;
    use crate::tests::FakeModel;

    fn verdict(label: &str, score: Score) -> Ranked {
        Ranked {
            class: 0,
            label: label.to_owned(),
            score,
            present: true,
        }
    }

    #[test]
    fn frames_come_back_to_the_pixel_and_logits_to_the_bit() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("run");
        let mut recorder = Recorder::create(&target, &FakeModel::new()).unwrap();
        let rgb: Vec<u8> = (0..5 * 3 * 3).map(|i| (i * 37 % 251) as u8).collect();
        let frame = FrameBuffer {
            width: 5,
            height: 3,
            rgb: rgb.clone(),
            seq: 9,
            ..FrameBuffer::default()
        };
        let logits = vec![1.5_f32, -0.0, f32::MIN_POSITIVE / 2.0];
        let classified = Classified {
            tokens_crc32: 0xBEEF,
            logits: logits.clone(),
            scores: vec![0.7, 0.2, 0.1],
            tokens: 0,
            reused_tokens: 0,
            changed_tokens: 0,
            exit_layer: None,
            exits: None,
            resize: Duration::ZERO,
            model: Duration::ZERO,
            recognised: None,
        };
        let likely = verdict("bag \"x\"\n", Score::Probability(0.75));
        let mut keep = |verdict| {
            let entry = Entry {
                frame: &frame,
                classified: &classified,
                verdict,
                milliseconds: 3.5,
            };
            recorder.add(&entry).unwrap();
        };
        keep(&likely);
        let measured = verdict("bag", Score::Value(-2.5));
        keep(&measured);

        let back = image::open(target.join("frame-000001.png"))
            .unwrap()
            .into_rgb8();
        assert_eq!((back.dimensions(), back.into_raw()), ((5, 3), rgb));
        let text = std::fs::read_to_string(target.join(VERDICTS)).unwrap();
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["tokens_crc32"], "0000beef");
        assert_eq!(
            (&lines[1]["model"]["name"], &lines[1]["model"]["crc32"]),
            (&"fake".into(), &"0000fa4e".into())
        );
        assert_eq!(lines[0]["label"], "bag \"x\"\n");
        assert_eq!(
            (&lines[0]["probability"], &lines[1]["value"]),
            (&0.75.into(), &(-2.5).into())
        );
        assert!(lines[0].get("value").is_none() && lines[1].get("probability").is_none());
        assert_eq!(
            (lines[1]["seq"].as_u64(), lines[1]["source_seq"].as_u64()),
            (Some(1), Some(9))
        );
        for (hex, logit) in lines[0]["logits"].as_array().unwrap().iter().zip(logits) {
            let bits = u32::from_str_radix(hex.as_str().unwrap(), 16).unwrap();
            assert_eq!(bits, logit.to_bits());
        }
    }

    #[test]
    fn a_directory_with_a_recording_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        Recorder::create(dir.path(), &FakeModel::new()).unwrap();
        let message = Recorder::create(dir.path(), &FakeModel::new())
            .expect_err("refused")
            .to_string();
        assert!(message.contains("recording already"), "{message}");
    }

    #[test]
    fn a_frame_that_cannot_be_kept_leaves_nothing_half_done() {
        let dir = tempfile::tempdir().unwrap();
        let mut recorder = Recorder::create(dir.path(), &FakeModel::new()).unwrap();
        // A directory in the picture's place: writing fails as it would on a full disk.
        std::fs::create_dir(dir.path().join("frame-000000.png")).unwrap();
        let frame = FrameBuffer {
            width: 1,
            height: 1,
            rgb: vec![1, 2, 3],
            ..FrameBuffer::default()
        };
        let classified = Classified {
            tokens_crc32: 0,
            logits: vec![0.0],
            scores: vec![1.0],
            tokens: 0,
            reused_tokens: 0,
            changed_tokens: 0,
            exit_layer: None,
            exits: None,
            resize: Duration::ZERO,
            model: Duration::ZERO,
            recognised: None,
        };
        let likely = verdict("a", Score::Probability(1.0));
        let entry = Entry {
            frame: &frame,
            classified: &classified,
            verdict: &likely,
            milliseconds: 1.0,
        };
        assert!(recorder.add(&entry).is_err());
        recorder.add(&entry).unwrap();
        let text = std::fs::read_to_string(dir.path().join(VERDICTS)).unwrap();
        assert_eq!(text.lines().count(), 1);
        assert!(text.contains("frame-000001.png") && dir.path().join("frame-000001.png").is_file());
    }
}
