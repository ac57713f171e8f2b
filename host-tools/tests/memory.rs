//! A conversion's memory does not grow with the checkpoint, and classification takes the weights and little more. A program and a test of
//! their own: what is measured is the whole process, at its largest.
#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use igpt_runtime::{ImageGptConfig, ImageGptForImageClassification, LoadOptions};
use igpt_tools::imagegpt::tensors::body_tensors;
use igpt_tools::verbs::quantize::{Args, quantize};
use serde_json::{Map, json};

const MIB: u64 = 1 << 20;

/// A checkpoint of zeros, in shards of one block each, and its bytes. On disk it is a hole: it costs nothing to write.
fn sparse_checkpoint(folder: &Path, mut config: ImageGptConfig) -> u64 {
    config.architectures = vec!["ImageGPTForImageClassification".into()];
    fs::create_dir(folder).unwrap();
    let greys: Vec<[f32; 3]> = (0..512).map(|i| [i as f32 / 256.0 - 1.0; 3]).collect();
    let processor = json!({ "clusters": greys, "size": { "height": 32, "width": 32 } });
    fs::write(
        folder.join("preprocessor_config.json"),
        processor.to_string(),
    )
    .unwrap();
    fs::write(folder.join("config.json"), config.to_json()).unwrap();
    let mut weight_map = Map::new();
    let mut total = 0;
    let mut tensors = body_tensors(&config);
    tensors.push((
        "score.weight".into(),
        vec![config.num_labels(), config.n_embd],
    ));
    for tensors in tensors.chunks(10) {
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

/// Starts the peak again from what is in memory now, and gives that.
fn forget_peak() -> u64 {
    // proc_pid_clear_refs(5): 5 resets the high water mark.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    peak()
}

/// Frames that have nothing in common, and then ones that begin alike, of which keys and values are kept for the next.
fn classify(file: &Path, begin_alike: bool) -> u64 {
    let before = forget_peak();
    let model = ImageGptForImageClassification::load(file, &LoadOptions::default()).unwrap();
    let mut session = model.session().unwrap();
    for frame in 0..3 {
        let first = if begin_alike { 0 } else { frame };
        let mut tokens = vec![first; 1024];
        tokens[1023] = frame;
        session.classify(&tokens).unwrap();
    }
    peak() - before
}

#[test]
fn a_larger_checkpoint_takes_no_more_memory_and_classifying_little_more_than_its_weights() {
    let folder = tempfile::tempdir().unwrap();
    let convert = |layers: usize| {
        let checkpoint = folder.path().join(layers.to_string());
        let mut config = ImageGptConfig::small();
        config.n_layer = layers;
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

    // ImageGPT-small. Keys and values of all blocks would be 24 MiB by themselves.
    let file = folder.path().join("out.onnx");
    let weights = fs::metadata(&file).unwrap().len();
    let camera = classify(&file, false);
    let over = camera.saturating_sub(weights) / MIB;
    assert!(
        over < 24,
        "classification took {over} MiB more than the file"
    );
    let replay = classify(&file, true);
    let over = replay.saturating_sub(weights) / MIB;
    assert!(
        over < 48,
        "with keys and values kept, {over} MiB more than the file"
    );

    // Of calibration images only three residual streams are held, 12 bytes a token and channel, beside one chunk's activations.
    let mut config = ImageGptConfig::small();
    (config.n_layer, config.n_embd, config.n_head) = (1, 64, 1);
    let checkpoint = folder.path().join("narrow");
    let images = 32;
    let tokens = vec![0i64; images * config.n_positions];
    let streams = 12 * (tokens.len() * config.n_embd) as u64;
    let npy = folder.path().join("tokens.npy");
    write_npy(&npy, &tokens, &[images as u64, config.n_positions as u64]);
    sparse_checkpoint(&checkpoint, config);
    forget_peak();
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
