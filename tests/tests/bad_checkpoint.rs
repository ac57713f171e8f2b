//! Checkpoints: every way of storing the same weights reads the same, and damage is refused without a panic.

use std::fs;
use std::path::{Path, PathBuf};

use igpt_tools::checkpoint::{Checkpoint, CheckpointError};
use serde_json::Value;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("golden/checkpoint")
        .join(name)
}

/// Copies a golden folder so that a test can damage it.
fn copy(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(golden(name)).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    folder
}

/// Writes a new file: ext4 flushes one that is truncated and written again, which takes milliseconds.
fn replace(path: &Path, bytes: &[u8]) {
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Opens and reads everything: what a conversion touches.
fn read_all(folder: &Path) -> Result<usize, CheckpointError> {
    let checkpoint = Checkpoint::open(folder)?;
    let mut elements = 0;
    for name in checkpoint.names() {
        elements += checkpoint.to_f32(name)?.len();
    }
    Ok(elements)
}

#[test]
fn every_format_gives_the_tensors_torch_wrote() {
    let expected: Value =
        serde_json::from_slice(&fs::read(golden("expected.json")).unwrap()).unwrap();
    let formats = [
        ("safetensors", "f32"),
        ("sharded", "f32"),
        ("bin", "f32"),
        ("bin_strided", "f32"),
        ("bin_deflated", "f32"),
        ("bin_sharded", "f32"),
        ("bin_f16", "f16"),
        ("safetensors_bf16", "bf16"),
    ];
    for (folder, dtype) in formats {
        let checkpoint = Checkpoint::open(&golden(folder)).unwrap();
        let expected = expected[dtype].as_object().unwrap();
        let names: Vec<&str> = checkpoint.names().collect();
        assert_eq!(names, expected.keys().collect::<Vec<_>>(), "{folder}");
        for (name, tensor) in expected {
            let shape: Vec<usize> = serde_json::from_value(tensor["shape"].clone()).unwrap();
            assert_eq!(
                checkpoint.shape(name),
                Some(shape.as_slice()),
                "{folder} {name}"
            );
            let values = checkpoint.to_f32(name).unwrap();
            let crc = crc32fast::hash(bytemuck::cast_slice(&values));
            assert_eq!(
                Some(u64::from(crc)),
                tensor["crc32"].as_u64(),
                "{folder} {name}"
            );
        }
    }
}

#[test]
fn a_hostile_pickle_is_refused_by_name() {
    let error = Checkpoint::open(&golden("bin_hostile")).unwrap_err();
    assert!(
        matches!(&error, CheckpointError::ForbiddenGlobal { global, .. } if global == "posix.system"),
        "{error}"
    );
    assert!(error.to_string().contains("pytorch_model.bin"), "{error}");
}

#[test]
fn truncation_at_every_length_is_an_error() {
    for (name, file) in [
        ("safetensors", "model.safetensors"),
        ("sharded", "model-00002-of-00003.safetensors"),
        ("bin", "pytorch_model.bin"),
        ("bin_deflated", "pytorch_model.bin"),
    ] {
        let folder = copy(name);
        let path = folder.path().join(file);
        let whole = fs::read(&path).unwrap();
        // Every length would be tens of thousands of opens: every 37th, and all near both ends.
        let near = (0..200).chain(whole.len() - 200..whole.len());
        for length in near.chain((0..whole.len()).step_by(37)) {
            replace(&path, &whole[..length]);
            let error =
                read_all(folder.path()).expect_err(&format!("{name} cut to {length} bytes"));
            assert!(
                error.to_string().contains(file),
                "{name} cut to {length}: {error}"
            );
        }
    }
}

/// A flipped bit in the archive is found by its CRC-32 or its structure. safetensors has no checksum, so
/// there only structure and non-finite values can be found; neither may panic.
#[test]
fn flipped_bits_never_panic_and_never_change_a_weight_of_an_archive() {
    let intact = |folder: &Path| {
        let checkpoint = Checkpoint::open(folder)?;
        let names: Vec<String> = checkpoint.names().map(str::to_owned).collect();
        names
            .iter()
            .map(|name| checkpoint.to_f32(name))
            .collect::<Result<Vec<_>, _>>()
            .map(|w| (names, w))
    };
    for (name, file, checked) in [
        ("safetensors", "model.safetensors", false),
        ("bin", "pytorch_model.bin", true),
        ("bin_deflated", "pytorch_model.bin", true),
    ] {
        let folder = copy(name);
        let path = folder.path().join(file);
        let whole = fs::read(&path).unwrap();
        let reference = intact(folder.path()).unwrap();
        for at in (0..whole.len()).step_by(11) {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << (at % 8);
            replace(&path, &damaged);
            match intact(folder.path()) {
                Ok(read) if checked => assert_eq!(read, reference, "{name}: bit of byte {at}"),
                Ok(_) => {}
                Err(error) => assert!(
                    error.to_string().contains(file),
                    "{name}: byte {at}: {error}"
                ),
            }
        }
    }
}

#[test]
fn a_folder_without_weights_or_without_itself_is_named() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(
        Checkpoint::open(folder.path()),
        Err(CheckpointError::NoWeights { .. })
    ));
    let missing = folder.path().join("nowhere");
    let error = Checkpoint::open(&missing).unwrap_err();
    assert!(
        matches!(error, CheckpointError::Io { .. }) && error.to_string().contains("nowhere"),
        "{error}"
    );
}

#[test]
fn an_index_may_not_reach_out_of_its_folder_nor_lie() {
    let folder = copy("sharded");
    let path = folder.path().join("model.safetensors.index.json");
    let index = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        index.replace("model-00001-of-00003", "../model-00001-of-00003"),
    )
    .unwrap();
    let error = Checkpoint::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("expected a plain file name"), "{error}");

    fs::write(
        &path,
        index.replace("transformer.wte.weight", "transformer.wtf.weight"),
    )
    .unwrap();
    let error = Checkpoint::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("transformer.wt"), "{error}");

    fs::remove_file(folder.path().join("model-00003-of-00003.safetensors")).unwrap();
    fs::write(&path, &index).unwrap();
    let error = Checkpoint::open(folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("model-00003-of-00003.safetensors: is not there"),
        "{error}"
    );
    // One tensor is said to be in a file that is not there, and is in one that is.
    fs::write(
        &path,
        index.replacen("model-00001-of-00003", "model-00009-of-00003", 1),
    )
    .unwrap();
    fs::write(folder.path().join("model-00003-of-00003.safetensors"), "").unwrap();
    let error = Checkpoint::open(folder.path()).unwrap_err().to_string();
    let words = "model-00009-of-00003.safetensors: is not there, and";
    assert!(
        error.contains(words) && error.contains("it holds 1 of "),
        "{error}"
    );
}

#[test]
fn a_weight_that_is_no_number_is_found() {
    let folder = copy("safetensors");
    let path = folder.path().join("model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NEG_INFINITY.to_le_bytes());
    fs::write(&path, &bytes).unwrap();
    match read_all(folder.path()).unwrap_err() {
        CheckpointError::NonFinite { value, index, .. } => {
            assert_eq!(value, f32::NEG_INFINITY);
            assert!(index > 0);
        }
        other => panic!("{other}"),
    }
}
