//! What follows from a [`SegformerConfig`]: the published sizes, widths, the map of every stage, how many parameters.

use super::SegformerConfig;
use crate::config::{ConfigError, FieldError};

impl SegformerConfig {
    /// MiT-b0: 3.3M parameters without its head (`nvidia/mit-b0`).
    #[must_use]
    pub fn b0() -> Self {
        Self::default()
    }

    /// MiT-b1: 13.2M parameters.
    #[must_use]
    pub fn b1() -> Self {
        Self::wide([2, 2, 2, 2])
    }

    /// MiT-b2: 24.2M parameters.
    #[must_use]
    pub fn b2() -> Self {
        Self::wide([3, 4, 6, 3])
    }

    /// MiT-b3: 44.1M parameters.
    #[must_use]
    pub fn b3() -> Self {
        Self::wide([3, 4, 18, 3])
    }

    /// MiT-b4: 60.8M parameters.
    #[must_use]
    pub fn b4() -> Self {
        Self::wide([3, 8, 27, 3])
    }

    /// MiT-b5: 81.4M parameters.
    #[must_use]
    pub fn b5() -> Self {
        Self::wide([3, 6, 40, 3])
    }

    /// b1 to b5 are twice as wide as b0, and differ in depth.
    fn wide(depths: [usize; 4]) -> Self {
        Self {
            depths: depths.into(),
            hidden_sizes: vec![64, 128, 320, 512],
            ..Self::default()
        }
    }

    /// Width of one attention head of a stage, from 0. What the heads leave over of the stage's width is not used by
    /// queries, keys and values.
    #[must_use]
    pub fn head_dim(&self, stage: usize) -> usize {
        self.hidden_sizes[stage] / self.num_attention_heads[stage].max(1)
    }

    /// Width of a stage's queries, keys and values.
    #[must_use]
    pub fn attention_width(&self, stage: usize) -> usize {
        self.num_attention_heads[stage] * self.head_dim(stage)
    }

    /// What a stage's attention scores are multiplied by.
    #[must_use]
    pub fn attn_scale(&self, stage: usize) -> f32 {
        (1.0 / (self.head_dim(stage) as f64).sqrt()) as f32
    }

    /// Width of the MLP's inner layer in a stage.
    #[must_use]
    pub fn inner_dim(&self, stage: usize) -> usize {
        self.hidden_sizes[stage] * self.mlp_ratios[stage]
    }

    /// Channels of what a stage's patches are made of: the input's, or the stage's before.
    #[must_use]
    pub fn input_channels(&self, stage: usize) -> usize {
        stage
            .checked_sub(1)
            .map_or(self.num_channels, |before| self.hidden_sizes[before])
    }

    /// Numbers in the window of a stage's patch convolution.
    #[must_use]
    pub fn patch_width(&self, stage: usize) -> usize {
        self.patch_sizes[stage].pow(2) * self.input_channels(stage)
    }

    /// (height, width) of every stage's map for an input of `height` x `width` pixels.
    ///
    /// # Errors
    /// If a map would have no pixel, or be smaller than the window that reduces it.
    pub fn grids(&self, height: usize, width: usize) -> Result<Vec<(usize, usize)>, ConfigError> {
        let input = format!("{width}x{height} pixels");
        let mut map = (height, width);
        let mut grids = Vec::with_capacity(self.num_encoder_blocks);
        for stage in 0..self.num_encoder_blocks {
            let (kernel, stride) = (self.patch_sizes[stage], self.strides[stage]);
            let side = |n: usize| {
                let padded = n + 2 * (kernel / 2);
                Some(padded.checked_sub(kernel)? / stride + 1)
            };
            let (Some(rows), Some(columns)) = (side(map.0), side(map.1)) else {
                let expected = format!("a smaller one: of {input} it leaves nothing");
                let field = format!("patch_sizes[{stage}]");
                return Err(FieldError::new(field, kernel, expected).into());
            };
            map = (rows, columns);
            let reduction = self.sr_ratios[stage];
            let most = rows.min(columns);
            if most < reduction {
                let expected = format!(
                    "at most {most}: of {input} the map of this stage is {columns}x{rows}; take a larger size"
                );
                let field = format!("sr_ratios[{stage}]");
                return Err(FieldError::new(field, reduction, expected).into());
            }
            grids.push(map);
        }
        Ok(grids)
    }

    /// Parameters of the model without a head.
    #[must_use]
    pub fn num_parameters(&self) -> u64 {
        (0..self.num_encoder_blocks)
            .map(|stage| self.stage_parameters(stage))
            .sum()
    }

    fn stage_parameters(&self, stage: usize) -> u64 {
        let [c, a, f, sr, patch, depth] = [
            self.hidden_sizes[stage],
            self.attention_width(stage),
            self.inner_dim(stage),
            self.sr_ratios[stage],
            self.patch_width(stage),
            self.depths[stage],
        ]
        .map(|n| n as u64);
        let linear = |k: u64, n: u64| k * n + n;
        let norm = 2 * c;
        let reduction = if sr > 1 {
            linear(sr * sr * c, c) + norm
        } else {
            0
        };
        let attention = 3 * linear(c, a) + linear(a, c) + reduction;
        let mlp = linear(c, f) + linear(9, f) + linear(f, c);
        linear(patch, c) + norm + depth * (2 * norm + attention + mlp) + norm
    }
}
