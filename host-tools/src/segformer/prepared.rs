//! A checkpoint's weights as a file has them: in its order and, for integers, with outlier channels brought into line;
//! one part in memory at a time.

use std::cell::RefCell;
use std::path::PathBuf;

use igpt_runtime::SegformerConfig;

use super::calibration::{Calibrator, Matrices, PictureSet};
use super::pairs;
use super::weights::{BlockWeights, Passage};
use crate::calibration::NOT_FINITE;
use crate::checkpoint::{CheckpointError, Weights};
use crate::conversion::layers::LayerReport;
use crate::quantization::QuantizedMatrix;

/// What may be done to the weights before they are rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rescaling {
    /// Nothing: f32 files need none.
    None,
    /// What leaves every hidden state as it is.
    Blocks,
    /// That, and the norm that ends a stage with the next patch convolution: of the last stage alone the hidden
    /// state stays as it is.
    All,
}

/// The weights of a file, under the names of its initializers without `segformer.`.
#[derive(Debug)]
pub struct PreparedWeights<'a, W> {
    from: &'a W,
    config: &'a SegformerConfig,
    rescaling: Rescaling,
    state: RefCell<State<'a>>,
}

#[derive(Debug)]
struct State<'a> {
    /// The one asked for last.
    part: Option<(PartName, Prepared)>,
    calibrator: Option<Calibrator<'a>>,
    reports: Vec<LayerReport>,
}

#[derive(Debug)]
struct Prepared {
    part: Part,
    /// With calibration: rounded.
    matrices: Matrices,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PartName {
    /// In front of this stage.
    Passage(usize),
    /// Stage and block.
    Block(usize, usize),
}

#[derive(Debug)]
enum Part {
    Passage(Passage),
    Block(Box<BlockWeights>),
}

impl<'a, W: Weights> PreparedWeights<'a, W> {
    /// Those of `from`.
    pub fn new(from: &'a W, config: &'a SegformerConfig, rescaling: Rescaling) -> Self {
        Self::of(from, config, rescaling, None)
    }

    /// Those of `from`, rounded on `pictures`: parts must be asked for in their order.
    pub(super) fn calibrated(
        from: &'a W,
        config: &'a SegformerConfig,
        rescaling: Rescaling,
        pictures: &PictureSet,
    ) -> Self {
        Self::of(
            from,
            config,
            rescaling,
            Some(Calibrator::new(config, pictures)),
        )
    }

    fn of(
        from: &'a W,
        config: &'a SegformerConfig,
        rescaling: Rescaling,
        calibrator: Option<Calibrator<'a>>,
    ) -> Self {
        Self {
            from,
            config,
            rescaling,
            state: RefCell::new(State {
                part: None,
                calibrator,
                reports: Vec::new(),
            }),
        }
    }

    /// What was done to each part that was asked for, in their order.
    pub fn into_reports(self) -> Vec<LayerReport> {
        self.state.into_inner().reports
    }

    fn read(
        &self,
        name: PartName,
        calibrator: Option<&mut Calibrator<'a>>,
    ) -> Result<(Prepared, LayerReport), CheckpointError> {
        let not_finite = |called: &str, tensor: &str| CheckpointError::Calibration {
            path: self.from.place(tensor).0,
            message: format!("{called}: {NOT_FINITE}"),
        };
        let (part, rescaled, called, calibrated) = match name {
            PartName::Passage(stage) => {
                let mut passage = Passage::read(self.from, self.config, stage)?;
                let rescaled = match self.rescaling {
                    Rescaling::All => pairs::normalize_passage(&mut passage),
                    Rescaling::None | Rescaling::Blocks => Vec::new(),
                };
                let called = match stage < self.config.num_encoder_blocks {
                    true => format!("segformer.stages.{stage}.patch_embeddings"),
                    false => format!("segformer.stages.{}.layer_norm", stage.saturating_sub(1)),
                };
                let rescale = self.rescaling == Rescaling::All;
                let calibrated = calibrator.map(|calibrator| {
                    let done = calibrator.passage(stage, &mut passage, rescale);
                    done.map_err(|_| not_finite(&called, "stages.0.patch_embeddings.proj.weight"))
                });
                (Part::Passage(passage), rescaled, called, calibrated)
            }
            PartName::Block(stage, index) => {
                let mut block = BlockWeights::read(self.from, self.config, (stage, index))?;
                let rescaled = match self.rescaling {
                    Rescaling::None => Vec::new(),
                    _ => pairs::normalize(&mut block, self.config.hidden_act),
                };
                let called = format!("segformer.stages.{stage}.blocks.{index}");
                let calibrated = calibrator.map(|calibrator| {
                    let done = calibrator.block(stage, &mut block);
                    let tensor = format!("stages.{stage}.blocks.{index}.layernorm_before.weight");
                    done.map_err(|_| not_finite(&called, &tensor))
                });
                (Part::Block(Box::new(block)), rescaled, called, calibrated)
            }
        };
        let (matrices, calibration) = calibrated.transpose()?.unzip();
        let report = LayerReport {
            part: called,
            rescaled,
            calibration,
        };
        let matrices = matrices.unwrap_or_default();
        Ok((Prepared { part, matrices }, report))
    }

    /// Calls `with` on a part, which is read and prepared when it is not the last one asked for.
    fn with_part<T>(
        &self,
        name: PartName,
        with: impl FnOnce(&Prepared) -> T,
    ) -> Result<T, CheckpointError> {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        if let Some((_, part)) = state.part.as_ref().filter(|(held, _)| *held == name) {
            return Ok(with(part));
        }
        // Before the next one is read: two would be twice the memory.
        state.part = None;
        let (part, report) = self.read(name, state.calibrator.as_mut())?;
        state.reports.push(report);
        let result = with(&part);
        state.part = Some((name, part));
        Ok(result)
    }
}

/// The part of a tensor and its name within that; nothing for the head's.
fn part_of(name: &str) -> Option<(PartName, &str)> {
    let (stage, rest) = name.strip_prefix("stages.")?.split_once('.')?;
    let stage: usize = stage.parse().ok()?;
    if let Some(rest) = rest.strip_prefix("blocks.") {
        let (block, rest) = rest.split_once('.')?;
        return Some((PartName::Block(stage, block.parse().ok()?), rest));
    }
    let ends = rest.starts_with("layer_norm.");
    Some((PartName::Passage(stage + usize::from(ends)), rest))
}

impl<W: Weights> Weights for PreparedWeights<'_, W> {
    fn to_f32(&self, name: &str) -> Result<Vec<f32>, CheckpointError> {
        let Some((part, tensor)) = part_of(name) else {
            return self.from.to_f32(name);
        };
        let found = self.with_part(part, |prepared| match &prepared.part {
            Part::Passage(passage) => passage.tensor(tensor).map(<[f32]>::to_vec),
            Part::Block(block) => block.tensor(tensor),
        })?;
        match found {
            Some(values) => Ok(values),
            None => self.from.to_f32(name),
        }
    }

    fn quantized(&self, name: &str) -> Result<Option<QuantizedMatrix>, CheckpointError> {
        let Some((part, tensor)) = part_of(name) else {
            return Ok(None);
        };
        self.with_part(part, |prepared| {
            let mut matrices = prepared.matrices.iter();
            let found = matrices.find(|(name, _)| tensor.strip_suffix(".weight") == Some(*name));
            found.map(|(_, matrix)| matrix.clone())
        })
    }

    fn place(&self, name: &str) -> (PathBuf, String) {
        self.from.place(name)
    }
}
