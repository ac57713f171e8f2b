//! The causal model: cached steps are the whole pass bit for bit, on every instruction set; sampling is seeded; bad requests are refused.

mod convert;

use std::path::PathBuf;

use igpt_runtime::{Error, GenerationConfig, ImageGptForCausalImageModeling, Isa, LoadOptions};
use igpt_tools::onnx::Dtype;

use convert::{bits, language_model};

fn load(path: &PathBuf, options: &LoadOptions) -> ImageGptForCausalImageModeling {
    ImageGptForCausalImageModeling::load(path, options).expect("the language model")
}

#[test]
fn one_token_at_a_time_is_the_whole_pass_bit_for_bit() {
    for dtype in [Dtype::Int8, Dtype::F32] {
        let (_folder, path) = language_model(dtype);
        let mut on_scalar = None;
        for isa in Isa::available() {
            let model = load(
                &path,
                &LoadOptions::new().with_threads(2).with_cpu(Some(isa)),
            );
            let how = GenerationConfig::new().with_max_length(Some(130));
            let tokens = model
                .generate(&[model.start_token(), 3, 9], &how)
                .expect("a completion");
            assert_eq!(tokens.len(), 130);
            // What was chosen step by step from the cache is the largest of each row of one pass over all of it.
            let logits = model.logits(&tokens[..129]).expect("logits");
            let width = logits.len() / 129;
            for (row, token) in logits.chunks_exact(width).zip(&tokens[1..]).skip(2) {
                let best = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                assert_eq!(
                    row[usize::from(*token)].to_bits(),
                    best.to_bits(),
                    "{dtype:?} on {isa}"
                );
            }
            let want = on_scalar.get_or_insert_with(|| (tokens.clone(), bits(&logits)));
            assert_eq!(
                (&tokens, &bits(&logits)),
                (&want.0, &want.1),
                "{dtype:?} on {isa}"
            );
        }
    }
}

#[test]
fn sampling_follows_its_seed_and_its_limits() {
    let (_folder, path) = language_model(Dtype::Int8);
    let model = load(&path, &LoadOptions::default());
    let context = [model.start_token()];
    let greedy = GenerationConfig::new().with_max_length(Some(60));
    let sample = greedy.with_do_sample(true).with_seed(1);
    let run = |how: &GenerationConfig| model.generate(&context, how).expect("a completion");
    assert_eq!(run(&sample), run(&sample), "the same seed");
    assert_ne!(run(&sample), run(&sample.with_seed(2)), "another seed");
    assert_eq!(
        run(&sample.with_top_k(1)),
        run(&greedy),
        "the largest of one"
    );
    assert_eq!(
        run(&sample.with_temperature(1e-4)),
        run(&greedy),
        "a cold distribution"
    );
    // Every token of a sample is among the largest top_k of its step.
    let how = sample.with_top_k(3).with_temperature(2.0);
    let tokens = run(&how);
    let logits = model.logits(&tokens[..59]).expect("logits");
    for (row, token) in logits.chunks_exact(logits.len() / 59).zip(&tokens[1..]) {
        let better = row
            .iter()
            .filter(|x| **x > row[usize::from(*token)])
            .count();
        assert!(better < 3, "token {token} is number {}", better + 1);
    }
    // Every token of a nucleus sample has less than top_p of probability before it.
    let how = sample.with_top_k(0).with_top_p(0.5);
    let tokens = run(&how);
    let logits = model.logits(&tokens[..59]).expect("logits");
    for (row, token) in logits.chunks_exact(logits.len() / 59).zip(&tokens[1..]) {
        let chosen = row[usize::from(*token)];
        let weight = |x: &f32| f64::from(*x).exp();
        let better: f64 = row.iter().filter(|x| **x > chosen).map(weight).sum();
        let share = better / row.iter().map(weight).sum::<f64>();
        assert!(share < 0.5, "{share} before token {token}");
    }
    let whole = run(&greedy.with_max_length(None));
    assert_eq!(whole.len(), 197, "to the end of the picture by default");
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let (_folder, path) = language_model(Dtype::Int8);
    let model = load(&path, &LoadOptions::default());
    let good = GenerationConfig::new()
        .with_max_length(Some(10))
        .with_do_sample(true);
    let refuse = |context: &[u16], how: GenerationConfig, words: &[&str]| {
        let error = model.generate(context, &how).expect_err("a refusal");
        let text = error.to_string();
        assert!(
            words.iter().all(|word| text.contains(word)),
            "{text} does not say {words:?}"
        );
        error
    };
    assert!(matches!(
        refuse(&[], good, &["0 tokens"]),
        Error::Generation(_)
    ));
    refuse(&[32], good.with_max_length(Some(198)), &["198", "197"]);
    refuse(&[32; 11], good, &["11", "10"]);
    for temperature in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        refuse(&[32], good.with_temperature(temperature), &["temperature"]);
    }
    for top_p in [0.0, -0.5, 1.01, f32::NAN] {
        refuse(&[32], good.with_top_p(top_p), &["top_p"]);
    }
    assert!(matches!(
        refuse(&[32, 33], good, &["33", "vocabulary"]),
        Error::Tokens(_)
    ));
}
