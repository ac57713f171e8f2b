//! Checkpoints as training tools leave them: read with the tensors that were saved, or refused with what to do.

use std::fs;
use std::path::{Path, PathBuf};

use igpt_runtime::ImageGptConfig;
use igpt_tools::checkpoint::Checkpoint;
use igpt_tools::checkpoint::expected::{self, Head};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("golden")
        .join(name)
}

fn refusal(folder: &Path) -> String {
    let read = Checkpoint::open(folder).and_then(|checkpoint| {
        let names: Vec<String> = checkpoint.names().map(str::to_owned).collect();
        names
            .iter()
            .try_for_each(|name| checkpoint.to_f32(name).map(drop))
    });
    read.expect_err(&folder.display().to_string()).to_string()
}

#[test]
fn what_training_tools_save_gives_the_same_tensors() {
    let expected = fs::read(golden("checkpoint/expected.json")).unwrap();
    let expected: Value = serde_json::from_slice(&expected).unwrap();
    let expected = expected["f32"].as_object().unwrap();
    for folder in [
        "f64_bin",
        "f64",
        "parameters",
        "no_crc",
        "compiled",
        "protocol4",
        "safetensors_as_bin",
        "bin_as_safetensors",
        "lightning",
        "negative_bit",
        "nested",
    ] {
        let checkpoint = Checkpoint::open(&golden("training").join(folder)).unwrap();
        let names: Vec<&str> = checkpoint.names().collect();
        assert_eq!(names, expected.keys().collect::<Vec<_>>(), "{folder}");
        for (name, tensor) in expected {
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
fn what_is_not_read_says_what_to_do() {
    for (folder, words) in [
        ("legacy", "torch.save(torch.load(FILE"),
        (
            "float8",
            "`transformer.wte.weight`: its elements are float8_e4m3fn, expected f64, f32, f16 or bf16",
        ),
        (
            "conjugate_bit",
            "`transformer.wte.weight`: its elements are complex64",
        ),
        (
            "wrapped_twice",
            "once what torch.compile and the like put into names is taken off: take one of them out",
        ),
        ("two_models", "`model` and `ema` all hold a model's weights"),
        ("two_prefixes", "with `student.` and with `teacher.` before"),
        ("whole_model", "`torch.nn.modules.linear.Linear`"),
        ("whole_model", "torch.save(model.state_dict()"),
        ("extra_state", "`epoch` is an integer, expected a tensor"),
        ("script", "TorchScript"),
        (
            "lfs",
            "model.safetensors: is a Git LFS pointer, not the file: run `git lfs pull`",
        ),
    ] {
        let error = refusal(&golden("training").join(folder));
        assert!(error.contains(words), "{folder}: {error}");
    }
}

#[test]
fn weights_under_another_name_are_named() {
    for (name, words) in [
        (
            "epoch=3.ckpt",
            "; epoch=3.ckpt is there: if it holds the model's weights, rename it",
        ),
        ("my.safetensors", "rename it to model.safetensors"),
        ("adapter_model.safetensors", "merge_and_unload"),
        ("tf_model.h5", "save it again"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(name), "").unwrap();
        let error = refusal(folder.path());
        assert!(error.contains(words), "{name}: {error}");
    }
}

#[test]
fn an_index_that_is_a_pointer_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let name = "model.safetensors.index.json";
    fs::copy(
        golden("training/lfs/model.safetensors"),
        folder.path().join(name),
    )
    .unwrap();
    let error = refusal(folder.path());
    assert!(
        error.contains("index.json: is a Git LFS pointer"),
        "{error}"
    );
}

#[test]
fn a_double_beyond_float32_is_named() {
    let source = golden("training/f64/model.safetensors");
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = fs::read(source).unwrap();
    let end = bytes.len();
    bytes[end - 8..].copy_from_slice(&(-1e300f64).to_le_bytes());
    fs::write(folder.path().join("model.safetensors"), bytes).unwrap();
    let error = refusal(folder.path());
    assert!(error.contains("-1e300 at flat index"), "{error}");
    assert!(error.contains("exceeds float32's range"), "{error}");
}

/// Without checksums, as with safetensors, structure and non-finite values are all that can be found.
#[test]
fn damage_to_an_archive_without_checksums_never_panics() {
    let folder = tempfile::tempdir().unwrap();
    let whole = fs::read(golden("training/lightning/pytorch_model.bin")).unwrap();
    let plain = fs::read(golden("training/no_crc/pytorch_model.bin")).unwrap();
    for bytes in [whole, plain] {
        for at in (0..bytes.len()).step_by(23) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            let path = folder.path().join("pytorch_model.bin");
            let _ = fs::remove_file(&path);
            fs::write(&path, damaged).unwrap();
            if let Ok(checkpoint) = Checkpoint::open(folder.path()) {
                for name in checkpoint.names() {
                    let _ = checkpoint.to_f32(name);
                }
            }
        }
    }
}

/// The golden checkpoint with its tensors renamed by `rename`, and what [`expected::check`] says of it.
fn checked(rename: fn(&str) -> &str, added: &[(&str, Vec<usize>)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let weights = fs::read(golden("model/long/model.safetensors")).unwrap();
    let read = SafeTensors::deserialize(&weights).unwrap();
    let zeros = vec![0; 4096];
    let mut tensors: Vec<(String, TensorView)> = read
        .tensors()
        .into_iter()
        .map(|(name, tensor)| (rename(&name).to_owned(), tensor))
        .collect();
    for (name, shape) in added {
        let bytes = &zeros[..4 * shape.iter().product::<usize>()];
        let tensor = TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap();
        tensors.push(((*name).to_owned(), tensor));
    }
    let path = folder.path().join("model.safetensors");
    safetensors::serialize_to_file(tensors, None, &path).unwrap();
    let config = fs::read_to_string(golden("model/long/config.json")).unwrap();
    let config = ImageGptConfig::from_json(&config).unwrap();
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    match expected::check(&checkpoint, &config, Head::Causal) {
        Ok(()) => String::new(),
        Err(e) => e.to_string(),
    }
}

#[test]
fn a_tensor_that_is_too_many_or_called_otherwise_is_named_with_what_to_do() {
    assert_eq!(checked(|name| name, &[]), "");
    // A loss with weights of its own, as modules for unequal classes have.
    let message = checked(|name| name, &[("loss_fn.weight", vec![3])]);
    for words in [
        "unexpected: `loss_fn.weight` [3]",
        "take \"loss_fn.weight\" out of the state_dict and save it again",
    ] {
        assert!(message.contains(words), "{message}");
    }
    let message = checked(
        |name| match name {
            "transformer.wte.weight" => "transformer.embeddings.weight",
            name => name,
        },
        &[],
    );
    assert!(
        message.contains("weights[\"wte.weight\"] = weights.pop(\"embeddings.weight\")"),
        "{message}"
    );
}
