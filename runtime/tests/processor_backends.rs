//! The image processor's two backends against transformers' two processors, over the same images: tokens and
//! resized pixels, on noise, slopes and pieces of photographs.
//!
//! The answers are in `tests/golden/processor/backends.json`, made by `tests/golden/processor_backends.py`.

#[allow(unreachable_pub, reason = "the end-to-end tests share it")]
#[path = "../../tests/src/images.rs"]
mod images;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use igpt_runtime::image_io;
use igpt_runtime::processor::{
    Backend, ImageGptImageProcessor, ProcessorConfig, ProcessorScratch, Resample,
};
use images::{make_image, make_palette};
use serde_json::Value;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/processor")
}

fn cases(name: &str) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(golden().join("backends.json"))?;
    let all: Value = serde_json::from_str(&text)?;
    let list = all[name].as_array().context("no such list of cases")?;
    ensure!(!list.is_empty());
    Ok(list.clone())
}

fn int(value: &Value) -> Result<usize> {
    let int = value.as_u64().map(|n| n as usize);
    int.with_context(|| format!("{value} is no integer"))
}

fn text(value: &Value) -> Result<&str> {
    value
        .as_str()
        .with_context(|| format!("{value} is no string"))
}

/// The pixels of a case, and their width and height.
fn image(case: &Value) -> Result<(Vec<u8>, usize, usize)> {
    if let Some(photo) = case["photo"].as_str() {
        let image = image_io::decode_file(golden().join(format!("photos/{photo}.png")))?;
        return Ok((image.rgb().to_vec(), image.width(), image.height()));
    }
    let (width, height) = (int(&case["width"])?, int(&case["height"])?);
    let seed = int(&case["seed"])? as u64;
    Ok((
        make_image(text(&case["image"])?, seed, width, height),
        width,
        height,
    ))
}

/// Through JSON, so that what is tested is what a checkpoint's file would do.
fn processor(case: &Value, backend: Backend) -> Result<ImageGptImageProcessor> {
    let mut config = case["config"].clone();
    config["size"] = case["size"].clone();
    let seed = int(&case["palette_seed"])? as u64;
    let clusters = make_palette(text(&case["palette"])?, seed, int(&case["colors"])?);
    config["clusters"] = serde_json::to_value(clusters)?;
    let text = config.to_string();
    Ok(ImageGptImageProcessor::from_json_as(&text, Some(backend))?)
}

#[test]
fn tokens_are_those_of_both_processors() -> Result<()> {
    let mut scratch = ProcessorScratch::default();
    let mut tokens = Vec::new();
    let mut wrong = Vec::new();
    for case in cases("tokens")? {
        let (rgb, width, height) = image(&case)?;
        for backend in Backend::ALL {
            let processor = processor(&case, backend)?;
            processor.tokens_into(&rgb, width, height, &mut scratch, &mut tokens)?;
            let bytes: Vec<u8> = tokens.iter().flat_map(|t| t.to_le_bytes()).collect();
            if u64::from(crc32fast::hash(&bytes)) != case["crc32"][backend.name()] {
                wrong.push(format!("{backend}: {case}"));
            }
            if let Some((height, width)) = processor.config().output_size() {
                assert_eq!(tokens.len(), height * width, "{backend}: {case}");
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn resizing_is_torchs_and_pillows_bit_for_bit() -> Result<()> {
    let mut scratch = ProcessorScratch::default();
    let mut wrong = Vec::new();
    for case in cases("resizes")? {
        let resample = Resample::from_code(int(&case["resample"])? as u64).context("resample")?;
        let (width, height) = (int(&case["to"][0])?, int(&case["to"][1])?);
        let mut config = ProcessorConfig::default();
        config.backend = text(&case["backend"])?.parse()?;
        config.width = width;
        config.height = height;
        config.resample = resample;
        config.do_color_quantize = false;
        let processor = ImageGptImageProcessor::new(config)?;
        let (rgb, w, h) = image(&case)?;
        let resized = processor.resized_into(&rgb, w, h, &mut scratch)?;
        assert_eq!(resized.len(), 3 * width * height);
        if u64::from(crc32fast::hash(resized)) != case["crc32"] {
            wrong.push(case.to_string());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// A test that passes because both backends do the same proves nothing about either.
#[test]
fn the_two_differ_somewhere() -> Result<()> {
    let differ = |case: &&Value| case["crc32"]["pil"] != case["crc32"]["torchvision"];
    let count = cases("tokens")?.iter().filter(differ).count();
    assert!(count > 20, "only {count} cases tell the processors apart");
    Ok(())
}
