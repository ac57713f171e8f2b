//! Classifies Motion JPEG, as a camera or ffmpeg writes it, from standard input: `ffmpeg -i film.mp4 -f mjpeg - |
//! cargo run --release -p igpt-runtime --example stream -- MODEL`, by default with the model that the repository ships.
//!
//! Frames are decoded and made tokens in buffers that are used again: at a steady size nothing is allocated for them.

use std::io::{self, Read as _};

use igpt_runtime::jpeg::{Decoder, EndMarker};
use igpt_runtime::{ImageGptForImageClassification, LoadOptions, ProcessorScratch};

const MODEL: &str = "models/fashion-mnist/igpt-fashion-mnist-int8.onnx";
/// Largest frame that is decoded: 8 million pixels.
const MAX_PIXELS: u32 = 8_000_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args().nth(1).unwrap_or_else(|| MODEL.to_owned());
    let model = ImageGptForImageClassification::load(&file, &LoadOptions::new())?;
    let (mut session, mut decoder) = (model.session()?, Decoder::new());
    let (mut rgb, mut tokens, mut scratch) = (Vec::new(), Vec::new(), ProcessorScratch::default());

    let (mut stream, mut chunk, mut number) = (Vec::new(), [0; 1 << 14], 0);
    loop {
        let length = io::stdin().lock().read(&mut chunk)?;
        stream.extend_from_slice(&chunk[..length]);
        while let Some(frame) = next_frame(&mut stream, length == 0) {
            number += 1;
            let size = decoder.decode(&frame, MAX_PIXELS, EndMarker::Optional, &mut rgb);
            let (width, height) = match size {
                Ok((width, height)) => (width as usize, height as usize),
                // A frame that is damaged is no reason to miss the next.
                Err(error) => {
                    eprintln!("frame {number}: {error}");
                    continue;
                }
            };
            let processor = model.processor();
            processor.tokens_into(&rgb, width, height, &mut scratch, &mut tokens)?;
            for best in session.classify(&tokens)?.top_k(1) {
                println!("frame {number}: {} {}", best.score, best.label);
            }
        }
        if length == 0 {
            return Ok(());
        }
    }
}

/// Takes a frame from the front of `stream`: it is whole once the next one begins, or the stream has ended. (`igpt-cam` walks the
/// segments instead, as a thumbnail within a frame begins like a frame.)
fn next_frame(stream: &mut Vec<u8>, ended: bool) -> Option<Vec<u8>> {
    let start = |bytes: &[u8]| bytes.windows(3).position(|it| it == [0xff, 0xd8, 0xff]);
    stream.drain(..start(stream)?);
    let end = match start(&stream[1..]) {
        Some(at) => 1 + at,
        None if ended => stream.len(),
        None => return None,
    };
    Some(stream.drain(..end).collect())
}
