//! A conversion's memory does not grow with the checkpoint. A program of its own: what is measured is the whole process, at
//! its largest.
#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use igpt_runtime::ImageGptConfig;
use igpt_tools::checkpoint::expected::body_tensors;
use igpt_tools::verbs::quantize::{Args, quantize};
use serde_json::{Map, json};

const MIB: u64 = 1 << 20;

/// A checkpoint of zeros, in shards of one block each, and its bytes. On disk it is a hole: it costs nothing to write.
fn sparse_checkpoint(folder: &Path, config: ImageGptConfig) -> u64 {
    let config = ImageGptConfig {
        architectures: vec!["ImageGPTModel".into()],
        ..config
    };
    fs::create_dir(folder).unwrap();
    fs::write(folder.join("config.json"), config.to_json()).unwrap();
    let mut weight_map = Map::new();
    let mut total = 0;
    for tensors in body_tensors(&config).chunks(10) {
        let file = format!("model-{}.safetensors", weight_map.len());
        let mut header = Map::new();
        let mut end = 0;
        for (name, shape) in tensors {
            let start = end;
            end += 4 * shape.iter().product::<usize>();
            let record = json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, end] });
            header.insert(name.clone(), record);
            weight_map.insert(name.clone(), file.clone().into());
        }
        let header = json!(header).to_string();
        let mut out = File::create(folder.join(&file)).unwrap();
        out.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
        out.write_all(header.as_bytes()).unwrap();
        let length = (8 + header.len() + end) as u64;
        out.set_len(length).unwrap();
        total += length;
    }
    let index = json!({ "weight_map": weight_map }).to_string();
    fs::write(folder.join("model.safetensors.index.json"), index).unwrap();
    total
}

/// The most that this process ever had in memory, pages of mapped files included.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.unwrap().trim().trim_end_matches(" kB");
    kib.parse::<u64>().unwrap() * 1024
}

#[test]
fn a_larger_checkpoint_takes_no_more_memory() {
    let folder = tempfile::tempdir().unwrap();
    let convert = |layers: usize| {
        let checkpoint = folder.path().join(layers.to_string());
        let config = ImageGptConfig {
            n_layer: layers,
            ..ImageGptConfig::small()
        };
        let bytes = sparse_checkpoint(&checkpoint, config);
        let output = folder.path().join("out.onnx");
        quantize(&Args::new(&checkpoint, &output)).unwrap();
        (bytes, peak())
    };
    let (small, after_small) = convert(2);
    let (large, after_large) = convert(24);
    assert!(large - small > 250 * MIB);
    assert!(after_small < 96 * MIB, "{} MiB", after_small / MIB);
    let grown = (after_large - after_small) / MIB;
    assert!(grown < 16, "22 blocks more took {grown} MiB more");

    // Of calibration images only three residual streams are held, 12 bytes a token and channel, beside one chunk's activations.
    let config = ImageGptConfig {
        n_layer: 1,
        n_embd: 64,
        n_head: 1,
        ..ImageGptConfig::small()
    };
    let checkpoint = folder.path().join("narrow");
    let images = 32;
    let tokens = vec![0i64; images * config.n_positions];
    let streams = 12 * (tokens.len() * config.n_embd) as u64;
    let npy = folder.path().join("tokens.npy");
    write_npy(&npy, &tokens, &[images as u64, config.n_positions as u64]);
    sparse_checkpoint(&checkpoint, config);
    quantize(&Args {
        calibrate: Some(npy),
        calibrate_images: images,
        ..Args::new(&checkpoint, folder.path().join("out.onnx"))
    })
    .unwrap();
    let calibrated = peak();
    // Every activation of these images at once would be 240 MiB.
    assert!(
        calibrated < after_large + streams + 48 * MIB,
        "calibration took {} MiB",
        calibrated / MIB
    );
}

fn write_npy(path: &Path, tokens: &[i64], shape: &[u64]) {
    use npyz::WriterBuilder as _;
    let mut file = File::create(path).unwrap();
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(shape)
        .writer(&mut file)
        .begin_nd()
        .unwrap();
    writer.extend(tokens.iter().copied()).unwrap();
    writer.finish().unwrap();
}
