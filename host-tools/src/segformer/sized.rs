//! A SegFormer for pictures of one size.

use igpt_runtime::{ConfigError, SegformerConfig};

/// A model for pictures of one size, which its graph fixes.
#[derive(Clone, Debug)]
pub struct SizedModel<'a> {
    pub(super) config: &'a SegformerConfig,
    /// Height and width.
    pub(super) size: (usize, usize),
    /// Those of each stage's map.
    pub(super) grids: Vec<(usize, usize)>,
}

impl<'a> SizedModel<'a> {
    /// For pictures of this height and width.
    ///
    /// # Errors
    /// A size at which the map of a stage is smaller than its reduction.
    pub fn new(config: &'a SegformerConfig, size: (usize, usize)) -> Result<Self, ConfigError> {
        let (height, width) = size;
        Ok(Self {
            config,
            size,
            grids: config.grids(height, width)?,
        })
    }
}
