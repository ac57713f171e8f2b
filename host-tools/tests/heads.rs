//! Checkpoints whose head is not one-of-N, and labels that are not one line, as the user of `igpt` meets them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use serde_json::{Value, json};
use tempfile::TempDir;

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/fashion-mnist")
}

fn igpt(arguments: &[&str]) -> Output {
    let mut command = Command::cargo_bin("igpt").unwrap();
    command.args(arguments).output().unwrap()
}

/// Runs, and expects success.
fn says(arguments: &[&str]) -> String {
    let output = igpt(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs, and expects that the input is refused with all of these words.
fn refuses(arguments: &[&str], words: &[&str]) {
    let output = igpt(arguments);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{arguments:?}: {errors}");
    for word in words {
        assert!(errors.contains(word), "{arguments:?}: {word:?}: {errors}");
    }
}

/// The folder `kind` of the shipped checkpoints with these fields of config.json changed.
fn checkpoint(kind: &str, change: &Value) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(models().join(kind)).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    let path = folder.path().join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for (field, value) in change.as_object().unwrap() {
        config[field] = value.clone();
    }
    fs::write(&path, config.to_string()).unwrap();
    folder
}

/// The sample pictures, a folder a class.
fn pictures() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(models().join("sample")).unwrap() {
        let path = entry.unwrap().path();
        let class = folder
            .path()
            .join(&path.file_stem().unwrap().to_str().unwrap()[5..]);
        fs::create_dir_all(&class).unwrap();
        fs::copy(&path, class.join(path.file_name().unwrap())).unwrap();
    }
    folder
}

#[test]
fn what_logits_mean_is_in_the_file_and_told() {
    let data = pictures();
    let picture = models().join("sample/0001-pullover.png");
    let picture = picture.to_str().unwrap();
    for (problem, meaning, probabilities) in [
        (json!(null), "single_label_classification: one label", true),
        (
            json!("multi_label_classification"),
            "multi_label_classification: each label for itself",
            true,
        ),
        (
            json!("regression"),
            "regression: the logits are the values",
            false,
        ),
    ] {
        let folder = checkpoint("clf", &json!({ "problem_type": problem }));
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let (model, npz) = (at("model.onnx"), at("out.npz"));
        says(&["quantize", folder.path().to_str().unwrap(), "-o", &model]);
        let text = says(&["inspect", &model]);
        assert!(text.contains(&format!("problem type: {meaning}")), "{text}");
        let name = meaning.split(':').next().unwrap();
        let report: Value =
            serde_json::from_str(&says(&["run", &model, picture, "-o", &npz, "--json"])).unwrap();
        assert_eq!(report["model"]["problem_type"], name);
        let arrays = fs::read(&npz).unwrap();
        let has = |name: &str| arrays.windows(name.len()).any(|at| at == name.as_bytes());
        assert!(has("logits.npy"));
        assert_eq!(has("probabilities.npy"), probabilities, "{name}");
        let text = says(&["run", &model, picture, "-o", &npz]);
        assert!(text.contains(&format!("classify ({name})")), "{text}");
        let data = data.path().to_str().unwrap();
        if problem.is_null() {
            says(&["eval", &model, "--data", data, "--limit", "2"]);
            continue;
        }
        refuses(
            &["eval", &model, "--data", data],
            &["model.onnx", name, "igpt run"],
        );
        let shipped = models().join("igpt-fashion-mnist-int8.onnx");
        let shipped = shipped.to_str().unwrap();
        refuses(
            &["eval", shipped, "--data", data, "--against", &model],
            &["model.onnx", name],
        );
    }
}

#[test]
fn a_probe_of_any_head_is_a_classifier_of_one_label() {
    let data = pictures();
    let folder = checkpoint("clf", &json!({ "problem_type": "regression" }));
    let out = folder.path().join("probe.onnx");
    let [folder, data, out] =
        [folder.path(), data.path(), &out].map(|path| path.to_str().unwrap().to_owned());
    says(&[
        "probe", &folder, "--data", &data, "--test", &data, "--layer", "1", "-o", &out,
    ]);
    let report: Value = serde_json::from_str(&says(&["inspect", &out, "--json"])).unwrap();
    for problem in [
        &report["config"]["problem_type"],
        &report["model"]["problem_type"],
    ] {
        assert_eq!(problem, "single_label_classification");
    }
    says(&["eval", &out, "--data", &data, "--limit", "2"]);
}

#[test]
fn a_newline_in_a_label_breaks_no_line_and_no_row() {
    let labels = json!({ "id2label": {
        "0": "T-shirt/\ttop", "1": "Trouser", "2": "Pullover", "3": "Dress", "4": "Coat", "5": "San\u{2028}dal",
        "6": "Shirt", "7": "Sneaker", "8": "Bag\u{1b}[31m", "9": "Ankle\nboot",
    }});
    let folder = checkpoint("clf", &labels);
    let data = tempfile::tempdir().unwrap();
    for (index, class) in ["ankle-boot", "pullover"].iter().enumerate() {
        fs::create_dir(data.path().join(class)).unwrap();
        let name = format!("{index:04}-{class}.png");
        let to = data.path().join(class).join("a\nb.png");
        fs::copy(models().join("sample").join(name), to).unwrap();
    }
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (model, csv, plots) = (at("model.onnx"), at("out.csv"), at("plots"));
    says(&["quantize", folder.path().to_str().unwrap(), "-o", &model]);
    let data = data.path().to_str().unwrap();
    // Against itself in f32, so that every list is printed.
    let eval = [
        "eval",
        &model,
        "--data",
        data,
        "--predictions",
        &csv,
        "--plots",
        &plots,
    ];
    let own = folder.path().to_str().unwrap().to_owned();
    let text = says(&[&eval[..], &["--against", &own]].concat());
    let stray = |c: char| c != '\n' && (c.is_control() || c == '\u{2028}');
    assert!(!text.contains(stray), "{text:?}");
    assert!(
        text.contains("Ankle\\nboot") && text.contains("a\\nb.png"),
        "{text}"
    );
    assert!(
        text.lines()
            .all(|line| line != "boot" && !line.starts_with("b.png"))
    );
    let rows = fs::read_to_string(&csv).unwrap();
    assert_eq!(rows.lines().count(), 1 + 2, "{rows}");
    assert!(rows.contains(",Ankle\\nboot,"), "{rows}");
    let svg = fs::read_to_string(Path::new(&plots).join("confusion.svg")).unwrap();
    assert!(svg.contains("Ankle\\nboot"));
    let json = says(&[&eval[..], &["--json"]].concat());
    let report: Value = serde_json::from_str(&json).unwrap();
    let classes = report["classes"].as_array().unwrap();
    assert!(
        classes.iter().any(|class| class["label"] == "Ankle\nboot"),
        "JSON has what the checkpoint says: {json}"
    );
    let text = says(&["inspect", &model]);
    assert!(!text.contains(stray), "{text:?}");
    // An error that lists labels.
    let output = igpt(&["eval", &model, "--data", models().to_str().unwrap()]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(!errors.contains(stray), "{errors:?}");
}

#[test]
fn tied_embeddings_are_refused_of_a_language_model_and_of_nothing_else() {
    let tied = json!({ "tie_word_embeddings": true });
    let lm = checkpoint("lm", &tied);
    let out = lm.path().join("out.onnx");
    let [folder, out] = [lm.path(), &out].map(|path| path.to_str().unwrap().to_owned());
    refuses(
        &["quantize", &folder, "-o", &out],
        &[
            "config.json",
            "tie_word_embeddings",
            "no lm_head.weight",
            "vocab_size - 1",
        ],
    );
    says(&["quantize", &folder, "-o", &out, "--task", "features"]);
    let clf = checkpoint("clf", &tied);
    says(&["quantize", clf.path().to_str().unwrap(), "-o", &out]);
}

#[test]
fn pixel_values_are_no_tokens() {
    let folder = checkpoint("clf", &json!({}));
    let path = folder.path().join("preprocessor_config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config["do_color_quantize"] = json!(false);
    fs::write(&path, config.to_string()).unwrap();
    let out = folder.path().join("out.onnx");
    let [folder, out] = [folder.path(), &out].map(|path| path.to_str().unwrap().to_owned());
    refuses(
        &["quantize", &folder, "-o", &out],
        &["preprocessor_config.json", "do_color_quantize"],
    );
}
