//! What a forward pass of a SegFormer costs.

use igpt_runtime::tools::Operator;
use igpt_runtime::{ConfigError, SegformerConfig, Task};

use super::tensors::at;

/// Multiply-accumulates for a picture of this height and width: linear layers and convolutions, and attention.
///
/// # Errors
/// A size at which the map of a stage is smaller than its reduction.
pub(crate) fn macs(
    config: &SegformerConfig,
    task: &str,
    size: (usize, usize),
) -> Result<(u64, u64), ConfigError> {
    let list = operator_macs(config, task, size)?;
    let sum = |attention: bool| {
        let of = list
            .iter()
            .filter(|(operator, _)| (*operator == Operator::Attention) == attention);
        of.map(|(_, macs)| macs).sum::<u64>()
    };
    Ok((sum(false), sum(true)))
}

/// Those of each operator that does some, in all blocks.
///
/// # Errors
/// As [`macs`].
pub(crate) fn operator_macs(
    config: &SegformerConfig,
    task: &str,
    (height, width): (usize, usize),
) -> Result<Vec<(Operator, u64)>, ConfigError> {
    let mut list = Vec::new();
    for (stage, (rows, columns)) in config.grids(height, width)?.into_iter().enumerate() {
        let ratio = at(&config.sr_ratios, stage);
        let depth = at(&config.depths, stage) as u64;
        let reduced = ((rows / ratio.max(1)) * (columns / ratio.max(1))) as u64;
        let [n, c, a, f, window] = [
            rows * columns,
            at(&config.hidden_sizes, stage),
            config.attention_width(stage),
            config.inner_dim(stage),
            config.patch_width(stage),
        ]
        .map(|number| number as u64);
        let windows = if ratio > 1 {
            reduced * (ratio * ratio) as u64 * c * c
        } else {
            0
        };
        list.push((Operator::Patches, n * window * c));
        list.extend([
            (Operator::SequenceReduction, depth * windows),
            (
                Operator::Projections,
                depth * (n * c * a + reduced * c * 2 * a),
            ),
            (Operator::Attention, depth * 2 * n * reduced * a),
            (Operator::OProj, depth * n * a * c),
            (Operator::Fc1, depth * n * c * f),
            (Operator::Depthwise, depth * n * 9 * f),
            (Operator::Fc2, depth * n * f * c),
        ]);
    }
    if task == Task::Classify.name() {
        let last = config.hidden_sizes.last().copied().unwrap_or_default();
        list.push((Operator::Classifier, (last * config.num_labels()) as u64));
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counted by hooks on transformers' modules, at 224 and 512.
    #[test]
    fn the_costs_of_b0_and_b5_are_those_of_transformers_modules() {
        let gmac = |config: &SegformerConfig, side| {
            let (linear, attention) = macs(config, "features", (side, side)).unwrap();
            ((linear + attention) as f64 / 1e9, attention as f64 / 1e9)
        };
        for (config, side, all, attention) in [
            (SegformerConfig::b0(), 224, 0.45, 0.038),
            (SegformerConfig::b0(), 512, 3.20, 1.04),
            (SegformerConfig::b2(), 224, 3.27, 0.143),
            (SegformerConfig::b5(), 224, 11.72, 0.371),
        ] {
            let found = gmac(&config, side);
            assert!(
                (found.0 - all).abs() < 0.01 * all + 0.004,
                "{found:?} {all}"
            );
            assert!(
                (found.1 - attention).abs() < 0.01 * attention,
                "{found:?} {attention}"
            );
        }
    }
}
