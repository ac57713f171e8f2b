//! The frames of a Motion JPEG stream, and the palette that they make.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use igpt_runtime::jpeg::{Decoder, EndMarker, JpegSplitter, Piece};
use igpt_runtime::tools::counted;
use igpt_runtime::{ImageGptImageProcessor, ProcessorConfig};

use crate::failure::{Blame as _, Failure};
use crate::kmeans::cluster;

/// Pixels that a frame may have.
const MAX_PIXELS: u32 = 1 << 26;
/// Height and width of what random weights see.
const SIDE: usize = 32;
/// Colours of the palette that random weights get: ImageGPT's.
const COLORS: usize = 512;

/// A stream's frames, as they were compressed.
#[derive(Debug)]
pub(in crate::verbs::bench) struct Frames {
    pub(super) path: PathBuf,
    pub(super) jpegs: Vec<Vec<u8>>,
    /// Pictures of the stream that cannot be decoded, and are left out.
    pub(super) broken: usize,
    pub(super) width: u32,
    pub(super) height: u32,
}

impl Frames {
    /// Reads a Motion JPEG stream.
    ///
    /// # Errors
    /// A file that cannot be read, or without a frame that can be decoded.
    pub(in crate::verbs::bench) fn read(path: &Path) -> Result<Self, Failure> {
        let name = || path.display().to_string();
        let file = File::open(path).with_context(name).bad_input()?;
        let mut splitter = JpegSplitter::new(BufReader::new(file));
        let mut frames = Self {
            path: path.to_owned(),
            jpegs: Vec::new(),
            broken: 0,
            width: 0,
            height: 0,
        };
        let (mut decoder, mut jpeg, mut rgb) = (Decoder::new(), Vec::new(), Vec::new());
        loop {
            match splitter.next(&mut jpeg).with_context(name).bad_input()? {
                Piece::Jpeg | Piece::Unended { .. } => {
                    match decoder.decode(&jpeg, MAX_PIXELS, EndMarker::Optional, &mut rgb) {
                        Ok(size) => {
                            (frames.width, frames.height) = size;
                            frames.jpegs.push(std::mem::take(&mut jpeg));
                        }
                        Err(_) => {
                            frames.broken += 1;
                            splitter.reject(&mut jpeg);
                        }
                    }
                }
                Piece::Broken { .. } => frames.broken += 1,
                Piece::Between { .. } => {}
                Piece::End => break,
            }
        }
        if frames.jpegs.len() < 2 {
            let (found, broken) = (frames.jpegs.len(), frames.broken);
            return Err(anyhow!(
                "{}: expected a Motion JPEG stream of two frames or more, found {} that can be decoded and {broken} \
                 that cannot; `ffmpeg -i FILM -c:v mjpeg -q:v 3 -f mjpeg FILE` makes one",
                path.display(),
                counted(found, "frame"),
            ))
            .bad_input();
        }
        Ok(frames)
    }

    /// The processor of a model of random weights for this stream: a palette of its own colours.
    pub(in crate::verbs::bench) fn processor(
        &self,
        seed: u64,
    ) -> Result<ImageGptImageProcessor, Failure> {
        let processor = |clusters| {
            let mut config = ProcessorConfig::new(clusters);
            // What the published sizes have positions for.
            (config.height, config.width) = (SIDE, SIDE);
            ImageGptImageProcessor::new(config).failed()
        };
        let shrink = processor(vec![[0.0; 3]])?;
        let (mut decoder, mut rgb) = (Decoder::new(), Vec::new());
        let mut pixels = Vec::new();
        for jpeg in &self.jpegs {
            let small = self.decode(&mut decoder, jpeg, &mut rgb)?;
            let small = shrink.resized(&rgb, small.0, small.1).failed()?;
            pixels.extend_from_slice(small.rgb().as_chunks::<3>().0);
        }
        let found = cluster(&pixels, COLORS, seed, |_| {});
        if found.centers.len() < COLORS {
            return Err(anyhow!(
                "{}: {} different colours in its frames of 32 x 32, expected {COLORS} or more for the palette of \
                 random weights",
                self.path.display(),
                found.centers.len()
            ))
            .bad_input();
        }
        let clusters = found.centers.iter();
        let clusters = clusters.map(|color| color.map(|x| x / 127.5 - 1.0));
        processor(clusters.collect())
    }

    /// Decodes one of them into `rgb`; its width and height.
    pub(super) fn decode(
        &self,
        decoder: &mut Decoder,
        jpeg: &[u8],
        rgb: &mut Vec<u8>,
    ) -> Result<(usize, usize), Failure> {
        let (width, height) = decoder
            .decode(jpeg, MAX_PIXELS, EndMarker::Optional, rgb)
            .with_context(|| self.path.display().to_string())
            .bad_input()?;
        Ok((width as usize, height as usize))
    }
}
