//! Checkpoints: safetensors, torch's zip archives, and the pickles inside them.

use std::io::{Cursor, Write as _};
use std::path::Path;

use igpt_tools::checkpoint::Checkpoint;
use zip::write::SimpleFileOptions;

use super::files::with_files;

/// Most bytes of tensors that one input may make us convert: the time of a run, not its outcome, depends on it.
const CONVERTED: usize = 1 << 16;

/// Opens the checkpoint and reads its tensors as quantisation does.
fn open(folder: &Path) -> bool {
    let Ok(checkpoint) = Checkpoint::open(folder) else {
        return false;
    };
    let mut left = CONVERTED;
    let names: Vec<String> = checkpoint.names().map(str::to_owned).collect();
    for name in names {
        let shape = checkpoint
            .shape(&name)
            .expect("a name that it gave")
            .to_vec();
        let elements: usize = shape.iter().product();
        if elements > left {
            break;
        }
        left -= elements;
        if let Ok(values) = checkpoint.to_f32(&name) {
            assert_eq!(values.len(), elements, "{name}");
        }
    }
    true
}

/// `model.safetensors`.
pub fn safetensors(data: &[u8]) -> bool {
    with_files(&[("model.safetensors", data)], open)
}

/// `pytorch_model.bin`: a zip archive with a pickle in it.
pub fn torch_zip(data: &[u8]) -> bool {
    with_files(&[("pytorch_model.bin", data)], open)
}

/// `data.pkl` of an otherwise good `pytorch_model.bin` with two storages.
pub fn torch_pickle(data: &[u8]) -> bool {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let storage = [0u8; 256];
    let entries: [(&str, &[u8]); 5] = [
        ("archive/data.pkl", data),
        ("archive/byteorder", b"little"),
        ("archive/version", b"3\n"),
        ("archive/data/0", &storage),
        ("archive/data/1", &storage[..64]),
    ];
    for (name, bytes) in entries {
        archive.start_file(name, options).expect("in memory");
        archive.write_all(bytes).expect("in memory");
    }
    let archive = archive.finish().expect("in memory").into_inner();
    with_files(&[("pytorch_model.bin", &archive)], open)
}
