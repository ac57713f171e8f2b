//! The command as a script sees it: exit codes, what is on which stream.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use igpt_runtime::Isa;
use npyz::npz::NpzArchive;
use tempfile::TempDir;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/golden/checkpoint")
        .join(name)
}

fn igpt() -> Command {
    Command::cargo_bin("igpt").unwrap()
}

#[test]
fn quantize_prints_a_report() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.onnx");
    let output = igpt()
        .arg("quantize")
        .arg(golden("bin"))
        .arg("-o")
        .arg(&out)
        .arg("--json")
        .unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["model"]["task"], "classify");
    assert_eq!(report["file_bytes"], out.metadata().unwrap().len());
    // No progress bar where nobody looks.
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");

    let table = igpt()
        .arg("quantize")
        .arg(golden("bin"))
        .arg("-o")
        .arg(&out)
        .unwrap();
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(
        table.contains("transformer.h.1.mlp.c_proj.weight") && table.contains("SNR"),
        "{table}"
    );
    assert!(!table.contains('\x1b'), "colour codes in a pipe");
}

#[test]
fn exit_codes_tell_whose_fault_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.onnx");
    igpt().arg("quantize").assert().code(2);
    igpt()
        .arg("quantize")
        .arg(golden("bin"))
        .arg("-o")
        .arg(&out)
        .args(["--task", "dance"])
        .assert()
        .code(2);
    let refused = igpt()
        .arg("quantize")
        .arg(golden("bin_hostile"))
        .arg("-o")
        .arg(&out)
        .assert()
        .code(3);
    let message = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
    assert!(
        message.starts_with("igpt: ") && message.contains("posix.system"),
        "{message}"
    );
    igpt()
        .arg("quantize")
        .arg(folder.path().join("nowhere"))
        .arg("-o")
        .arg(&out)
        .assert()
        .code(3);
    fs::write(folder.path().join("file"), "").unwrap();
    let unwritable = folder.path().join("file/out.onnx");
    igpt()
        .arg("quantize")
        .arg(golden("bin"))
        .arg("-o")
        .arg(&unwritable)
        .assert()
        .code(1);
}

/// The tiny classifier (9 tokens of 15 channels, 2 blocks, 4 labels) as int8 and f32 files.
/// What would lose a file, an input or a device, is refused; a full disk is told of.
#[test]
fn no_output_destroys_an_input_or_hides_a_full_disk() {
    let folder = models();
    let path = |name: &str| folder.path().join(name);
    let refused = |mut command: Command, code: i32, culprit: &str| {
        let output = command.current_dir(folder.path()).unwrap_err();
        let output = output.as_output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{message}");
        assert!(message.contains(culprit), "{message}");
    };
    fs::copy(sample("0000-ankle-boot.png"), path("p.png")).unwrap();
    let model = path("int8.onnx");
    let before = fs::read(&model).unwrap();
    let run = |output: &Path| {
        let mut command = igpt();
        command.arg("run").arg(&model).args(["p.png", "-o"]);
        command.arg(output);
        command
    };
    refused(run(&model), 2, "is an input and the output");
    refused(run(Path::new("./p.png")), 2, "is an input and the output");
    assert_eq!(fs::read(&model).unwrap(), before);

    let palette = |rest: &[&str]| {
        let mut command = igpt();
        command
            .args(["palette", "p.png", "--colors", "2"])
            .args(rest);
        command
    };
    refused(palette(&["-o", "p.png"]), 2, "p.png: is an input");
    let mut eval = igpt();
    eval.arg("eval")
        .arg(&model)
        .args(["--data", "p.png", "--predictions", "p.png"]);
    refused(eval, 2, "p.png: is an input");
    let mut probe = igpt();
    probe
        .arg("probe")
        .arg(&model)
        .args(["--data", "p.png", "-o"])
        .arg(&model);
    refused(probe, 2, "int8.onnx: is an input");
    let mut none = igpt();
    none.arg("quantize").arg(golden("bin"));
    none.args([
        "-o",
        "x.onnx",
        "--calibrate",
        "p.png",
        "--calibrate-images",
        "0",
    ]);
    refused(none, 2, "--calibrate-images");
    let mut threads = run(Path::new("o.npz"));
    threads.args(["--threads", "99999"]);
    refused(threads, 2, "1024");

    if !Path::new("/dev/full").exists() {
        eprintln!("skipped: this machine has no /dev/full");
        return;
    }
    let full = ["-o", "x.json", "--png", "/dev/full"];
    refused(palette(&full), 1, "/dev/full: No space left");
    assert!(path("x.json").exists(), "the other output is written");
    let mut inspect = igpt();
    inspect
        .arg("inspect")
        .arg(&model)
        .args(["--png", "/dev/full"]);
    refused(inspect, 1, "/dev/full: No space left");
    let mut quantize = igpt();
    quantize.arg("quantize").arg(golden("bin"));
    quantize.args(["-o", "/dev/full"]);
    refused(quantize, 1, "/dev/full");
    assert!(
        !fs::metadata("/dev/full").unwrap().is_file(),
        "the device is gone"
    );
}

fn models() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for dtype in ["int8", "f32"] {
        let out = folder.path().join(format!("{dtype}.onnx"));
        igpt()
            .arg("quantize")
            .arg(golden("bin"))
            .arg("-o")
            .arg(out)
            .args(["--dtype", dtype])
            .assert()
            .success();
    }
    folder
}

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../models/fashion-mnist/sample")
        .join(name)
}

#[test]
fn run_writes_the_same_arrays_on_every_instruction_set_and_thread_count() {
    let folder = models();
    let out = folder.path().join("out.npz");
    let mut reference = None;
    for cpu in Isa::available() {
        for threads in ["1", "3"] {
            igpt()
                .arg("run")
                .arg(folder.path().join("int8.onnx"))
                .arg(sample("0000-ankle-boot.png"))
                .arg(sample("0001-pullover.png"))
                .arg("-o")
                .arg(&out)
                .args(["--cpu", cpu.name(), "--threads", threads])
                .assert()
                .success();
            let arrays = read(&out);
            assert_eq!(
                arrays
                    .iter()
                    .map(|(shape, _)| shape.as_slice())
                    .collect::<Vec<_>>(),
                [&[2, 9][..], &[3, 2, 9, 15], &[2, 4]]
            );
            assert_eq!(
                *reference.get_or_insert_with(|| arrays.clone()),
                arrays,
                "{cpu}, {threads} threads"
            );
        }
    }
}

/// Shapes and bits of tokens, hidden states and logits.
fn read(path: &Path) -> Vec<(Vec<u64>, Vec<u64>)> {
    let mut npz = NpzArchive::open(path).unwrap();
    let tokens = npz.by_name("tokens").unwrap().unwrap();
    let shape = tokens.shape().to_vec();
    let bits = tokens
        .into_vec::<i64>()
        .unwrap()
        .into_iter()
        .map(i64::cast_unsigned)
        .collect();
    let mut arrays = vec![(shape, bits)];
    for name in ["hidden_states", "logits"] {
        let array = npz.by_name(name).unwrap().unwrap();
        let shape = array.shape().to_vec();
        let bits = array
            .into_vec::<f32>()
            .unwrap()
            .into_iter()
            .map(|v| v.to_bits().into())
            .collect();
        arrays.push((shape, bits));
    }
    arrays
}

/// An `.npy` of int64.
fn npy(ids: &[i64]) -> Vec<u8> {
    let mut header = format!(
        "{{'descr': '<i8', 'fortran_order': False, 'shape': ({},), }}",
        ids.len()
    );
    header.push_str(&" ".repeat(117 - header.len()));
    header.push('\n');
    let data: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
    [b"\x93NUMPY\x01\x00\x76\x00", header.as_bytes(), &data].concat()
}

#[test]
fn run_takes_tokens_and_refuses_those_that_do_not_fit() {
    let folder = models();
    let path = |name: &str| folder.path().join(name);
    let run = |ids: &[i64]| {
        fs::write(path("ids.npy"), npy(ids)).unwrap();
        let model = path("int8.onnx");
        igpt()
            .arg("run")
            .arg(model)
            .arg("--tokens")
            .arg(path("ids.npy"))
            .arg("-o")
            .arg(path("o.npz"))
            .assert()
    };
    run(&[8, 0, 7]).success();
    assert_eq!(read(&path("o.npz"))[0], (vec![1, 3], vec![8, 0, 7]));
    for (ids, culprit) in [(&[9][..], "9"), (&[0; 10], "10"), (&[-1], "-1")] {
        let refused = run(ids).code(3);
        let message = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
        assert!(message.contains(culprit), "{message}");
    }
}

#[test]
fn run_blames_the_file_that_is_broken() {
    let folder = models();
    let path = |name: &str| folder.path().join(name);
    let run = |model: &Path, image: &Path, code| {
        let done = igpt()
            .arg("run")
            .arg(model)
            .arg(image)
            .arg("-o")
            .arg(path("o.npz"))
            .assert()
            .code(code);
        String::from_utf8_lossy(&done.get_output().stderr).into_owned()
    };
    let (model, image) = (path("int8.onnx"), sample("0000-ankle-boot.png"));
    run(&model, &image, 0);
    let whole = fs::read(&model).unwrap();
    for damaged in [
        &whole[..whole.len() / 2],
        &[&[whole[0] ^ 1], &whole[1..]].concat(),
        &[],
    ] {
        fs::write(path("damaged.onnx"), damaged).unwrap();
        let message = run(&path("damaged.onnx"), &image, 3);
        assert!(message.contains("damaged.onnx"), "{message}");
    }
    fs::write(path("image.png"), &fs::read(&image).unwrap()[..60]).unwrap();
    let message = run(&model, &path("image.png"), 3);
    assert!(message.contains("image.png"), "{message}");
    let message = run(&model, &path("nowhere.png"), 3);
    assert!(message.contains("nowhere.png"), "{message}");
}

#[test]
fn eval_scores_a_file_and_compares_two() {
    let folder = models();
    let path = |name: &str| folder.path().join(name);
    // Four 3x3 images, as many tokens as the model has.
    let images: Vec<u8> = (0..36u8).map(|i| i.wrapping_mul(89)).collect();
    let header = [0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 3, 0, 0, 0, 3];
    fs::write(
        path("t10k-images-idx3-ubyte"),
        [&header[..], &images].concat(),
    )
    .unwrap();
    let labels = |labels: [u8; 4]| {
        let header = [0, 0, 8, 1, 0, 0, 0, 4];
        fs::write(
            path("t10k-labels-idx1-ubyte"),
            [&header[..], &labels].concat(),
        )
        .unwrap();
    };
    let eval = || {
        let mut command = igpt();
        command
            .arg("eval")
            .arg(path("int8.onnx"))
            .arg("--data")
            .arg(folder.path());
        command
    };
    let mut right = 0;
    for label in 0..4 {
        labels([label; 4]);
        let output = eval()
            .arg("--against")
            .arg(path("f32.onnx"))
            .arg("--json")
            .unwrap();
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["images"], 4);
        assert!(report["nats"].as_f64().unwrap() > 0.0);
        assert!(
            report["comparison"]["logits_cosine"].as_f64().unwrap() > 0.999,
            "{report}"
        );
        right += (report["top1"].as_f64().unwrap() * 4.0) as usize;
    }
    // Every image has one label out of four that is right.
    assert_eq!(right, 4);
    eval().args(["--limit", "2"]).assert().success();
    labels([4; 4]);
    let refused = eval().assert().code(3);
    let message = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
    assert!(message.contains("label 4"), "{message}");
}
