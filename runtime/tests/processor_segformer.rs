//! The SegFormer image processor's two backends against transformers' two processors: pixel values, bit for bit.
//!
//! The answers are in `tests/golden/processor/segformer.json`, made by `tests/golden/processor_segformer.py`.

#[allow(unreachable_pub, dead_code, reason = "the end-to-end tests share it")]
#[path = "../../tests/src/images.rs"]
mod images;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use igpt_runtime::processor::Backend;
use igpt_runtime::{SegformerImageProcessor, image_io};
use images::make_image;
use serde_json::Value;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/processor")
}

/// The pixels of a case, and their width and height.
fn image(case: &Value) -> Result<(Vec<u8>, usize, usize)> {
    if let Some(photo) = case["photo"].as_str() {
        let image = image_io::decode_file(golden().join(format!("photos/{photo}.png")))?;
        return Ok((image.rgb().to_vec(), image.width(), image.height()));
    }
    let int = |key: &str| case[key].as_u64().context("an integer");
    let (width, height) = (int("width")? as usize, int("height")? as usize);
    let kind = case["image"].as_str().context("a kind of image")?;
    Ok((make_image(kind, int("seed")?, width, height), width, height))
}

#[test]
fn pixel_values_are_those_of_both_processors() -> Result<()> {
    let text = std::fs::read_to_string(golden().join("segformer.json"))?;
    let all: Value = serde_json::from_str(&text)?;
    let cases = all["cases"].as_array().context("cases")?;
    let (mut wrong, mut differ) = (Vec::new(), 0);
    for case in cases {
        let (rgb, width, height) = image(case)?;
        for backend in Backend::ALL {
            let config = case["config"].to_string();
            let processor = SegformerImageProcessor::from_json_as(&config, Some(backend))?;
            let values = processor.pixel_values(&rgb, width, height)?;
            let (rows, columns) = processor.size();
            assert_eq!(case["shape"], serde_json::json!([3, rows, columns]));
            let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
            if u64::from(crc32fast::hash(&bytes)) != case["crc32"][backend.name()] {
                wrong.push(format!("{backend}: {case}"));
            }
            // What it writes reads back as the same processor.
            let again = SegformerImageProcessor::from_json(&processor.to_json())?;
            assert_eq!(again.config(), processor.config());
        }
        differ += usize::from(case["crc32"]["pil"] != case["crc32"]["torchvision"]);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // A test that passes because both backends do the same proves nothing about either.
    assert!(differ > 20, "only {differ} cases tell the processors apart");
    Ok(())
}
