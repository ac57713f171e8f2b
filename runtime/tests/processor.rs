//! The image processor against Hugging Face's PIL backend, and image files against Pillow.
//!
//! The answers are in `tests/golden/processor/`, made by `tests/golden/processor.py`; the images
//! and palettes are made here, by the generator that the script uses.

#[allow(unreachable_pub, reason = "the end-to-end tests share it")]
#[path = "../../tests/src/images.rs"]
mod images;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use igpt_runtime::image_io;
use igpt_runtime::processor::{
    ImageGptImageProcessor, ProcessorConfig, ProcessorScratch, Resample,
};
use images::{make_image, make_palette};
use serde_json::Value;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/processor")
}

fn cases(name: &str) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(golden().join("processor.json"))?;
    let all: Value = serde_json::from_str(&text)?;
    let list = all[name]
        .as_array()
        .context("no such list of cases")?
        .clone();
    ensure!(!list.is_empty());
    Ok(list)
}

fn int(case: &Value, key: &str) -> Result<usize> {
    case[key]
        .as_u64()
        .map(|n| n as usize)
        .with_context(|| format!("{key} of {case}"))
}

fn at(list: &Value, index: usize) -> Result<usize> {
    list[index]
        .as_u64()
        .map(|n| n as usize)
        .with_context(|| format!("{list}[{index}]"))
}

fn image(case: &Value) -> Result<(Vec<u8>, usize, usize)> {
    let (w, h) = (int(case, "width")?, int(case, "height")?);
    let kind = case["image"].as_str().context("image")?;
    Ok((make_image(kind, int(case, "seed")? as u64, w, h), w, h))
}

fn processor(
    clusters: Vec<[f64; 3]>,
    size: &Value,
    options: &Value,
) -> Result<ImageGptImageProcessor> {
    // Through JSON, so that what is tested is what a checkpoint's file would do.
    let mut config = options.clone();
    config["size"] = size.clone();
    config["clusters"] = serde_json::to_value(clusters)?;
    Ok(ImageGptImageProcessor::from_json(&config.to_string())?)
}

fn crc_of_tokens(tokens: &[u16]) -> u32 {
    let bytes: Vec<u8> = tokens.iter().flat_map(|t| t.to_le_bytes()).collect();
    crc32fast::hash(&bytes)
}

/// The stored tokens of a case short enough to have any.
fn stored(case: &Value) -> Result<Option<Vec<u16>>> {
    if case["tokens"].is_null() {
        return Ok(None);
    }
    let (start, count) = (at(&case["tokens"], 0)?, at(&case["tokens"], 1)?);
    let bytes = std::fs::read(golden().join("tokens.bin"))?;
    let bytes = bytes
        .get(2 * start..2 * (start + count))
        .context("tokens.bin is short")?;
    Ok(Some(
        bytes
            .chunks_exact(2)
            .map(|b| u16::from_le_bytes([b[0], b[1]]))
            .collect(),
    ))
}

#[test]
fn tokens_are_hugging_faces() -> Result<()> {
    let mut scratch = ProcessorScratch::default();
    let mut tokens = Vec::new();
    for case in cases("tokens")? {
        let kind = case["palette"].as_str().context("palette")?;
        let clusters = make_palette(
            kind,
            int(&case, "palette_seed")? as u64,
            int(&case, "colors")?,
        );
        let processor = processor(clusters, &case["size"], &case["config"])?;
        let (rgb, w, h) = image(&case)?;
        processor.tokens_into(&rgb, w, h, &mut scratch, &mut tokens)?;
        if let Some(expected) = stored(&case)? {
            assert_eq!(tokens, expected, "{case}");
        }
        assert_eq!(u64::from(crc_of_tokens(&tokens)), case["crc32"], "{case}");
    }
    Ok(())
}

#[test]
fn resizing_is_pillows_bit_for_bit() -> Result<()> {
    let mut scratch = ProcessorScratch::default();
    for case in cases("resizes")? {
        let (width, height) = (at(&case["to"], 0)?, at(&case["to"], 1)?);
        let resample = Resample::from_code(int(&case, "resample")? as u64).context("resample")?;
        let mut config = ProcessorConfig::default();
        config.width = width;
        config.height = height;
        config.resample = resample;
        config.do_color_quantize = false;
        let processor = ImageGptImageProcessor::new(config)?;
        let (rgb, w, h) = image(&case)?;
        let resized = processor.resized_into(&rgb, w, h, &mut scratch)?;
        assert_eq!(resized.len(), 3 * width * height);
        assert_eq!(u64::from(crc32fast::hash(resized)), case["crc32"], "{case}");
    }
    Ok(())
}

#[test]
fn files_decode_as_pillow_does() -> Result<()> {
    let processor = processor(
        make_palette("random", 7, 512),
        &Value::from(14),
        &serde_json::json!({}),
    )?;
    for case in cases("files")? {
        let name = case["file"].as_str().context("file")?;
        let image = image_io::decode_file(golden().join(name))?;
        let size = (int(&case, "width")?, int(&case, "height")?);
        assert_eq!((image.width(), image.height()), size, "{name}");
        let tokens = processor.tokens_from_image(&image)?;
        let expected = stored(&case)?.context("no tokens")?;
        assert_eq!(
            u64::from(crc32fast::hash(image.rgb())),
            case["crc32"],
            "{name}"
        );
        assert_eq!(tokens, expected, "{name}");
    }
    Ok(())
}
