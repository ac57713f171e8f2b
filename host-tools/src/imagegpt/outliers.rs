//! The outlier channels of an ImageGPT's blocks and of its head.

use igpt_runtime::Activation;

use super::block::{BlockWeights, Pair};
use crate::quantization::outliers::{
    Rescaled, columns, factors, factors_between, factors_of, summary,
};

/// Brings outlier channels of every pair of `block` into line, and says which.
pub(super) fn normalize(block: &mut BlockWeights, activation: Activation) -> Vec<Rescaled> {
    let mut report = Vec::new();
    // Norms first: the size of a column is that of ordinary rows.
    let mut pairs: Vec<Pair> = Pair::all(activation).collect();
    pairs.sort_by_key(|pair| !matches!(pair, Pair::Ln1 | Pair::Ln2));
    for pair in pairs {
        let factors = match pair {
            Pair::Ln1 => factors(None, &block.c_attn),
            Pair::Ln2 => factors(None, &block.c_fc),
            Pair::Inner => {
                let inner = columns(&block.c_fc, &block.ln_2);
                factors(Some(&inner), &block.mlp_c_proj)
            }
            Pair::Value => {
                let attn = columns(&block.c_attn, &block.ln_1);
                let values = attn.get(2 * block.ln_1.len()..);
                factors(values, &block.attn_c_proj)
            }
            Pair::QueryKey => query_key_factors(block),
        };
        if let Some(rescaled) = summary(pair.name(), &factors) {
            block.rescale(pair, &factors);
            report.push(rescaled);
        }
    }
    report
}

/// Brings outlier channels of `gain` and the rows of a head's `weight` (`[in, out]`) into line: whether any
/// was.
pub(super) fn normalize_head(gain: &mut [f32], weight: &mut [f32], outputs: usize) -> bool {
    let factors = factors_of(None, weight, outputs);
    let outliers = factors.iter().any(|f| *f != 1.0);
    if outliers {
        for ((row, gain), factor) in weight
            .chunks_exact_mut(outputs.max(1))
            .zip(gain)
            .zip(&factors)
        {
            *gain *= factor;
            row.iter_mut().for_each(|w| *w /= factor);
        }
    }
    outliers
}

/// What brings queries and keys into line.
fn query_key_factors(block: &BlockWeights) -> Vec<f32> {
    let sizes = columns(&block.c_attn, &block.ln_1);
    let (queries, rest) = sizes.split_at_checked(block.ln_1.len()).unwrap_or_default();
    factors_between(queries, rest)
}
