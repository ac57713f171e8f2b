//! One token at a time with the K/V cache: how fast, against reading the weights and the past once a token.

use std::time::Instant;

use igpt_kernels::Int4Matrix;
use igpt_runtime::onnx::Dtype;
use igpt_runtime::{ImageGptConfig, ImageGptModel, Steps};

use super::machine::bandwidth;
use super::report::{Generation, quantile};
use super::tokens;
use crate::failure::{Blame as _, Failure};

/// What to measure.
pub(super) struct Plan<'a> {
    pub(super) contexts: &'a [usize],
    pub(super) new_tokens: usize,
    pub(super) samples: &'a [usize],
}

/// Measures every context, one sample and several.
pub(super) fn measure(
    model: &ImageGptModel,
    threads: usize,
    plan: &Plan<'_>,
) -> Result<Vec<Generation>, Failure> {
    let weights = weight_bytes(model.config(), model.dtype());
    let weights_gb_per_s = bandwidth(weights, threads)?;
    let mut measured = Vec::new();
    for &samples in plan.samples {
        for &context in plan.contexts {
            let seconds = token_seconds(model, context, plan.new_tokens, samples)?;
            let middle = context + plan.new_tokens / 2;
            let past = kv_bytes(model.config(), middle);
            let bytes_per_token = weights as f64 + past;
            let bound_tokens_per_s = weights_gb_per_s * 1e9 / bytes_per_token;
            let tokens_per_s = samples as f64 / seconds;
            measured.push(Generation {
                threads,
                samples,
                context,
                tokens: plan.new_tokens,
                tokens_per_s,
                bytes_per_token,
                weights_gb_per_s,
                bound_tokens_per_s,
                fraction_of_bound: tokens_per_s / bound_tokens_per_s,
            });
        }
    }
    Ok(measured)
}

/// Seconds between two tokens of a sample, at the median, while `samples` sequences go on at once.
fn token_seconds(
    model: &ImageGptModel,
    context: usize,
    new_tokens: usize,
    samples: usize,
) -> Result<f64, Failure> {
    let one = || -> Result<f64, igpt_runtime::Error> {
        let mut steps = model.steps()?;
        let mut last = steps.feed(&tokens(model.config(), context))?;
        let mut times = Vec::with_capacity(new_tokens);
        for _ in 0..new_tokens {
            let start = Instant::now();
            last = next(model.config(), &mut steps, &last)?;
            times.push(start.elapsed().as_secs_f64());
        }
        times.sort_by(f64::total_cmp);
        Ok(quantile(&times, 0.5))
    };
    let medians = std::thread::scope(|scope| {
        let all: Vec<_> = (0..samples).map(|_| scope.spawn(one)).collect();
        all.into_iter()
            .map(|thread| {
                thread
                    .join()
                    .map_err(|_| anyhow::anyhow!("a thread panicked"))?
                    .map_err(anyhow::Error::from)
            })
            .collect::<Result<Vec<_>, _>>()
    })
    .bad_input()?;
    Ok(medians.iter().sum::<f64>() / medians.len() as f64)
}

/// Feeds the likeliest token after these logits, `[tokens, num_colors]`, and gives the logits after it.
pub(super) fn next(
    config: &ImageGptConfig,
    steps: &mut Steps<'_>,
    logits: &[f32],
) -> Result<Vec<f32>, igpt_runtime::Error> {
    let row = logits.len().saturating_sub(config.num_colors());
    let last = logits.get(row..).unwrap_or_default();
    let best = last
        .iter()
        .enumerate()
        .max_by(|(_, a), (_, b)| a.total_cmp(b));
    steps.feed(&[best.map_or(0, |(token, _)| token as u16)])
}

/// Weights, f32 scales and biases of blocks and head: what every token reads.
fn weight_bytes(config: &ImageGptConfig, dtype: Dtype) -> u64 {
    let (c, i) = (config.n_embd as u64, config.inner_dim() as u64);
    let matrix = |[k, n]: [u64; 2]| match dtype {
        Dtype::F32 => 4 * k * n,
        Dtype::Int8 => k * n,
        Dtype::Int4 => Int4Matrix::bytes(k as usize, n as usize)
            .iter()
            .sum::<usize>() as u64,
    };
    let matrices = [[c, 3 * c], [c, c], [c, i], [i, c]];
    let weights: u64 = matrices.map(matrix).iter().sum();
    let block = weights + 8 * (5 * c + i) + 8 * c;
    let head = config.num_colors() as u64 * (c + 8);
    config.n_layer as u64 * block + head
}

/// int8 keys and values of so many tokens, and their scales.
fn kv_bytes(config: &ImageGptConfig, tokens: usize) -> f64 {
    (config.n_layer * tokens * 2 * (config.n_embd + 4 * config.n_head)) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_token_of_imagegpt_small_reads() {
        let config = ImageGptConfig::small();
        let mb = |dtype| weight_bytes(&config, dtype) as f64 / 1e6;
        let (int8, int4) = (mb(Dtype::Int8), mb(Dtype::Int4));
        assert!((int8 - 76.0).abs() < 1.5, "{int8} MB of weights");
        assert!((int4 - 39.6).abs() < 1.0, "{int4} MB of weights");
        let mb = kv_bytes(&config, 1024) / 1e6;
        assert!((mb - 26.7).abs() < 0.1, "{mb} MB of keys and values");
    }
}
