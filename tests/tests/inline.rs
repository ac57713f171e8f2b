//! `igpt quantize --inline`: standard operators alone, sound as a graph, and the graph that other runtimes were
//! given for docs/model-format.md (tests/golden/inline.py).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use igpt_runtime::tools::pb;
use igpt_tools::onnx::{Dtype, Task};
use igpt_tools::verbs::quantize::{Args, quantize};
use prost::Message as _;
use serde_json::Value;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("golden")
        .join(name)
}

const DTYPES: [Dtype; 3] = [Dtype::Int8, Dtype::Int4, Dtype::F32];

fn written(case: &str, task: Option<Task>, dtype: Dtype, inline: bool) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out.onnx");
    quantize(&Args {
        task,
        dtype,
        inline,
        ..Args::new(golden("model").join(case), &file)
    })
    .unwrap();
    fs::read(&file).unwrap()
}

fn converted(case: &str, task: Option<Task>, dtype: Dtype, inline: bool) -> pb::ModelProto {
    pb::ModelProto::decode(written(case, task, dtype, inline).as_slice()).unwrap()
}

/// The golden models, which between them have every task and activation.
fn cases() -> Vec<(String, serde_json::Map<String, Value>)> {
    let text = fs::read(golden("inline.json")).unwrap();
    let all: Value = serde_json::from_slice(&text).unwrap();
    let cases = all["graphs"].as_object().unwrap().iter();
    cases
        .map(|(case, crcs)| (case.clone(), crcs.as_object().unwrap().clone()))
        .collect()
}

fn check(plain: &pb::ModelProto, inline: &pb::ModelProto, what: &str) {
    assert!(inline.functions.is_empty(), "{what}: functions");
    let sets: Vec<_> = inline
        .opset_import
        .iter()
        .map(|s| (s.domain.as_str(), s.version))
        .collect();
    assert_eq!(sets, [("", 23)], "{what}");
    let graph = inline.graph.as_ref().unwrap();
    let weights: BTreeSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(
        weights.len(),
        graph.initializer.len(),
        "{what}: an initializer twice"
    );
    let plain_graph = plain.graph.as_ref().unwrap();
    assert_eq!(
        graph.initializer, plain_graph.initializer,
        "{what}: other weights"
    );
    assert_eq!(graph.input, plain_graph.input);
    assert_eq!(graph.output, plain_graph.output);

    let mut defined: BTreeSet<&str> = graph.input.iter().map(|v| v.name.as_str()).collect();
    defined.extend(&weights);
    let (mut names, mut used, mut constants) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for node in &graph.node {
        assert_eq!(
            node.domain, "",
            "{what}: {} is of another domain",
            node.op_type
        );
        assert!(
            !node.op_type.starts_with("ImageGpt"),
            "{what}: {}",
            node.op_type
        );
        assert!(
            !node.name.is_empty() && names.insert(&node.name),
            "{what}: name {:?}",
            node.name
        );
        for input in node.input.iter().filter(|input| !input.is_empty()) {
            assert!(
                defined.contains(input.as_str()),
                "{what}: {input} before it is defined"
            );
            used.insert(input.as_str());
        }
        for output in &node.output {
            assert!(defined.insert(output), "{what}: {output} is defined twice");
        }
        let refers = node.attribute.iter().any(|a| !a.ref_attr_name.is_empty());
        assert!(
            !refers,
            "{what}: {} refers to a function's attribute",
            node.name
        );
        if node.op_type == "Constant" {
            let value = node.attribute[0].encode_to_vec();
            assert!(
                constants.insert(value),
                "{what}: {} is there twice",
                node.name
            );
        }
    }
    for output in graph.output.iter().chain(&graph.value_info) {
        assert!(
            defined.contains(output.name.as_str()),
            "{what}: no {}",
            output.name
        );
    }
    assert!(weights.is_subset(&used), "{what}: a weight without use");
}

#[test]
fn the_graph_is_sound_and_in_standard_operators() {
    for (case, _) in cases() {
        for dtype in DTYPES {
            let [plain, inline] = [false, true].map(|i| converted(&case, None, dtype, i));
            check(&plain, &inline, &format!("{case} in {}", dtype.name()));
        }
    }
    let [plain, inline] =
        [false, true].map(|i| converted("long", Some(Task::Features), Dtype::Int8, i));
    check(&plain, &inline, "features of a language model");
}

/// onnxruntime and OpenVINO ran these graphs. If the writer changes them, tests/golden/inline.py has to be run
/// again.
#[test]
fn the_graph_is_the_one_that_other_runtimes_ran() {
    for (case, crcs) in cases() {
        for dtype in DTYPES {
            let file = written(&case, None, dtype, true);
            let find = |text: &[u8]| file.windows(text.len()).position(|w| w == text).unwrap();
            let crc = crc32fast::hash(&file[find(b"constant.0")..find(b"igpt.format")]);
            assert_eq!(
                crcs[dtype.name()],
                crc,
                "{case} in {}: run tests/golden/inline.py",
                dtype.name()
            );
        }
    }
}
