//! What can be asked for of what is taught, as a line of JSON, and the answers as a person reads them.

use std::path::PathBuf;

use igpt_heads::NONE;
use igpt_runtime::tools::{counted, one_line};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Most pictures of one showing.
pub(crate) const MOST_SHOWN: u32 = 1000;

/// A line of JSON from whoever asks: docs/teaching.md has them all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Request {
    /// Take the next frames as examples.
    Teach {
        /// Of this class,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        label: Option<String>,
        /// or of none.
        #[serde(default)]
        none: bool,
        /// So many that differ; of a file that is not live by default all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        examples: Option<u32>,
        /// At least so long between two, in seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        interval: Option<f64>,
    },
    /// Take back the last showing, or the last thing that was forgotten.
    Undo {},
    /// What was taught.
    List {},
    /// Forget a class,
    Forget {
        /// this one,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        label: Option<String>,
        /// or what is none of them.
        #[serde(default)]
        none: bool,
    },
    /// Write a model file.
    Export {
        /// Where to; a full path.
        file: PathBuf,
    },
    /// What runs, and what was taught.
    Status {},
}

impl Request {
    /// Reads a line.
    ///
    /// # Errors
    /// In words: no JSON, an unknown request, a value out of its range.
    pub(crate) fn read(line: &str) -> Result<Self, String> {
        let request: Self = serde_json::from_str(line).map_err(|error| {
            format!(
                "{error}; expected an object such as {{\"do\":\"teach\",\"label\":\"mug\"}}, {{\"do\":\"status\"}}"
            )
        })?;
        request.check().map(|()| request)
    }

    /// Refuses what cannot be.
    ///
    /// # Errors
    /// In words.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self {
            Self::Teach { label, none, .. } | Self::Forget { label, none }
                if label.is_some() == *none =>
            {
                Err("expected a label, or \"none\":true, and not both".into())
            }
            Self::Teach {
                examples: Some(found),
                ..
            } if *found == 0 || *found > MOST_SHOWN => {
                Err(format!("examples {found}: expected 1 to {MOST_SHOWN}"))
            }
            Self::Teach {
                interval: Some(found),
                ..
            } if !(0.0..=60.0).contains(found) => {
                Err(format!("interval {found}: expected 0 to 60 seconds"))
            }
            Self::Export { file } if !file.is_absolute() => Err(format!(
                "file {:?}: expected a full path, which begins with /",
                file.display().to_string()
            )),
            _ => Ok(()),
        }
    }
}

/// An answer as a person reads it.
pub(crate) fn text(answer: &Value) -> String {
    let word = |key: &str| {
        let text = answer[key].as_str();
        text.map(|text| one_line(text).into_owned())
    };
    match answer["event"].as_str() {
        Some("example") => example(answer),
        Some("error") => word("error").unwrap_or_default(),
        _ => {
            let mut lines: Vec<String> = word("said").into_iter().collect();
            lines.extend(report(answer));
            lines.join("\n")
        }
    }
}

fn example(answer: &Value) -> String {
    let label = answer["label"].as_str().unwrap_or(NONE);
    let count = |key: &str| answer[key].as_u64().unwrap_or_default();
    let mut text = format!("{} {}", one_line(label), count("taken"));
    if let Some(wanted) = answer["wanted"].as_u64() {
        text.push_str(&format!(" of {wanted}"));
    }
    if answer["new"] == false {
        text.push_str("  nearly the same as before: turn it, or move it");
    }
    if let Some(right) = accuracy(answer) {
        text.push_str(&format!("  {right}"));
    }
    text
}

/// `92 % of 12 showings right without themselves`.
fn accuracy(answer: &Value) -> Option<String> {
    let (accuracy, of) = (answer["accuracy"].as_f64()?, answer["of"].as_u64()?);
    let what = match answer["counted"].as_str() {
        Some("showings") => "showing",
        _ => "example",
    };
    let share = 100.0 * accuracy;
    Some(format!(
        "{share:.0} % of {} right without themselves",
        counted(of, what)
    ))
}

/// The lines about what was taught.
fn report(answer: &Value) -> Vec<String> {
    let Some(classes) = answer["classes"].as_array() else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    if let Some(model) = answer["model"].as_str() {
        lines.push(format!("model {}", one_line(model)));
    }
    if let Some(teaching) = answer["teaching"].as_str() {
        lines.push(format!("being shown: {}", one_line(teaching)));
    }
    if classes.is_empty() {
        lines.push("no class was taught".into());
    }
    let none = (!answer["none"].is_null()).then_some(&answer["none"]);
    for class in classes.iter().chain(none) {
        let count = |key: &str| class[key].as_u64().unwrap_or_default();
        lines.push(format!(
            "{:<20} {} in {}",
            one_line(class["label"].as_str().unwrap_or_default()),
            counted(count("examples"), "example"),
            counted(count("showings"), "showing"),
        ));
    }
    if let (Some(method), Some(layer)) = (answer["method"].as_str(), answer["layer"].as_u64()) {
        lines.push(format!("by {} at layer {layer}", method.replace('_', " ")));
    }
    lines.extend(accuracy(answer));
    if answer["counted"] == "examples" && !answer["accuracy"].is_null() {
        lines.push(
            "some class was shown once only, which flatters: show it again at another time".into(),
        );
    }
    for suspect in answer["suspects"].as_array().into_iter().flatten() {
        let name = |key: &str| one_line(suspect[key].as_str().unwrap_or_default()).into_owned();
        let number = suspect["example"].as_u64().unwrap_or_default() + 1;
        lines.push(format!(
            "suspect: example {number}, shown as {}, resembles {} more",
            name("label"),
            name("resembles")
        ));
    }
    match answer["calibration"].as_str() {
        Some("own_examples") => lines.push(format!(
            "\"{NONE}\" is loose: show what is none of them (teach --none)"
        )),
        None if !classes.is_empty() => lines.push(format!(
            "nothing is \"{NONE}\" yet: show another example, or what is none of them (teach --none)"
        )),
        _ => {}
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn requests_are_read_or_refused_in_words() {
        let read = |line: &str| Request::read(line);
        assert_eq!(read(r#"{"do":"undo"}"#), Ok(Request::Undo {}));
        let teach = read(r#"{"do":"teach","label":"mug","examples":5}"#).unwrap();
        let back = serde_json::to_string(&teach).unwrap();
        assert_eq!(read(&back), Ok(teach));
        for (line, said) in [
            ("teach mug", "expected an object such as"),
            (r#"{"do":"dance"}"#, "unknown variant `dance`"),
            (r#"{"do":"teach"}"#, "expected a label"),
            (r#"{"do":"teach","label":"a","none":true}"#, "not both"),
            (r#"{"do":"teach","label":"a","examples":0}"#, "examples 0"),
            (r#"{"do":"teach","label":"a","interval":-1}"#, "interval -1"),
            (r#"{"do":"teach","label":"a","colour":1}"#, "colour"),
            (r#"{"do":"undo","label":"a"}"#, "label"),
            (r#"{"do":"export","file":"a.onnx"}"#, "a full path"),
        ] {
            let error = read(line).unwrap_err();
            assert!(error.contains(said), "{line}: {error}");
        }
    }

    #[test]
    fn answers_are_read_by_people() {
        let said = text(
            &json!({ "event": "example", "label": "mug", "taken": 3, "wanted": 5,
            "new": false, "accuracy": 0.915, "of": 12, "counted": "showings" }),
        );
        assert!(said.starts_with("mug 3 of 5  nearly the same"), "{said}");
        assert!(
            said.ends_with("92 % of 12 showings right without themselves"),
            "{said}"
        );
        let said = text(&json!({ "event": "done", "classes": [], "none": null }));
        assert_eq!(said, "no class was taught");
        let said = text(
            &json!({ "event": "done", "said": "x\ny", "classes": [{"label": "mug", "examples": 1,
            "showings": 1}], "none": null, "suspects": [{"example": 0, "label": "mug", "resembles": "cup"}],
            "calibration": "own_examples" }),
        );
        assert!(said.starts_with("x\\ny\nmug "), "{said}");
        assert!(
            said.contains("suspect: example 1, shown as mug, resembles cup more"),
            "{said}"
        );
        assert!(said.contains("teach --none"), "{said}");
    }
}
