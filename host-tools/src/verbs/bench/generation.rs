//! Generation with the K/V cache, a token of each sample at a time: how fast, against reading the weights
//! once and every past, and against the dot products that it takes.

use std::time::Instant;

use igpt_kernels::Int4Matrix;
use igpt_runtime::Dtype;
use igpt_runtime::{ImageGptConfig, ImageGptModel, Steps};

use super::input::tokens;
use super::machine::{bandwidth, register_peak};
use super::report::{Generation, quantile};
use crate::failure::{Blame as _, Failure};
use crate::imagegpt::cost::macs;
use crate::onnx::Task;

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
    let peak = register_peak(model.isa(), threads)?;
    let mut measured = Vec::new();
    for &samples in plan.samples {
        for &context in plan.contexts {
            let (seconds, fastest) = token_seconds(model, context, plan.new_tokens, samples)?;
            let middle = context + plan.new_tokens / 2;
            let past = kv_bytes(model.config(), middle);
            // In lockstep the weights are read once for all.
            let bytes_per_token = weights as f64 / samples as f64 + past;
            let reading = weights_gb_per_s * 1e9 / bytes_per_token;
            let multiplying = peak * 1e9 / macs_per_token(model.config(), middle) as f64;
            // The f32 kernels do not use these instructions.
            let compute_bound = model.dtype() != Dtype::F32 && multiplying < reading;
            let bound_tokens_per_s = if compute_bound { multiplying } else { reading };
            let tokens_per_s = samples as f64 / seconds;
            measured.push(Generation {
                threads,
                samples,
                context,
                tokens: plan.new_tokens,
                tokens_per_s,
                fastest_token_s: fastest,
                bytes_per_token,
                weights_gb_per_s,
                bound_tokens_per_s,
                bound_by: if compute_bound {
                    "compute"
                } else {
                    "bandwidth"
                },
                fraction_of_bound: tokens_per_s / bound_tokens_per_s,
            });
        }
    }
    Ok(measured)
}

/// Seconds from one token of every sample to the next, at the median and the least, while `samples` sequences
/// go on in lockstep.
fn token_seconds(
    model: &ImageGptModel,
    context: usize,
    new_tokens: usize,
    samples: usize,
) -> Result<(f64, f64), Failure> {
    let mut steps = (0..samples)
        .map(|_| model.steps())
        .collect::<Result<Vec<_>, _>>()
        .bad_input()?;
    let mut last = Vec::new();
    for steps in &mut steps {
        let logits = steps.feed(&tokens(model.config(), context)).bad_input()?;
        last.extend(likeliest(model.config(), &logits).last());
    }
    let mut lockstep = Steps::join(steps).bad_input()?;
    let mut times = Vec::with_capacity(new_tokens);
    for _ in 0..new_tokens {
        let start = Instant::now();
        let logits = lockstep.feed(&last).bad_input()?;
        last = likeliest(model.config(), &logits).collect();
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok((quantile(&times, 0.5), quantile(&times, 0.0)))
}

/// Feeds the likeliest token after these logits, `[tokens, num_colors]`, and gives the logits after it.
pub(super) fn next(
    config: &ImageGptConfig,
    steps: &mut Steps<'_>,
    logits: &[f32],
) -> Result<Vec<f32>, igpt_runtime::Error> {
    steps.feed(&[likeliest(config, logits).last().unwrap_or(0)])
}

/// The likeliest token of each row of `logits`, `[rows, num_colors]`.
fn likeliest(config: &ImageGptConfig, logits: &[f32]) -> impl Iterator<Item = u16> {
    logits.chunks_exact(config.num_colors()).map(|row| {
        let tokens = row.iter().zip(0u16..);
        let best = tokens.max_by(|(a, _), (b, _)| a.total_cmp(b));
        best.map_or(0, |(_, token)| token)
    })
}

/// Multiply-accumulates of a token after `past` others: linear layers, head and attention.
fn macs_per_token(config: &ImageGptConfig, past: usize) -> u64 {
    let task = Task::Causal.name();
    let upto = |tokens| {
        let (linear, attention) = macs(config, task, tokens);
        linear + attention
    };
    upto(past + 1) - upto(past)
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
