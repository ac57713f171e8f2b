//! `igpt quantize`: the file it writes is the one onnxruntime was given for the golden outputs, and what it
//! cannot convert it refuses by name.

use std::fs;
use std::path::{Path, PathBuf};

use igpt_tools::failure::Failure;
use igpt_tools::onnx::{Dtype, Task};
use igpt_tools::verbs::quantize::{Args, Report, quantize};
use serde_json::{Value, json};
use tempfile::TempDir;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("golden")
        .join(name)
}

fn convert(
    checkpoint: &Path,
    to: &Path,
    task: Option<Task>,
    dtype: Dtype,
) -> Result<Report, Failure> {
    quantize(&Args {
        task,
        dtype,
        ..Args::new(checkpoint.to_owned(), to.to_owned())
    })
}

/// The message of a refusal, which must blame the input and leave no file behind.
fn refusal(checkpoint: &Path, task: Option<Task>, dtype: Dtype) -> String {
    let folder = tempfile::tempdir().unwrap();
    let failure = convert(checkpoint, &folder.path().join("out.onnx"), task, dtype).unwrap_err();
    assert!(matches!(failure, Failure::BadInput(_)), "{failure}");
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        0,
        "left something behind"
    );
    failure.to_string()
}

/// A copy of the golden checkpoint whose `file` is changed by `edit`.
fn edited(file: &str, edit: impl FnOnce(&mut Value)) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(golden("checkpoint/safetensors")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    let path = folder.path().join(file);
    let mut value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    edit(&mut value);
    fs::write(&path, value.to_string()).unwrap();
    folder
}

/// The golden outputs of onnxruntime were computed from this graph, these functions and these weights. If
/// the writer changes them, tests/golden/model.py has to be run again.
#[test]
fn the_file_is_the_one_onnxruntime_ran() {
    let bodies: Value =
        serde_json::from_slice(&fs::read(golden("model/bodies.json")).unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (case, crc) in bodies.as_object().unwrap() {
        let path = folder.path().join("out.onnx");
        convert(&golden("model").join(case), &path, None, Dtype::Int8).unwrap();
        let file = fs::read(&path).unwrap();
        let find = |text: &str| {
            file.windows(text.len())
                .position(|window| window == text.as_bytes())
                .unwrap()
        };
        let body = &file[find("transformer.embed")..find("igpt.format")];
        assert_eq!(
            Some(u64::from(crc32fast::hash(body))),
            crc.as_u64(),
            "{case}: run tests/golden/model.py"
        );
    }
}

/// What a file consists of besides the version that wrote it: graph, weights, functions and metadata up to the recipe; the
/// recipe without its producer; the source and what follows it, short of the checksum.
fn without_the_version(file: &[u8]) -> [Vec<u8>; 3] {
    let find = |text: &str| {
        file.windows(text.len())
            .position(|window| window == text.as_bytes())
            .unwrap_or_else(|| panic!("no {text} in the file"))
    };
    let (graph, recipe, source) = (
        find("transformer.embed"),
        find("igpt.recipe"),
        find("igpt.source"),
    );
    let text = &file[recipe..source];
    let brace = |b: u8| text.iter().position(|byte| *byte == b).unwrap();
    let mut fields: Value = serde_json::from_slice(&text[brace(b'{')..=brace(b'}')]).unwrap();
    let producer = fields.as_object_mut().unwrap().remove("producer");
    assert!(producer.unwrap().as_str().unwrap().starts_with("igpt "));
    [
        file[graph..recipe].to_vec(),
        fields.to_string().into_bytes(),
        file[source..file.len() - 24].to_vec(),
    ]
}

/// Conversion is deterministic on any CPU, so what a board embeds can be compared with the checkpoint beside it.
#[test]
fn the_embedded_file_is_the_shipped_checkpoint_converted() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/fashion-mnist");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.onnx");
    convert(&models.join("clf"), &path, None, Dtype::Int8).unwrap();
    let embedded = fs::read(models.join("igpt-fashion-mnist-int8.onnx")).unwrap();
    let parts = ["graph, weights or configuration", "recipe", "source"];
    let converted = without_the_version(&fs::read(&path).unwrap());
    for ((part, a), b) in parts
        .iter()
        .zip(&converted)
        .zip(&without_the_version(&embedded))
    {
        assert!(
            a == b,
            "models/fashion-mnist/igpt-fashion-mnist-int8.onnx is stale, its {part} differs: \
             igpt quantize models/fashion-mnist/clf -o models/fashion-mnist/igpt-fashion-mnist-int8.onnx"
        );
    }
}

#[test]
fn the_last_24_bytes_are_the_checksum_of_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.onnx");
    let report = convert(&golden("checkpoint/bin"), &path, None, Dtype::Int8).unwrap();
    let file = fs::read(&path).unwrap();
    assert_eq!(report.file_bytes, file.len() as u64);
    let (body, tail) = file.split_at(file.len() - 24);
    let expected = format!("{:08x}", crc32fast::hash(body));
    assert_eq!(
        tail,
        [b"\x72\x16\x0a\x0aigpt.crc32\x12\x08", expected.as_bytes()].concat()
    );
}

#[test]
fn the_same_weights_give_the_same_file_whatever_they_were_stored_as() {
    let folder = tempfile::tempdir().unwrap();
    let body = |name: &str| {
        let path = folder.path().join("out.onnx");
        convert(&golden("checkpoint").join(name), &path, None, Dtype::Int8).unwrap();
        let file = fs::read(&path).unwrap();
        // The metadata names the source files; everything before is the model.
        let end = file
            .windows(11)
            .position(|window| window == b"igpt.format")
            .unwrap();
        file[..end].to_vec()
    };
    let reference = body("safetensors");
    for name in [
        "sharded",
        "bin",
        "bin_strided",
        "bin_deflated",
        "bin_sharded",
    ] {
        assert!(body(name) == reference, "{name} gives another model");
    }
}

#[test]
fn a_report_says_what_every_tensor_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.onnx");
    let report = convert(&golden("checkpoint/safetensors"), &path, None, Dtype::Int8).unwrap();
    assert_eq!(report.model.task, "classify");
    // 2 embeddings, 2 blocks of 10, the last norm, the head.
    assert_eq!(report.tensors.len(), 24);
    for tensor in &report.tensors {
        match tensor.stored_as {
            "f32" => assert_eq!(tensor.error.snr_db, None, "{}", tensor.name),
            "f16" => assert!(tensor.error.snr_db.unwrap() > 60.0, "{}", tensor.name),
            "int8" => {
                let (snr, max) = (tensor.error.snr_db.unwrap(), tensor.error.max_error);
                assert!(
                    snr > 40.0 && max <= tensor.error.max_abs * 0.3,
                    "{}",
                    tensor.name
                );
            }
            other => panic!("{}: {other}", tensor.name),
        }
    }
    let report = convert(&golden("checkpoint/safetensors"), &path, None, Dtype::F32).unwrap();
    assert!(
        report
            .tensors
            .iter()
            .all(|tensor| tensor.error.snr_db.is_none())
    );
}

#[test]
fn a_task_without_its_head_is_refused() {
    let message = refusal(
        &golden("checkpoint/safetensors"),
        Some(Task::Causal),
        Dtype::Int8,
    );
    assert!(
        message.contains("no lm_head.weight in it") && message.contains("openai/imagegpt-small"),
        "{message}"
    );
    let folder = edited("config.json", |config| {
        config["architectures"] = json!(["SomethingElse"])
    });
    let message = refusal(folder.path(), None, Dtype::Int8);
    assert!(
        message.contains("SomethingElse") && message.contains("--task"),
        "{message}"
    );
}

#[test]
fn a_config_that_does_not_fit_the_weights_is_refused() {
    for (field, value, culprit) in [
        ("n_layer", json!(3), "missing: `h.2.attn.c_attn.bias`"),
        ("n_layer", json!(1), "unexpected: `h.1.attn.c_attn.bias`"),
        (
            "n_inner",
            json!(60),
            "`h.0.mlp.c_fc.bias`: shape [20], expected [60]",
        ),
        (
            "n_positions",
            json!(16),
            "`wpe.weight`: shape [9, 15], expected [16, 15]",
        ),
        (
            "id2label",
            json!({"0": "a", "1": "b"}),
            "`score.weight`: shape [4, 15], expected [2, 15]",
        ),
        ("n_head", json!(4), "n_head"),
        ("add_cross_attention", json!(true), "add_cross_attention"),
        ("activation_function", json!("mish"), "activation_function"),
    ] {
        let folder = edited("config.json", |config| config[field] = value);
        let message = refusal(folder.path(), None, Dtype::Int8);
        assert!(message.contains(culprit), "{field}: {message}");
    }
}

#[test]
fn a_palette_or_size_that_does_not_fit_the_model_is_refused() {
    let folder = edited("preprocessor_config.json", |config| {
        config["clusters"].as_array_mut().unwrap().pop();
    });
    let message = refusal(folder.path(), None, Dtype::Int8);
    assert!(message.contains("7 clusters, expected 8"), "{message}");
    assert!(message.contains("preprocessor_config.json"), "{message}");

    let folder = edited("preprocessor_config.json", |config| {
        config["size"] = json!(4)
    });
    let message = refusal(folder.path(), None, Dtype::Int8);
    assert!(
        message.contains("4 x 4") && message.contains("n_positions = 9"),
        "{message}"
    );
}

#[test]
fn an_embedding_beyond_float16_is_refused_and_fits_f32() {
    let folder = edited("config.json", |_| {});
    let path = folder.path().join("model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    // wte is the last tensor of the file.
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&7e4f32.to_le_bytes());
    fs::write(&path, &bytes).unwrap();
    let message = refusal(folder.path(), None, Dtype::Int8);
    assert!(
        message.contains("transformer.wte.weight") && message.contains("70000"),
        "{message}"
    );
    let out = folder.path().join("out.onnx");
    convert(folder.path(), &out, None, Dtype::F32).unwrap();
}

#[test]
fn an_output_that_cannot_be_written_is_not_the_inputs_fault() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("in-the-way"), "a file").unwrap();
    let out = folder.path().join("in-the-way/out.onnx");
    let failure = convert(&golden("checkpoint/bin"), &out, None, Dtype::Int8).unwrap_err();
    assert!(matches!(failure, Failure::Failed(_)), "{failure}");
    assert!(failure.to_string().contains("in-the-way"), "{failure}");
    // A folder that is missing is made.
    let out = folder.path().join("missing/out.onnx");
    convert(&golden("checkpoint/bin"), &out, None, Dtype::Int8).unwrap();
    assert!(out.is_file());
}
