//! docs/config.md holds: every field of its tables, changed in a small classifier's files, is honoured, refused
//! or without effect as the table says.

use std::fs;
use std::path::{Path, PathBuf};

use igpt_runtime::{ImageGptForImageClassification, LoadOptions};
use igpt_tools::onnx::Dtype;
use igpt_tools::verbs::quantize::{Args, quantize};
use serde_json::{Value, json};

const DOCS: &str = include_str!("../../docs/config.md");
const FILES: [&str; 2] = ["config.json", "preprocessor_config.json"];

/// A row of a table of fields.
struct Row {
    file: &'static str,
    field: &'static str,
    here: &'static str,
    tried: Value,
}

/// The rows of the section of each file.
fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut file = None;
    for line in DOCS.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            file = FILES.into_iter().find(|file| *file == title);
        }
        let (Some(file), Some(cells)) = (file, line.strip_prefix("| `")) else {
            continue;
        };
        let cells: Vec<&'static str> = cells.split(" | ").collect();
        let [field, here, tried, ..] = cells[..] else {
            panic!("{line}: too few cells");
        };
        let tried = tried.trim_matches('`');
        rows.push(Row {
            file,
            field: field.trim_end_matches('`'),
            here,
            tried: serde_json::from_str(tried).unwrap_or_else(|e| panic!("{line}: {tried}: {e}")),
        });
    }
    rows
}

fn base() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/checkpoint/safetensors")
}

/// What comes out of the classifier with these changes to its files: its tokens, logits, labels and scores for
/// one picture, or the error that says why nothing does.
fn observe(changes: &[(&str, &str, &Value)]) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(base()).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    for (file, field, value) in changes {
        let path = folder.path().join(file);
        let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        config[field] = (*value).clone();
        fs::write(&path, config.to_string()).unwrap();
    }
    let file = folder.path().join("model.onnx");
    let args = Args {
        dtype: Dtype::F32,
        ..Args::new(folder.path(), &file)
    };
    let report = quantize(&args).map_err(|failure| failure.to_string())?;
    let options = LoadOptions::new().with_threads(1);
    let Ok(model) = ImageGptForImageClassification::load(&file, &options) else {
        return Ok(format!("task {}", report.model.task));
    };
    // Five by four pixels of as many greys and colours.
    let rgb: Vec<u8> = (0..5 * 4 * 3).map(|i| (i * i * 7 % 256) as u8).collect();
    let tokens = model.processor().tokens_from_rgb8(&rgb, 5, 4).unwrap();
    let verdict = model.session().unwrap().classify(&tokens);
    Ok(match verdict {
        Ok(verdict) => format!("{tokens:?} {:?} {:?}", verdict.logits, verdict.top_k(9)),
        // More pixels than positions, for one.
        Err(error) => format!("{tokens:?} {error}"),
    })
}

#[test]
fn every_field_does_what_the_table_says() {
    let unchanged = observe(&[]).unwrap();
    let rows = rows();
    let mut wrong = Vec::new();
    for row in &rows {
        let change = (row.file, row.field, &row.tried);
        let found = match row.here {
            "refused for a language model" => {
                let causal = json!(["ImageGPTForCausalImageModeling"]);
                observe(&[change, ("config.json", "architectures", &causal)])
            }
            _ => observe(&[change]),
        };
        let holds = match (row.here, &found) {
            ("without effect", Ok(found)) => *found == unchanged,
            ("honoured", Ok(found)) => *found != unchanged,
            // Fields that say how large the weights and the palette are.
            ("honoured", Err(error)) => {
                error.contains("do not fit config.json") || error.contains("(vocab_size - 1)")
            }
            ("refused" | "refused for a language model", Err(error)) => {
                error.contains(row.field) && error.contains(row.file)
            }
            _ => false,
        };
        if !holds {
            let Row {
                field, here, tried, ..
            } = row;
            wrong.push(format!("{field} = {tried}: {here}? {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (file, least) in FILES.into_iter().zip([90, 40]) {
        let found = rows.iter().filter(|row| row.file == file).count();
        assert!(found >= least, "{file}: only {found} rows were read");
    }
}

/// Hugging Face's own lists of fields, as transformers 5.23 writes them: none is missing on the page.
#[test]
fn every_field_that_transformers_writes_is_on_the_page() {
    let rows = rows();
    for file in FILES {
        let text = fs::read(base().join(file)).unwrap();
        let written: Value = serde_json::from_slice(&text).unwrap();
        for field in written.as_object().unwrap().keys() {
            let listed = |row: &Row| row.file == file && row.field == field;
            assert!(rows.iter().any(listed), "{file}: {field}");
        }
    }
}
