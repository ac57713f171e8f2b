//! `igpt bench` as a script and as a person see it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use assert_cmd::Command;
use igpt_runtime::Isa;
use serde_json::Value;

fn igpt() -> Command {
    Command::cargo_bin("igpt").unwrap()
}

/// A checkpoint of 9 tokens, 2 blocks, 4 labels.
fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/checkpoint/bin")
}

fn json(arguments: &[&str]) -> Value {
    let output = igpt().arg("bench").args(arguments).arg("--json").unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("{value} is not a number"))
}

/// Within (0, 1.2]: a little more than all there is, for the clock's and the scheduler's sake.
fn assert_fraction(value: &Value, what: &str) {
    let fraction = number(value);
    assert!(fraction > 0.0 && fraction <= 1.2, "{what}: {fraction}");
}

#[test]
fn a_random_model_is_measured_and_its_numbers_agree() {
    let report = json(&[
        "--size",
        "small",
        "--layers",
        "1",
        "--tokens",
        "256",
        "--runs",
        "4",
        "--threads",
        "1,2",
        "--generate",
        "--context",
        "16",
        "--new-tokens",
        "4",
        "--samples",
        "1,2",
    ]);
    assert_eq!(report["model"]["n_layer"], 1);
    assert_eq!(report["model"]["tokens"], 256);
    assert_eq!(report["model"]["task"], "classify");
    // 4 C^2 + 2 C I = 3,145,728 a token.
    assert!((number(&report["model"]["linear_gmac"]) - 0.805_306_368).abs() < 1e-9);
    assert!((number(&report["model"]["attention_gmac"]) - 0.033_685_504).abs() < 1e-9);
    assert!(number(&report["load"]["first"]) > 0.0 && number(&report["load"]["warm"]) > 0.0);
    assert!(number(&report["load"]["file_bytes"]) > 3e6);
    if cfg!(target_os = "linux") {
        assert!(
            number(&report["memory"]["peak"]) > 3e6,
            "{}",
            report["memory"]
        );
    }
    let timings = report["timings"].as_array().unwrap();
    assert_eq!(
        timings
            .iter()
            .map(|t| number(&t["threads"]))
            .collect::<Vec<_>>(),
        [1.0, 2.0]
    );
    for t in timings {
        let times: Vec<f64> = ["min", "median", "p95", "p99", "max"]
            .iter()
            .map(|k| number(&t[*k]))
            .collect();
        assert!(times.is_sorted() && times[0] > 0.0, "{times:?}");
        assert_fraction(&t["fraction_of_peak"], "of peak");
        assert_fraction(&t["best_fraction_of_peak"], "of peak, fastest run");
        assert!(number(&t["memory_gb_per_s"]) > 0.0);
        let profile = &t["profile"];
        let operators = profile["operators"].as_array().unwrap();
        let sum: f64 = operators.iter().map(|o| number(&o["seconds"])).sum();
        let (total, other) = (number(&profile["total"]), number(&profile["other"]));
        assert!(
            (sum + other - total).abs() < 1e-6 * total,
            "{sum} + {other} = {total}"
        );
        assert!(
            other > -0.05 * total,
            "operators take {sum} of {total} thread-seconds"
        );
        for name in [
            "norm + quantise",
            "attn.c_attn",
            "attention",
            "mlp.c_fc",
            "mlp.c_proj",
        ] {
            let operator = operators.iter().find(|o| o["name"] == name).unwrap();
            assert!(number(&operator["seconds"]) > 0.0, "{name}");
            if name != "norm + quantise" {
                assert_fraction(&operator["fraction_of_peak"], name);
            }
        }
    }
    // On one thread nothing waits: what is left over is planning.
    let one = &timings[0]["profile"];
    assert!(number(&one["other"]) < 0.5 * number(&one["total"]), "{one}");
    let generation = report["generation"].as_array().unwrap();
    assert_eq!(generation.len(), 4);
    for g in generation {
        assert_eq!(g["context"], 16);
        assert!(number(&g["tokens_per_s"]) > 0.0 && number(&g["bound_tokens_per_s"]) > 0.0);
        // No token takes less than the fastest, so its samples' rate is no more than this.
        let most = number(&g["samples"]) / number(&g["fastest_token_s"]);
        assert!(number(&g["tokens_per_s"]) <= most * 1.001);
        // Samples in lockstep share the reading of the weights.
        let weights = number(&g["bytes_per_token"]) * number(&g["samples"]);
        assert!((3.1e6..3.8e6).contains(&weights), "{weights} bytes a step");
        assert!(["bandwidth", "compute"].contains(&g["bound_by"].as_str().unwrap()));
    }
}

#[test]
fn a_checkpoint_is_quantised_and_f32_has_no_integer_peak() {
    let folder = tiny();
    let folder = folder.to_str().unwrap();
    let report = json(&[folder, "--runs", "2", "--threads", "1", "--dtype", "f32"]);
    assert_eq!(report["model"]["dtype"], "f32");
    assert_eq!(report["model"]["tokens"], 9);
    assert!(report["timings"][0]["fraction_of_peak"].is_null());
    let table = igpt()
        .args(["bench", folder, "--runs", "2", "--threads", "1"])
        .unwrap();
    let table = String::from_utf8(table.stdout).unwrap();
    for text in [
        "median ms",
        "of peak",
        "attn.c_attn",
        "waiting and the rest",
        "peak memory",
    ] {
        assert!(table.contains(text), "no {text} in {table}");
    }
}

#[test]
fn cpu_says_which_kernels_and_why() {
    let best = Isa::available().last().unwrap();
    let report = json(&["--cpu"]);
    assert_eq!(report["isa"], best.name());
    for entry in report["kernels"].as_array().unwrap() {
        let available = entry["available"].as_bool().unwrap();
        assert_eq!(
            available,
            entry["missing"].as_array().unwrap().is_empty(),
            "{entry}"
        );
        assert_eq!(available, entry["peak_gmac_per_s"].is_number(), "{entry}");
    }
    let text = igpt().args(["bench", "--cpu", "scalar"]).unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(
        text.contains("chosen: scalar (--isa scalar asks for it)"),
        "{text}"
    );
}

#[test]
fn a_driver_gets_one_run_for_each_line() {
    let mut child = std::process::Command::new(igpt().get_program())
        .args([
            "bench",
            "--size",
            "small",
            "--layers",
            "1",
            "--tokens",
            "64",
            "--threads",
            "1",
            "--step",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"\n\n\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines = text.lines();
    let ready: Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    assert_eq!(ready["logits"].as_array().unwrap().len(), 2);
    let times: Vec<f64> = lines.map(|line| line.parse().unwrap()).collect();
    assert!(
        times.len() == 3 && times.iter().all(|t| *t > 0.0),
        "{times:?}"
    );
}

#[test]
fn bad_arguments_are_refused_and_say_why() {
    let fails = |arguments: &[&str], code, culprit: &str| {
        let refused = igpt().arg("bench").args(arguments).assert().code(code);
        let message = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
        assert!(message.contains(culprit), "{arguments:?}: {message}");
    };
    fails(&[], 2, "MODEL");
    fails(&["--size", "huge"], 2, "huge");
    fails(&["--size", "small", "--layers", "0"], 2, "0");
    fails(&["--layers", "3", "model.onnx"], 2, "--layers");
    fails(&["--layers", "3"], 2, "--size");
    fails(&["--size", "small", "model.onnx"], 2, "--size");
    fails(&["--size", "small", "--threads", "many"], 2, "many");
    fails(&["--size", "small", "--runs", "0"], 2, "0");
    fails(&["--cpu", "z80"], 2, "z80");
    fails(&["/no/such/model.onnx"], 3, "/no/such/model.onnx");
    fails(&[env!("CARGO_MANIFEST_DIR")], 3, "config.json");
    fails(
        &["--size", "small", "--layers", "1", "--tokens", "1025"],
        3,
        "1025",
    );
    fails(
        &[
            "--size",
            "small",
            "--layers",
            "1",
            "--tokens",
            "1",
            "--generate",
            "--context",
            "1024",
            "--runs",
            "1",
        ],
        3,
        "1024",
    );
    let generate = ["--size", "small", "--layers", "1", "--context", "16,2000"];
    fails(&generate, 2, "--generate");
    fails(&[&generate[..], &["--generate"]].concat(), 3, "2000");
    fails(&["model.onnx", "--dtype", "f32"], 2, "is for a checkpoint");
    if let Some(isa) = Isa::ALL.into_iter().find(|isa| !isa.is_available()) {
        fails(&["--size", "small", "--cpu", isa.name()], 1, isa.name());
    }
}
