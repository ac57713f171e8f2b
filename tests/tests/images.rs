//! Image files of every kind against Pillow: JPEGs, the pixels libjpeg-turbo makes of them; everything else, exactly.
//!
//! The files and answers are in `tests/golden/jpeg/` and `tests/golden/images/`, made by `jpeg.py` and `images.py`.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use igpt_runtime::image_io::decode_bytes;
use igpt_runtime::jpeg::{Decoder, EndMarker};
use serde_json::Value;

/// The cases of a golden folder, each with its file.
fn cases(folder: &str, stem: &str) -> Result<Vec<(Value, Vec<u8>)>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("golden")
        .join(folder);
    let list: Value = serde_json::from_str(&std::fs::read_to_string(
        folder.join(format!("{stem}.json")),
    )?)?;
    let packed = std::fs::read(folder.join(format!("{stem}.gz")))?;
    let mut files = flate2::read::GzDecoder::new(packed.as_slice());
    let mut cases = Vec::new();
    for case in list["files"].as_array().context("no cases")? {
        let mut file = vec![0; case["bytes"].as_u64().context("bytes")? as usize];
        files.read_exact(&mut file)?;
        cases.push((case.clone(), file));
    }
    ensure!(files.read(&mut [0])? == 0, "bytes that no case names");
    Ok(cases)
}

/// What is wrong with these pixels, if anything.
fn difference(case: &Value, width: usize, height: usize, rgb: &[u8]) -> Option<String> {
    let right = case["width"] == width && case["height"] == height;
    let crc = crc32fast::hash(rgb);
    (!right || case["crc32"] != crc).then(|| format!("{case}: {width}x{height}, {crc}"))
}

/// Fails with all that is wrong, so that one run tells everything.
fn none_wrong(wrong: &[String], of: usize) {
    let list = wrong.join("\n");
    assert!(wrong.is_empty(), "{} of {of} files:\n{list}", wrong.len());
}

#[test]
fn jpegs_decode_to_pillows_pixels_or_are_refused_with_it() -> Result<()> {
    let cases = cases("jpeg", "jpegs")?;
    let mut wrong = Vec::new();
    for (case, file) in &cases {
        match (decode_bytes(file), case["crc32"].is_null()) {
            (Ok(image), false) => {
                wrong.extend(difference(case, image.width(), image.height(), image.rgb()));
            }
            (Ok(_), true) => wrong.push(format!("{case}: decoded")),
            (Err(error), false) => wrong.push(format!("{case}: {error}")),
            (Err(_), true) => {}
        }
    }
    ensure!(cases.len() > 500);
    none_wrong(&wrong, cases.len());
    Ok(())
}

#[test]
fn a_streams_frames_are_the_same_pixels_with_or_without_their_end_markers() -> Result<()> {
    let (mut decoder, mut rgb) = (Decoder::new(), Vec::new());
    let (mut wrong, mut count) = (Vec::new(), 0);
    for (case, file) in cases("jpeg", "jpegs")? {
        // Those that end with their marker; arithmetic coding cannot tell a cut from an end.
        let Some(open) = file.strip_suffix(b"\xff\xd9") else {
            continue;
        };
        let name = case["name"].as_str().context("name")?;
        let frames = [file.as_slice(), open];
        let frames = &frames[..if name.contains("arithmetic") { 1 } else { 2 }];
        let partial = ["scans dc", "scans rough"]
            .iter()
            .any(|kind| name.ends_with(kind));
        for (index, frame) in frames.iter().enumerate() {
            count += 1;
            match decoder.decode(frame, 1 << 20, EndMarker::Optional, &mut rgb) {
                Ok((width, height)) => {
                    ensure!(!(partial && index == 1), "{name}: scans may be missing");
                    wrong.extend(difference(&case, width as usize, height as usize, &rgb));
                }
                // Without the marker nothing says that these lack scans on purpose.
                Err(_) if partial && index == 1 => {}
                Err(error) => wrong.push(format!("{case}: {error}")),
            }
        }
    }
    none_wrong(&wrong, count);
    Ok(())
}

#[test]
fn every_other_kind_of_image_decodes_to_pillows_pixels() -> Result<()> {
    let cases = cases("images", "images")?;
    let mut wrong = Vec::new();
    for (case, file) in &cases {
        match decode_bytes(file) {
            Ok(image) => wrong.extend(difference(case, image.width(), image.height(), image.rgb())),
            Err(error) => wrong.push(format!("{case}: {error}")),
        }
    }
    ensure!(cases.len() > 300);
    none_wrong(&wrong, cases.len());
    Ok(())
}
