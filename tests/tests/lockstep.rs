//! Sequences in lockstep: each gives what it gives alone, bit for bit, whatever its length, its company and the threads.

mod convert;

use igpt_runtime::{
    Error, GenerationConfig, ImageGptForCausalImageModeling, Isa, LoadOptions, Lockstep, Steps,
};
use igpt_tools::onnx::Dtype;

use convert::{bits, language_model};

/// Contexts of these many tokens: within a kv tile, across its end, at it.
const LENGTHS: [usize; 5] = [1, 70, 5, 127, 64];

fn load(
    path: &std::path::Path,
    threads: usize,
    cpu: Option<Isa>,
) -> ImageGptForCausalImageModeling {
    ImageGptForCausalImageModeling::load(
        path,
        &LoadOptions::new().with_threads(threads).with_cpu(cpu),
    )
    .expect("the language model")
}

/// Some tokens after the start token.
fn context(model: &ImageGptForCausalImageModeling, seed: usize, len: usize) -> Vec<u16> {
    let colors = model.model().config().num_colors();
    let after = (1..len).map(|i| ((i * 7 + seed * 13) % colors) as u16);
    std::iter::once(model.start_token()).chain(after).collect()
}

fn begin<'a>(model: &'a ImageGptForCausalImageModeling, seed: usize, len: usize) -> Steps<'a> {
    let mut steps = model.model().steps().expect("a sequence");
    steps.feed(&context(model, seed, len)).expect("logits");
    steps
}

#[test]
fn a_lane_gives_the_bits_of_its_sequence_alone() {
    for dtype in [Dtype::Int8, Dtype::Int4, Dtype::F32] {
        let (_folder, path) = language_model(dtype);
        for isa in Isa::available() {
            for threads in [1, 3] {
                let model = load(&path, threads, Some(isa));
                let sequences = || {
                    LENGTHS
                        .iter()
                        .enumerate()
                        .map(|(i, len)| begin(&model, i, *len))
                };
                let mut alone: Vec<Steps<'_>> = sequences().collect();
                let mut lockstep = Steps::join(sequences().collect()).expect("a lockstep");
                let mut lanes: Vec<usize> = (0..LENGTHS.len()).collect();
                for step in 0..4 {
                    // After two steps the second and the last sequence have their end.
                    if step == 2 {
                        lockstep
                            .retain(&[true, false, true, true, false])
                            .expect("a choice");
                        lanes = vec![0, 2, 3];
                    }
                    let tokens: Vec<u16> =
                        lanes.iter().map(|lane| (lane * 3 + step) as u16).collect();
                    let logits = lockstep.feed(&tokens).expect("logits");
                    let rows = logits.chunks_exact(logits.len() / lanes.len());
                    for ((row, lane), token) in rows.zip(&lanes).zip(&tokens) {
                        let want = alone[*lane].feed(&[*token]).expect("logits");
                        assert_eq!(
                            bits(row),
                            bits(&want),
                            "{dtype:?} on {isa}, {threads} threads, lane {lane}"
                        );
                    }
                    let pasts: Vec<usize> =
                        lanes.iter().map(|lane| LENGTHS[*lane] + step + 1).collect();
                    assert_eq!(lockstep.pasts(), pasts);
                }
            }
        }
    }
}

#[test]
fn a_sample_depends_on_its_stream_and_not_on_its_company() {
    let (_folder, path) = language_model(Dtype::Int8);
    let model = load(&path, 2, None);
    let how = GenerationConfig::new()
        .with_max_length(Some(140))
        .with_do_sample(true)
        .with_top_k(5)
        .with_seed(4);
    let contexts: Vec<Vec<u16>> = LENGTHS
        .iter()
        .enumerate()
        .map(|(i, len)| context(&model, i, *len))
        .collect();
    let contexts: Vec<&[u16]> = contexts.iter().map(Vec::as_slice).collect();
    // More than go together at once.
    let all = model
        .generate_batch(&contexts, 4, &how, &|_| {})
        .expect("completions");
    assert_eq!(all.len(), 4 * contexts.len());
    for (samples, context) in all.chunks_exact(4).zip(&contexts) {
        assert_eq!(
            samples[0],
            model.generate(context, &how).expect("a completion")
        );
        let two = model
            .generate_batch(&[context], 2, &how, &|_| {})
            .expect("completions");
        assert_eq!(samples[..2], two[..]);
        assert!(
            samples
                .iter()
                .all(|tokens| tokens.len() == 140 && tokens.starts_with(context))
        );
        assert_ne!(samples[2], samples[3], "streams differ");
    }
    // A context as long as it shall be is its own completion, beside others that are not.
    let full = context(&model, 9, 140);
    let both = model
        .generate_batch(&[&full, contexts[0]], 1, &how, &|_| {})
        .expect("completions");
    assert_eq!((&both[0], &both[1]), (&full, &all[0]));
}

#[test]
fn what_cannot_go_together_is_refused() {
    let (_folder, path) = language_model(Dtype::Int8);
    let (model, other) = (load(&path, 1, None), load(&path, 1, None));
    let refused = |result: Result<Lockstep<'_>, Error>, word: &str| {
        let text = result.expect_err("a refusal").to_string();
        assert!(text.contains(word), "{text} does not say {word}");
    };
    refused(Steps::join(Vec::new()), "no sequences");
    refused(
        Steps::join(vec![begin(&model, 0, 3), begin(&other, 0, 3)]),
        "different models",
    );

    let limit = model.model().config().n_positions;
    let mut lockstep =
        Steps::join(vec![begin(&model, 0, 3), begin(&model, 1, limit)]).expect("a lockstep");
    let text = |error: Error| error.to_string();
    assert!(text(lockstep.feed(&[1]).unwrap_err()).contains("1 of them for 2 sequences"));
    assert!(text(lockstep.feed(&[1, u16::MAX]).unwrap_err()).contains("65535"));
    assert!(text(lockstep.feed(&[1, 1]).unwrap_err()).contains("n_positions"));
    assert!(text(lockstep.retain(&[true]).unwrap_err()).contains("1 choices for 2 sequences"));
    // None of that has harmed it.
    lockstep.retain(&[true, false]).expect("a choice");
    let row = lockstep.feed(&[1]).expect("logits");
    let want = begin(&model, 0, 3).feed(&[1]).expect("logits");
    assert_eq!(bits(&row), bits(&want));
    lockstep.retain(&[false]).expect("a choice");
    assert!(text(lockstep.feed(&[]).unwrap_err()).contains("0 sequences"));
}
