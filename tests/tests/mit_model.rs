//! The shipped Mix Transformer: the same bits on every instruction set and thread count, here and on the machine that wrote
//! `tests/golden/default/mit-bits.txt`; and it knows most of the sample.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use igpt_runtime::image_io::decode_file;
use igpt_runtime::{AutoModelForImageClassification, Isa, LoadOptions};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests lie in the workspace")
        .to_owned()
}

fn load(options: &LoadOptions) -> AutoModelForImageClassification {
    let path = root().join("models/fashion-mnist/mit-fashion-mnist-int8.onnx");
    AutoModelForImageClassification::load(path, options).expect("the shipped model")
}

/// The sample's pictures and what `labels.csv` says that each is, in its order.
fn sample() -> Vec<(PathBuf, String)> {
    let folder = root().join("models/fashion-mnist/sample");
    let table = std::fs::read_to_string(folder.join("labels.csv")).expect("the labels");
    let row = |line: &str| {
        let (file, label) = line.split_once(',').expect("a file and its label");
        (folder.join(file), label.to_owned())
    };
    table.lines().skip(1).map(row).collect()
}

#[test]
fn every_instruction_set_and_thread_count_gives_the_bits_on_record() {
    let record = root().join("tests/golden/default/mit-bits.txt");
    let on_record = std::fs::read_to_string(&record).unwrap_or_default();
    for isa in Isa::available() {
        for threads in [1, 2, 3] {
            let model = load(&LoadOptions::new().with_threads(threads).with_cpu(Some(isa)));
            let mut session = model.session().expect("a session");
            let mut found = String::new();
            for (path, _) in sample().iter().take(4) {
                let picture = decode_file(path).expect("a picture");
                let verdict = session.classify_image(&picture).expect("a verdict");
                let bytes: Vec<u8> = verdict
                    .logits
                    .iter()
                    .flat_map(|x| x.to_bits().to_le_bytes())
                    .collect();
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let _ = writeln!(found, "{name} {:08x}", crc32fast::hash(&bytes));
            }
            // Written by hand from this message when a change of model or contract is meant.
            assert_eq!(
                found,
                on_record,
                "{isa}, {threads} threads against {}:\n{found}",
                record.display()
            );
        }
    }
}

#[test]
fn it_knows_most_of_the_sample() {
    let model = load(&LoadOptions::new());
    let mut session = model.session().expect("a session");
    let sample = sample();
    let right = sample.iter().filter(|(path, label)| {
        let picture = decode_file(path).expect("a picture");
        let verdict = session.classify_image(&picture).expect("a verdict");
        verdict.top_k(1)[0].label == *label
    });
    let right = right.count();
    assert!(right >= 20, "{right} of {}", sample.len());
}
