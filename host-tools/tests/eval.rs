//! `igpt eval` against transformers and scikit-learn, on images and models that do not go together, and what it draws.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::Value;
use tempfile::TempDir;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn igpt() -> Command {
    Command::cargo_bin("igpt").unwrap()
}

fn model(kind: &str) -> PathBuf {
    root().join("models/fashion-mnist").join(kind)
}

/// `kind`, a checkpoint of the shipped model, with its configuration changed.
fn variant(folder: &Path, kind: &str, change: impl FnOnce(&mut Value)) -> PathBuf {
    let copy = folder.join(format!("other-{kind}"));
    fs::create_dir_all(&copy).unwrap();
    for file in ["model.safetensors", "preprocessor_config.json"] {
        fs::copy(model(kind).join(file), copy.join(file)).unwrap();
    }
    let text = fs::read_to_string(model(kind).join("config.json")).unwrap();
    let mut config = serde_json::from_str(&text).unwrap();
    change(&mut config);
    fs::write(copy.join("config.json"), config.to_string()).unwrap();
    copy
}

/// Attention scores are divided by the layer's number as well: the golden file's other model.
fn off(folder: &Path, kind: &str) -> PathBuf {
    variant(folder, kind, |config| {
        config["scale_attn_by_inverse_layer_idx"] = true.into();
    })
}

/// The sample images and their classes.
fn samples() -> Vec<(PathBuf, String)> {
    let folder = root().join("models/fashion-mnist/sample");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "png"))
        .collect();
    files.sort();
    let class = |path: &PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap();
        name.split_once('-').unwrap().1.to_owned()
    };
    files
        .iter()
        .map(|path| (path.clone(), class(path)))
        .collect()
}

/// A CSV of them.
fn csv(folder: &Path) -> PathBuf {
    let rows = samples();
    let rows = rows
        .iter()
        .map(|(path, class)| format!("{},{class}\n", path.display()));
    let text = format!("file_name,label\n{}", rows.collect::<String>());
    let path = folder.join("labels.csv");
    fs::write(&path, text).unwrap();
    path
}

/// The f32 file of a shipped checkpoint.
fn f32_file(folder: &Path, kind: &str) -> PathBuf {
    let out = folder.join(format!("{kind}.onnx"));
    let mut quantize = igpt();
    quantize
        .arg("quantize")
        .arg(model(kind))
        .arg("-o")
        .arg(&out);
    quantize.args(["--dtype", "f32"]).assert().success();
    out
}

fn eval(file: &Path, data: &Path) -> Command {
    let mut command = igpt();
    command.arg("eval").arg(file).arg("--data").arg(data);
    command
}

fn json(command: &mut Command) -> Value {
    serde_json::from_slice(&command.arg("--json").unwrap().stdout).unwrap()
}

fn refusal(command: &mut Command, code: i32) -> String {
    let refused = command.assert().code(code);
    String::from_utf8_lossy(&refused.get_output().stderr).into_owned()
}

#[track_caller]
fn close(found: &Value, expected: &Value, tolerance: f64) {
    let (f, e) = (found.as_f64().unwrap(), expected.as_f64().unwrap());
    assert!((f - e).abs() <= tolerance, "{f}, expected {e}");
}

/// The numbers of a report against those of the golden file; `near` allows for predictions that are nearly tied.
fn check(report: &Value, golden: &Value, near: f64) {
    let comparison = &report["comparison"];
    for (found, expected) in [(report, "score"), (&comparison["against"], "against")] {
        for key in ["top1", "top5"] {
            close(&found[key], &golden[expected][key], near);
        }
        close(&found["nats"], &golden[expected]["nats"], 1e-4);
        close(
            &found["calibration"]["ece"],
            &golden[expected]["ece"],
            near.max(1e-4),
        );
    }
    let golden = &golden["comparison"];
    close(
        &comparison["argmax_agreement"],
        &golden["argmax_agreement"],
        near,
    );
    close(&comparison["logits_cosine"], &golden["logits_cosine"], 1e-5);
    let predictions = report["predictions"].as_f64().unwrap();
    for turn in ["to_right", "to_wrong", "between_wrong"] {
        close(&comparison[turn], &golden[turn], near * predictions);
    }
    let layers = comparison["layers"].as_array().unwrap();
    let expected = golden["layers"].as_array().unwrap();
    assert_eq!(layers.len(), expected.len());
    for (layer, expected) in layers.iter().zip(expected) {
        for (index, key) in ["relative_error", "cosine", "least_token_cosine"]
            .iter()
            .enumerate()
        {
            close(&layer[key], &expected[index], 1e-4);
        }
    }
    // The golden file has every image's divergence, in order of the images; the report names the widest.
    let samples = samples();
    let disagreeing = comparison["disagreeing"].as_array().unwrap();
    let mut widest: Vec<f64> = golden["divergence"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d.as_f64().unwrap())
        .collect();
    for image in disagreeing {
        let place = samples
            .iter()
            .position(|(path, _)| *path == Path::new(image["image"].as_str().unwrap()));
        close(
            &image["divergence"],
            &golden["divergence"][place.unwrap()],
            1e-4,
        );
    }
    widest.sort_by(|a, b| b.total_cmp(a));
    assert_eq!(disagreeing.len(), 5);
    close(&disagreeing[0]["divergence"], &widest[0].into(), 1e-4);
}

fn golden() -> Value {
    let text = fs::read_to_string(root().join("tests/golden/evaluation.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_classifier_scores_what_transformers_and_scikit_learn_say() {
    let folder = tempfile::tempdir().unwrap();
    let golden = golden();
    let file = f32_file(folder.path(), "clf");
    let table = folder.path().join("predictions.csv");
    let mut command = eval(&file, &csv(folder.path()));
    command.arg("--against").arg(off(folder.path(), "clf"));
    let report = json(command.arg("--predictions").arg(&table));
    let expected = &golden["classifier"];
    check(&report, expected, 1e-9);
    assert!(
        report.get("bits_per_dimension").is_none(),
        "of a classifier there are none"
    );

    // The confusion matrix, cell by cell: those that are not there are zero.
    let mut cells = 0;
    for (row, label) in golden["labels"].as_array().unwrap().iter().enumerate() {
        for (column, verdict) in golden["labels"].as_array().unwrap().iter().enumerate() {
            let cell = report["confusion"].as_array().unwrap().iter();
            let mut cell =
                cell.filter(|cell| cell["label"] == *label && cell["verdict"] == *verdict);
            let images = cell
                .next()
                .map_or(0, |cell| cell["images"].as_u64().unwrap());
            assert_eq!(images, expected["confusion"][row][column].as_u64().unwrap());
            cells += usize::from(images > 0);
        }
    }
    assert_eq!(report["confusion"].as_array().unwrap().len(), cells);

    let flips = report["comparison"]["flips"].as_array().unwrap();
    assert_eq!(flips.len(), expected["flips"].as_array().unwrap().len());
    for flip in expected["flips"].as_array().unwrap() {
        let named = |f: &&Value| {
            f["image"]
                .as_str()
                .unwrap()
                .ends_with(flip["image"].as_str().unwrap())
        };
        let found = flips.iter().find(named).unwrap();
        for key in ["label", "verdict", "against_verdict"] {
            assert_eq!(found[key], flip[key]);
        }
        for key in ["probability", "against_probability"] {
            close(&found[key], &flip[key], 1e-4);
        }
        let right = flip["label"] == flip["verdict"];
        assert_eq!(found["turn"] == "to_right", right, "{found}");
    }

    // The table has every image, and its columns give the same numbers.
    let table = fs::read_to_string(table).unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .skip(1)
        .map(|line| line.split(',').collect())
        .collect();
    assert_eq!(rows.len(), samples().len());
    let right = rows.iter().filter(|row| row[4] == "1").count() as f64;
    close(&(right / rows.len() as f64).into(), &report["top1"], 1e-9);
    let nats: f64 = rows.iter().map(|row| row[5].parse::<f64>().unwrap()).sum();
    close(&(nats / rows.len() as f64).into(), &report["nats"], 1e-12);
}

#[test]
fn the_sample_comes_with_a_table_of_its_classes() {
    let sample = root().join("models/fashion-mnist/sample");
    let file = root().join("models/fashion-mnist/igpt-fashion-mnist-int8.onnx");
    let report = json(&mut eval(&file, &sample.join("labels.csv")));
    assert_eq!(report["images"], samples().len());
    let table = fs::read_to_string(sample.join("labels.csv")).unwrap();
    for (path, class) in samples() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let line = table.lines().find(|line| line.starts_with(name)).unwrap();
        let label = line.split_once(',').unwrap().1.to_lowercase();
        assert_eq!(label.replace(['/', ' '], "-"), class);
    }
}

#[test]
fn a_language_model_scores_what_transformers_says_on_any_folder() {
    let folder = tempfile::tempdir().unwrap();
    let file = f32_file(folder.path(), "lm");
    let mut command = eval(&file, &root().join("models/fashion-mnist/sample"));
    let report = json(command.arg("--against").arg(off(folder.path(), "lm")));
    // Of 4,704 tokens a few are nearly tied.
    check(&report, &golden()["language_model"], 5e-4);
    let bits = report["nats"].as_f64().unwrap() / 2f64.ln();
    close(&report["bits_per_token"], &bits.into(), 1e-12);
    close(&report["bits_per_dimension"], &(bits / 3.0).into(), 1e-12);
    assert_eq!(report["predictions"], 24 * 196);
    assert!(report.get("confusion").is_none() && report["comparison"].get("flips").is_none());
}

#[test]
fn the_report_says_which_verdicts_flipped_and_pictures_are_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let (data, plots) = (csv(folder.path()), folder.path().join("new/plots"));
    let mut command = eval(&model("clf"), &data);
    command.arg("--against").arg(off(folder.path(), "clf"));
    command.args(["--show", "3"]).arg("--plots").arg(&plots);
    let text = String::from_utf8(command.unwrap().stdout).unwrap();
    for words in [
        "int8 flipped 10 of 24 verdicts",
        ": to right",
        "and 7 more",
        "top-5, %",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains('\x1b'), "colour codes in a pipe");
    for (file, words) in [
        ("confusion.svg", "Ankle boot"),
        ("reliability.svg", "calibration error"),
        ("layers.svg", "24 images"),
    ] {
        let svg = fs::read_to_string(plots.join(file)).unwrap();
        assert!(svg.starts_with("<svg") && svg.contains(words), "{file}");
    }
    // Against itself nothing flips; without a comparison there are no layers to draw.
    let mut command = eval(&model("clf"), &data);
    command
        .arg("--against")
        .arg(model("clf"))
        .args(["--limit", "2"]);
    let text = String::from_utf8(command.unwrap().stdout).unwrap();
    assert!(text.contains("int8 flipped none of 2 verdicts"), "{text}");
    let alone = folder.path().join("alone");
    eval(&model("lm"), &model("sample"))
        .arg("--plots")
        .arg(&alone)
        .assert()
        .success();
    let drawn: Vec<_> = fs::read_dir(&alone)
        .unwrap()
        .map(|f| f.unwrap().file_name())
        .collect();
    assert_eq!(drawn, ["reliability.svg"]);
    // A place that cannot be written is not the input's fault.
    let blocked = refusal(eval(&model("clf"), &data).arg("--plots").arg(&data), 1);
    assert!(blocked.contains("labels.csv"), "{blocked}");
}

/// A folder of class folders with an image each.
fn folders(classes: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for class in classes {
        fs::create_dir(folder.path().join(class)).unwrap();
        let image = &samples()[0].0;
        fs::copy(image, folder.path().join(class).join("1.png")).unwrap();
    }
    folder
}

#[test]
fn images_that_do_not_go_with_the_model_are_refused_by_name() {
    let clf = model("clf");
    let report = json(&mut eval(
        &clf,
        folders(&["Ankle_boot", "t-shirt-top"]).path(),
    ));
    assert_eq!(report["top1"], 0.5, "both are the ankle boot");

    let unknown = folders(&["Coat", "Giraffe"]);
    let message = refusal(&mut eval(&clf, unknown.path()), 3);
    assert!(
        message.contains("\"Giraffe\" is no label") && message.contains("Ankle boot"),
        "{message}"
    );
    let message = refusal(&mut eval(&clf, folders(&["0", "10"]).path()), 3);
    assert!(message.contains("label 10, expected 0 to 9"), "{message}");
    let empty = tempfile::tempdir().unwrap();
    let message = refusal(&mut eval(&clf, empty.path()), 3);
    assert!(
        message.contains("no folders of pictures in it"),
        "{message}"
    );
    let message = refusal(&mut eval(&clf, &empty.path().join("nowhere")), 3);
    assert!(message.contains("nowhere: No such file"), "{message}");
    let message = refusal(&mut eval(&model("lm"), empty.path()), 3);
    assert!(message.contains("no image in it"), "{message}");
    let report = json(&mut eval(&model("lm"), &samples()[0].0));
    assert_eq!(report["images"], 1, "a picture by itself");
    let broken = folders(&["Coat"]);
    fs::write(broken.path().join("Coat/2.png"), "no picture").unwrap();
    eval(&clf, empty.path())
        .args(["--limit", "0"])
        .assert()
        .code(2);
}

#[test]
fn models_that_cannot_be_measured_or_compared_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let data = csv(folder.path());
    let features = folder.path().join("features.onnx");
    let mut quantize = igpt();
    quantize
        .arg("quantize")
        .arg(model("clf"))
        .arg("-o")
        .arg(&features);
    quantize.args(["--task", "features"]).assert().success();
    let message = refusal(&mut eval(&features, &data), 3);
    assert!(
        message.contains("features.onnx: made for task features"),
        "{message}"
    );

    let against = |other: &Path| refusal(eval(&model("clf"), &data).arg("--against").arg(other), 3);
    let lm = f32_file(folder.path(), "lm");
    let message = against(&lm);
    assert!(
        message.contains("lm.onnx: task is causal, expected classify as in"),
        "{message}"
    );

    let renamed = variant(folder.path(), "clf", |config| {
        config["id2label"]["3"] = "Kaftan".into();
    });
    let message = against(&renamed);
    assert!(
        message.contains("label 3 is \"Kaftan\", expected \"Dress\""),
        "{message}"
    );

    let fewer = variant(folder.path(), "clf", |config| {
        config["id2label"].as_object_mut().unwrap().remove("9");
        config["label2id"]
            .as_object_mut()
            .unwrap()
            .remove("Ankle boot");
    });
    let weights = fewer.join("model.safetensors");
    cut(&weights, |name| (name == "score.weight").then_some(9));
    let message = against(&fewer);
    assert!(
        message.contains("the number of classes is 9, expected 10"),
        "{message}"
    );

    let recolored = variant(folder.path(), "clf", |_| ());
    let path = recolored.join("preprocessor_config.json");
    let mut processor: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    processor["clusters"][7][1] = 0.125.into();
    fs::write(&path, processor.to_string()).unwrap();
    let message = against(&recolored);
    assert!(message.contains("colour 7 of the palette is"), "{message}");
    processor["size"] = serde_json::json!({"height": 7, "width": 28});
    fs::write(&path, processor.to_string()).unwrap();
    let message = against(&recolored);
    assert!(
        message.contains("the image size is 28 x 7, expected 14 x 14"),
        "{message}"
    );
}

/// Keeps of every tensor as many rows as `rows` says, all if it says nothing and none of one that it says 0 of.
fn cut(path: &Path, rows: impl Fn(&str) -> Option<usize>) {
    let bytes = fs::read(path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut kept = Vec::new();
    for (name, view) in tensors.tensors() {
        let mut shape = view.shape().to_vec();
        let row = view.data().len() / shape[0];
        shape[0] = rows(&name).unwrap_or(shape[0]);
        let data = &view.data()[..shape[0] * row];
        if shape[0] > 0 {
            kept.push((name, TensorView::new(view.dtype(), shape, data).unwrap()));
        }
    }
    let written = safetensors::serialize(kept, None).unwrap();
    fs::write(path, written).unwrap();
}

#[test]
fn models_of_other_layers_are_compared_but_for_these() {
    let folder = tempfile::tempdir().unwrap();
    let shallow = variant(folder.path(), "clf", |config| config["n_layer"] = 5.into());
    let weights = shallow.join("model.safetensors");
    cut(&weights, |name| name.contains("h.5.").then_some(0));
    let compare = || {
        let mut command = eval(&model("clf"), &csv(folder.path()));
        command
            .arg("--against")
            .arg(&shallow)
            .args(["--limit", "4"]);
        command
    };
    let report = json(&mut compare());
    assert_eq!(report["comparison"]["layers"], serde_json::json!([]));
    assert_eq!(report["comparison"]["against"]["images"], 4);
    let text = String::from_utf8(compare().unwrap().stdout).unwrap();
    assert!(text.contains("layers: not compared"), "{text}");
}

#[test]
fn help_teaches_by_examples() {
    let output = igpt().args(["eval", "--help"]).unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for words in [
        "Examples:",
        "How to read it:",
        "--against checkpoint/",
        "Exit codes:",
    ] {
        assert!(help.contains(words), "{words}: {help}");
    }
}
