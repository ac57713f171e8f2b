//! The command as a script sees it: exit codes, what is on which stream.

use std::path::{Path, PathBuf};

use assert_cmd::Command;

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
    assert_eq!(report["task"], "classify");
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
    let unwritable = folder.path().join("no/such/folder/out.onnx");
    igpt()
        .arg("quantize")
        .arg(golden("bin"))
        .arg("-o")
        .arg(&unwritable)
        .assert()
        .code(1);
}
