//! What a forward pass of an ImageGPT costs.

use igpt_runtime::tools::Operator;
use igpt_runtime::{ImageGptConfig, Task};

/// Multiply-accumulates for `tokens` tokens: linear layers, those of a language model's head included, and
/// attention.
pub(crate) fn macs(config: &ImageGptConfig, task: &str, tokens: usize) -> (u64, u64) {
    let of = |operator| operator_macs(config, task, tokens, operator).unwrap_or(0);
    let all = Operator::IMAGEGPT
        .iter()
        .map(|operator| of(*operator))
        .sum::<u64>();
    let attention = of(Operator::Attention);
    (all - attention, attention)
}

/// Multiply-accumulates of one operator in all blocks, if that is what it does.
pub(crate) fn operator_macs(
    config: &ImageGptConfig,
    task: &str,
    tokens: usize,
    operator: Operator,
) -> Option<u64> {
    let (l, c, i, t) = (
        config.n_layer as u64,
        config.n_embd as u64,
        config.inner_dim() as u64,
        tokens as u64,
    );
    match operator {
        Operator::CAttn => Some(l * t * 3 * c * c),
        Operator::CProj => Some(l * t * c * c),
        Operator::CFc | Operator::MlpCProj => Some(l * t * c * i),
        Operator::Attention => Some(l * 2 * c * (t * (t + 1) / 2)),
        Operator::Head if task == Task::Causal.name() => Some(t * c * config.num_colors() as u64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_of_imagegpt_small_is_the_papers() {
        let (linear, attention) = macs(&ImageGptConfig::small(), "classify", 1024);
        let (linear, attention) = (linear as f64 / 1e9, attention as f64 / 1e9);
        assert!(
            (linear - 77.3).abs() < 0.05,
            "{linear} GMAC of linear layers"
        );
        assert!(
            (attention - 12.9).abs() < 0.05,
            "{attention} GMAC of attention"
        );
    }
}
