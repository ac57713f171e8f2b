//! Models that are not one-of-N, and labels that are not one line: what is printed, counted and shown.

use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::rig::{Disk, Rig, Text, frames, opener};
use igpt_firmware_core::verdict::ProblemType;

/// What is printed of three pictures, of the classes zero, one and two, and the headlines shown.
fn run(problem: ProblemType, json: bool, change: impl FnOnce(&mut Rig)) -> (String, Vec<String>) {
    let out = Text::default();
    let headlines = Arc::new(Mutex::new(Vec::new()));
    let mut rig = Rig::new(&out);
    (rig.json, rig.model.problem) = (json, problem);
    rig.sinks.push(Box::new(Disk {
        full: |_| false,
        shown: 0,
        labels: Arc::clone(&headlines),
    }));
    change(&mut rig);
    rig.run(opener(false, vec![frames(3)])).unwrap();
    let headlines = headlines.lock().unwrap().clone();
    (out.read(), headlines)
}

fn objects(text: &str) -> Vec<Value> {
    let object = |line| serde_json::from_str(line).unwrap();
    text.lines().map(object).collect()
}

#[test]
fn of_a_multi_label_model_every_label_above_the_threshold_is_told() {
    let one_class = |rig: &mut Rig| rig.options.threshold = Some(0.6);
    let (text, headlines) = run(ProblemType::MultiLabel, false, one_class);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].contains("zero 90.0 %, one 70.0 %  "), "{text}");
    assert!(lines[2].contains("two 90.0 %, zero 70.0 %  "), "{text}");
    assert_eq!(headlines, ["zero, one", "one, two", "two, zero"]);

    let (text, _) = run(ProblemType::MultiLabel, true, |rig| {
        rig.options.threshold = Some(0.6);
        rig.top_k = 1;
    });
    let objects = objects(&text);
    let first = &objects[0];
    assert_eq!(first["labels"], serde_json::json!(["zero", "one"]));
    assert_eq!(
        first["top"].as_array().unwrap().len(),
        2,
        "whatever top-k: {first}"
    );
    assert_eq!(
        (&first["label"], &first["sure"]),
        (&"zero".into(), &true.into())
    );
    assert!((first["probability"].as_f64().unwrap() - 0.9).abs() < 1e-6);
    let summary = objects.last().unwrap();
    let counted = ["zero", "one", "two"].iter().enumerate();
    let counted: Vec<Value> = counted
        .map(|(class, label)| serde_json::json!({"class": class, "label": label, "count": 2}))
        .collect();
    assert_eq!(summary["verdicts"], Value::Array(counted), "{summary}");
}

#[test]
fn a_multi_label_model_that_sees_nothing_says_so() {
    let strict = |rig: &mut Rig| rig.options.threshold = Some(0.95);
    let (text, headlines) = run(ProblemType::MultiLabel, false, strict);
    assert!(text.contains("none (zero 90.0 %?)"), "{text}");
    assert_eq!(headlines, ["none"; 3]);
    let (text, _) = run(ProblemType::MultiLabel, true, |rig| {
        rig.options.threshold = Some(0.95);
    });
    let objects = objects(&text);
    assert_eq!(
        (&objects[0]["labels"], &objects[0]["sure"]),
        (&serde_json::json!([]), &false.into())
    );
    assert_eq!(objects.last().unwrap()["none"], 3);
}

#[test]
fn a_regression_gives_values() {
    let (text, headlines) = run(ProblemType::Regression, false, |_| {});
    assert!(
        text.contains("  zero 0.900, one -7.500, two -7.500  "),
        "{text}"
    );
    assert!(!text.contains('%'), "{text}");
    assert_eq!(headlines, ["zero", "one", "two"]);
    let (text, _) = run(ProblemType::Regression, true, |_| {});
    let objects = objects(&text);
    let first = &objects[0];
    assert!((first["value"].as_f64().unwrap() - 0.9).abs() < 1e-6);
    assert_eq!(first["top"][1]["value"], -7.5);
    for absent in ["probability", "sure", "labels"] {
        assert!(first.get(absent).is_none(), "{absent}: {first}");
    }
    let summary = objects.last().unwrap();
    assert_eq!(summary["values"][1]["label"], "one", "{summary}");
    assert_eq!(summary["values"][1]["min"], -7.5, "{summary}");
    assert_eq!(summary["verdicts"], serde_json::json!([]));
}

#[test]
fn a_label_that_is_a_word_of_ours_or_of_another_class_is_counted_for_itself() {
    let named = |labels: [&str; 3], threshold: f32| {
        let labels = labels.map(str::to_owned).to_vec();
        move |rig: &mut Rig| {
            rig.model.labels = labels;
            rig.options.threshold = Some(threshold);
        }
    };
    let end = |problem, labels, threshold| {
        let (text, _) = run(problem, true, named(labels, threshold));
        objects(&text).pop().unwrap()
    };
    let single = end(ProblemType::SingleLabel, ["unsure", "b", "b"], 0.5);
    assert_eq!(
        single["verdicts"],
        serde_json::json!([
            {"class": 0, "label": "unsure", "count": 1},
            {"class": 1, "label": "b", "count": 1},
            {"class": 2, "label": "b", "count": 1},
        ])
    );
    assert_eq!((&single["unsure"], &single["none"]), (&0.into(), &0.into()));
    let none_sure = end(ProblemType::SingleLabel, ["unsure", "b", "b"], 0.95);
    assert_eq!(none_sure["unsure"], 3);
    assert_eq!(none_sure["verdicts"], serde_json::json!([]));
    let several = end(ProblemType::MultiLabel, ["none", "b", "c"], 0.6);
    assert_eq!(
        several["verdicts"][0],
        serde_json::json!({"class": 0, "label": "none", "count": 2})
    );
    assert_eq!(several["none"], 0);
    let values = end(ProblemType::Regression, ["b", "b", "c"], 0.5);
    assert_eq!(values["values"].as_array().unwrap().len(), 3);
}

#[test]
fn a_label_of_two_lines_stays_on_its_line() {
    let label = "tabby\ncat\u{1b}[31m";
    let name = |rig: &mut Rig| rig.model.labels = vec![label.into(), "one".into(), "two".into()];
    for problem in [
        ProblemType::SingleLabel,
        ProblemType::MultiLabel,
        ProblemType::Regression,
    ] {
        let (text, headlines) = run(problem, false, name);
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.contains("tabby\\ncat\\u{1b}[31m"), "{text}");
        assert!(headlines.iter().all(|headline| !headline.contains('\n')));
        let (text, _) = run(problem, true, name);
        assert_eq!(
            objects(&text)[0]["label"],
            label,
            "JSON has what the model says"
        );
    }
}

#[test]
fn the_line_of_a_single_label_is_as_it_was() {
    let (text, headlines) = run(ProblemType::SingleLabel, false, |_| {});
    assert!(
        text.starts_with("     0  frame                     zero                  90.0 %  "),
        "{text}"
    );
    assert_eq!(headlines, ["zero", "one", "two"]);
    let (text, headlines) = run(ProblemType::SingleLabel, false, |rig| {
        rig.options.threshold = Some(0.95);
    });
    assert!(text.contains("unsure (zero?)        90.0 %"), "{text}");
    assert_eq!(headlines, ["unsure"; 3]);
}
