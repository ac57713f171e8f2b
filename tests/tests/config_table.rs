//! docs/config.md holds: every field of its tables, changed in a small classifier's files, one of each family, is
//! honoured, refused or without effect as the table says.

use std::fs;
use std::path::{Path, PathBuf};

use igpt_runtime::{AutoModelForImageClassification, AutoSession, LoadOptions};
use igpt_tools::onnx::Dtype;
use igpt_tools::verbs::quantize::{Args, quantize};
use serde_json::{Value, json};

const DOCS: &str = include_str!("../../docs/config.md");
const FILES: [&str; 2] = ["config.json", "preprocessor_config.json"];

/// A family: the ending of its sections' titles, and its small classifier.
struct Family {
    ending: &'static str,
    checkpoint: &'static str,
    /// Rows that there are at least, of each file.
    least: [usize; 2],
}

const FAMILIES: [Family; 2] = [
    Family {
        ending: "",
        checkpoint: "golden/checkpoint/safetensors",
        least: [90, 40],
    },
    Family {
        ending: " of segformer",
        checkpoint: "golden/segformer/hub-names",
        least: [30, 18],
    },
];

/// A row of a table of fields.
struct Row {
    file: &'static str,
    field: &'static str,
    here: &'static str,
    tried: Value,
}

impl Family {
    /// The rows of the section of each file.
    fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut file = None;
        for line in DOCS.lines() {
            if let Some(title) = line.strip_prefix("## ") {
                let name = title.strip_suffix(self.ending);
                file = FILES.into_iter().find(|file| Some(*file) == name);
            }
            let (Some(file), Some(cells)) = (file, line.strip_prefix("| `")) else {
                continue;
            };
            let cells: Vec<&'static str> = cells.split(" | ").collect();
            let [field, here, tried, ..] = cells[..] else {
                panic!("{line}: too few cells");
            };
            let tried = tried.trim_matches('`');
            let value = serde_json::from_str(tried);
            rows.push(Row {
                file,
                field: field.trim_end_matches('`'),
                here,
                tried: value.unwrap_or_else(|e| panic!("{line}: {tried}: {e}")),
            });
        }
        rows
    }

    fn base(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(self.checkpoint)
    }

    /// What comes out of the classifier with these changes to its files: its input, logits, labels and scores for
    /// one picture, or the error that says why nothing does.
    fn observe(&self, changes: &[(&str, &str, &Value)]) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(self.base()).unwrap() {
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
        let Ok(model) = AutoModelForImageClassification::load(&file, &options) else {
            return Ok(format!("task {}", report.model.task));
        };
        // Five by four pixels of as many greys and colours.
        let rgb: Vec<u8> = (0..5 * 4 * 3).map(|i| (i * i * 7 % 256) as u8).collect();
        let (seen, verdict) = match (&model, model.session().unwrap()) {
            (
                AutoModelForImageClassification::ImageGpt(model),
                AutoSession::ImageGpt(mut session),
            ) => {
                let tokens = model.processor().tokens_from_rgb8(&rgb, 5, 4).unwrap();
                (format!("{tokens:?}"), session.classify(&tokens))
            }
            (_, mut session) => (String::new(), session.classify_rgb8(&rgb, 5, 4)),
        };
        Ok(match verdict {
            Ok(verdict) => format!("{seen} {:?} {:?}", verdict.logits, verdict.top_k(9)),
            // More pixels than positions, for one.
            Err(error) => format!("{seen} {error}"),
        })
    }

    /// What of the page does not hold.
    fn wrong(&self) -> Vec<String> {
        let unchanged = self.observe(&[]).unwrap();
        let rows = self.rows();
        let mut wrong = Vec::new();
        for row in &rows {
            let change = (row.file, row.field, &row.tried);
            let found = match row.here {
                "refused for a language model" => {
                    let causal = json!(["ImageGPTForCausalImageModeling"]);
                    self.observe(&[change, ("config.json", "architectures", &causal)])
                }
                _ => self.observe(&[change]),
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
                        // Of the number of stages each list is told.
                        || row.field.starts_with("num_") && error.contains("num_encoder_blocks")
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
        for (file, least) in FILES.into_iter().zip(self.least) {
            let found = rows.iter().filter(|row| row.file == file).count();
            assert!(found >= least, "{file}: only {found} rows were read");
        }
        wrong
    }
}

#[test]
fn every_field_does_what_the_table_says() {
    let wrong: Vec<String> = FAMILIES.iter().flat_map(Family::wrong).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Hugging Face's own lists of fields, as transformers 5.23 writes them: none is missing on the page.
#[test]
fn every_field_that_transformers_writes_is_on_the_page() {
    // What is of no family stands in the first one's tables.
    let all: Vec<Row> = FAMILIES.iter().flat_map(Family::rows).collect();
    for family in &FAMILIES {
        for file in FILES {
            let text = fs::read(family.base().join(file)).unwrap();
            let written: Value = serde_json::from_slice(&text).unwrap();
            for field in written.as_object().unwrap().keys() {
                let listed = |row: &Row| row.file == file && row.field == field;
                assert!(all.iter().any(listed), "{file}: {field}");
            }
        }
    }
}
