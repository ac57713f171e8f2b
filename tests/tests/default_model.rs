//! The shipped model as a board runs it: the same bits on every instruction set, thread count and history of a session, on this
//! machine and on the one that wrote `tests/golden/default/bits.txt`; and a damaged file is refused.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use igpt_runtime::image_io::decode_file;
use igpt_runtime::{
    Error, ImageGptForCausalImageModeling, ImageGptForImageClassification, ImageGptModel, Isa,
    LoadOptions,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests lie in the workspace")
        .to_owned()
}

fn model_path() -> PathBuf {
    root().join("models/fashion-mnist/igpt-fashion-mnist-int8.onnx")
}

/// Tokens of the first `n` pictures of the sample.
fn tokens(n: usize) -> Vec<Vec<u16>> {
    let model = ImageGptForImageClassification::load(model_path(), &LoadOptions::default())
        .expect("the shipped model");
    let folder = root().join("models/fashion-mnist/sample");
    let mut paths: Vec<_> = folder
        .read_dir()
        .expect("the sample")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    let decode = |path: &PathBuf| decode_file(path).expect("a picture");
    paths
        .iter()
        .take(n)
        .map(|path| {
            model
                .processor()
                .tokens_from_image(&decode(path))
                .expect("tokens")
        })
        .collect()
}

fn crc(values: &[f32]) -> u32 {
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|x| x.to_bits().to_le_bytes())
        .collect();
    crc32fast::hash(&bytes)
}

/// One line a hidden state, then the logits.
fn fingerprint(model: &ImageGptModel, batch: &[&[u16]]) -> String {
    let output = model.forward(batch).expect("a forward pass");
    let mut lines = String::new();
    for (i, state) in output.hidden_states.iter().enumerate() {
        let _ = writeln!(lines, "hidden_states.{i} {:08x}", crc(state));
    }
    let _ = writeln!(lines, "logits {:08x}", crc(&output.logits));
    lines
}

#[test]
fn every_instruction_set_and_thread_count_gives_the_bits_on_record() {
    let tokens = tokens(2);
    let batch: Vec<&[u16]> = tokens.iter().map(Vec::as_slice).collect();
    let record = root().join("tests/golden/default/bits.txt");
    let on_record = std::fs::read_to_string(&record).unwrap_or_default();
    for isa in Isa::available() {
        for threads in [1, 3] {
            let options = LoadOptions::new().with_threads(threads).with_cpu(Some(isa));
            let model = ImageGptModel::load(model_path(), &options).expect("the shipped model");
            let found = fingerprint(&model, &batch);
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
fn a_session_that_reuses_a_prefix_gives_the_bits_of_a_fresh_one() {
    let model = ImageGptForImageClassification::load(model_path(), &LoadOptions::default())
        .expect("the shipped model");
    let tokens = tokens(3);
    let mut session = model.session().expect("a session");
    let mut mixed = tokens[0].clone();
    mixed[150..].copy_from_slice(&tokens[1][150..]);
    let mut late = mixed.clone();
    late[195] ^= 1;
    let short = tokens[0][..150].to_vec();
    let frames = [
        &tokens[0], &tokens[0], &mixed, &late, &tokens[2], &tokens[0], &short, &tokens[0],
    ];
    let mut reused = Vec::new();
    for frame in frames {
        let got = session.classify(frame).expect("a verdict");
        let fresh = model
            .session()
            .expect("a session")
            .classify(frame)
            .expect("a verdict");
        assert_eq!(
            crc(&got.logits),
            crc(&fresh.logits),
            "after reusing {} tokens",
            got.reused_tokens
        );
        assert_eq!(fresh.reused_tokens, 0);
        // Without a session, in the keys and values that another block, and a longer frame, left behind.
        let once = model.model().logits(frame).expect("logits");
        assert_eq!(crc(&once), crc(&fresh.logits), "a run of its own");
        reused.push(got.reused_tokens);
    }
    assert_eq!(reused[1], 196, "an unchanged frame costs nothing");
    assert_eq!(
        reused[2..4],
        [0, 192],
        "the first that begins like the one before keeps whole tiles for the next"
    );
    assert_eq!(reused[7], 128, "after a shorter sequence: {reused:?}");
}

#[test]
fn a_session_survives_tokens_that_do_not_fit() {
    let model = ImageGptForImageClassification::load(model_path(), &LoadOptions::default())
        .expect("the shipped model");
    let tokens = tokens(1);
    let mut session = model.session().expect("a session");
    let want = session.classify(&tokens[0]).expect("a verdict");
    let mut wrong = tokens[0].clone();
    wrong[100] = 999;
    let error = session
        .classify(&wrong)
        .expect_err("token 999 of 33")
        .to_string();
    assert!(
        error.contains("999") && error.contains("33") && error.contains("100"),
        "{error}"
    );
    let error = session
        .classify(&vec![0; 197])
        .expect_err("197 tokens for 196 positions")
        .to_string();
    assert!(error.contains("197") && error.contains("196"), "{error}");
    assert!(matches!(session.classify(&[]), Err(Error::Tokens(_))));
    assert_eq!(
        session.classify(&tokens[0]).expect("a verdict").logits,
        want.logits
    );
}

#[test]
fn a_file_for_another_task_or_a_missing_one_is_named() {
    let error = ImageGptForCausalImageModeling::load(model_path(), &LoadOptions::default())
        .expect_err("a classifier")
        .to_string();
    assert!(
        error.contains("igpt-fashion-mnist-int8.onnx")
            && error.contains("classify")
            && error.contains("causal"),
        "{error}"
    );
    let error = ImageGptModel::load("/nowhere/model.onnx", &LoadOptions::default())
        .expect_err("no such file")
        .to_string();
    assert!(error.contains("/nowhere/model.onnx"), "{error}");
}
