//! f32 weights in the form that suits integers, one block in memory at a time.

use std::cell::RefCell;
use std::path::PathBuf;

use igpt_runtime::ImageGptConfig;

use super::block::{BlockWeights, block_tensor};
use super::calibration::{Calibrator, ImageSet, LINEARS, RoundedBlock};
use super::outliers;
use crate::calibration::NOT_FINITE;
use crate::checkpoint::{CheckpointError, Weights};
use crate::conversion::layers::LayerReport;
use crate::quantization::{Grid, QuantizedMatrix, transpose};

/// The weights of an int8 or int4 file: blocks pass through [`outliers::normalize`] and, with images, through
/// a [`Calibrator`]; everything else is as it was.
#[derive(Debug)]
pub struct PreparedWeights<'a, W> {
    from: &'a W,
    config: &'a ImageGptConfig,
    /// Whether the head that follows ln_f is an int8 one.
    causal: bool,
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    block: Option<(usize, Prepared)>,
    calibrator: Option<Calibrator>,
    reports: Vec<LayerReport>,
}

#[derive(Debug)]
enum Prepared {
    /// To be rounded to the nearest.
    Plain(Box<BlockWeights>),
    /// Rounded.
    Rounded(Box<RoundedBlock>),
}

impl Prepared {
    fn weights(&self) -> &BlockWeights {
        match self {
            Self::Plain(block) => block,
            Self::Rounded(rounded) => &rounded.block,
        }
    }
}

impl<'a, W: Weights> PreparedWeights<'a, W> {
    /// `causal` if the file gets an `lm_head`; `grid` is that of the blocks. With `images`, blocks must be
    /// asked for in their order.
    ///
    /// # Errors
    /// Embeddings that cannot be read.
    pub fn new(
        from: &'a W,
        config: &'a ImageGptConfig,
        causal: bool,
        grid: Grid,
        images: Option<&ImageSet>,
    ) -> Result<Self, CheckpointError> {
        let calibrator = images.map(|images| {
            let wte = from.to_f32("wte.weight")?;
            let wpe = from.to_f32("wpe.weight")?;
            Ok::<_, CheckpointError>(Calibrator::new(config, grid, images, &wte, &wpe))
        });
        Ok(Self {
            from,
            config,
            causal,
            state: RefCell::new(State {
                calibrator: calibrator.transpose()?,
                ..State::default()
            }),
        })
    }

    /// What was done to each block that was asked for, in their order.
    pub fn into_reports(self) -> Vec<LayerReport> {
        self.state.into_inner().reports
    }

    /// Calls `with` on block `layer`, which is read and prepared when it is not the last one asked for.
    fn with_block<T>(
        &self,
        layer: usize,
        with: impl FnOnce(&Prepared) -> T,
    ) -> Result<T, CheckpointError> {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        if let Some((_, block)) = state.block.as_ref().filter(|(held, _)| *held == layer) {
            return Ok(with(block));
        }
        // Before the next one is read: two would be twice the memory.
        state.block = None;
        let mut block = BlockWeights::read(self.from, layer)?;
        let rescaled = outliers::normalize(&mut block, self.config.activation_function);
        let (prepared, calibration) = match &mut state.calibrator {
            None => (Prepared::Plain(Box::new(block)), None),
            Some(calibrator) => {
                let (rounded, report) =
                    calibrator
                        .block(layer, block)
                        .map_err(|_| CheckpointError::Calibration {
                            path: self.from.place(&format!("h.{layer}.ln_1.weight")).0,
                            message: format!("layer {layer}: {NOT_FINITE}"),
                        })?;
                (Prepared::Rounded(Box::new(rounded)), Some(report))
            }
        };
        state.reports.push(LayerReport {
            part: format!("transformer.h.{layer}"),
            rescaled,
            calibration,
        });
        let result = with(&prepared);
        state.block = Some((layer, prepared));
        Ok(result)
    }

    /// ln_f's gain and lm_head as `[in, out]`, which are a pair like a block's norm and its linear layer.
    fn head(&self) -> Result<(Vec<f32>, Vec<f32>), CheckpointError> {
        let mut gain = self.from.to_f32("ln_f.weight")?;
        let mut weight = transpose(&self.from.to_f32("lm_head.weight")?, gain.len());
        outliers::normalize_head(&mut gain, &mut weight, self.config.num_colors());
        Ok((gain, weight))
    }
}

impl<W: Weights> Weights for PreparedWeights<'_, W> {
    fn to_f32(&self, name: &str) -> Result<Vec<f32>, CheckpointError> {
        if let Some((layer, tensor)) = block_tensor(self.config, name) {
            let copy = |block: &Prepared| block.weights().tensor(tensor).map(<[f32]>::to_vec);
            if let Some(values) = self.with_block(layer, copy)? {
                return Ok(values);
            }
        }
        match name {
            "ln_f.weight" if self.causal => Ok(self.head()?.0),
            // Hugging Face has it [out, in].
            "lm_head.weight" if self.causal => {
                Ok(transpose(&self.head()?.1, self.config.num_colors()))
            }
            _ => self.from.to_f32(name),
        }
    }

    fn quantized(&self, name: &str) -> Result<Option<QuantizedMatrix>, CheckpointError> {
        let Some((layer, tensor)) = block_tensor(self.config, name) else {
            return Ok(None);
        };
        let index = LINEARS
            .iter()
            .position(|linear| tensor.strip_suffix(".weight") == Some(linear));
        self.with_block(layer, |block| match block {
            Prepared::Plain(_) => None,
            Prepared::Rounded(rounded) => rounded.matrices.get(index?).cloned(),
        })
    }

    fn head_bias(&self) -> bool {
        self.from.head_bias()
    }

    fn place(&self, name: &str) -> (PathBuf, String) {
        self.from.place(name)
    }
}
