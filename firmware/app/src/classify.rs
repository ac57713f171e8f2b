//! The app's view of a model: a picture goes in, logits come out.

use std::time::Duration;

use igpt_heads::Added;
use igpt_runtime::tools::report::RunReport;
use igpt_runtime::{ExitCounts, StabilizerOptions};

use super::teach::{Recognised, Teacher};
use crate::source::FrameBuffer;
use igpt_firmware_core::overlay::Saved;
use igpt_firmware_core::verdict::ProblemType;

/// What a model makes of one frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Classified {
    /// CRC-32 of what the model saw, which says whether two machines saw the same: the tokens as little-endian u16s,
    /// of a model without tokens the resized picture's RGB8 pixels.
    pub tokens_crc32: u32,
    /// One logit per class.
    pub logits: Vec<f32>,
    /// What they mean: probabilities, or a regression's values.
    pub scores: Vec<f32>,
    /// Tokens of the frame; 0 of a model without.
    pub tokens: usize,
    /// Tokens whose work was reused from the frame before.
    pub reused_tokens: usize,
    /// Tokens that are not those of the frame before.
    pub changed_tokens: usize,
    /// The block after which the verdict was sure enough; `None` if the whole model was computed.
    pub exit_layer: Option<usize>,
    /// Of a model that may stop early: what became of the frames so far.
    pub exits: Option<ExitCounts>,
    /// Time that it took to make the model's input of the picture.
    pub resize: Duration,
    /// Time that the model took.
    pub model: Duration,
    /// What a taught head says, if one does.
    pub recognised: Option<Recognised>,
}

impl Classified {
    /// What of the work was left out, for the panel.
    pub(crate) fn saved(&self) -> Saved {
        let reused = self.reused_tokens as f32 / self.tokens.max(1) as f32;
        Saved {
            reused: (self.reused_tokens > 0).then_some(reused),
            exit: self.exit_layer.and_then(|layer| layer.try_into().ok()),
        }
    }
}

/// Something that classifies frames: the model, or a stand-in for tests.
pub trait Classify {
    /// The classes' names.
    fn labels(&self) -> &[String];

    /// What its numbers mean.
    fn problem_type(&self) -> ProblemType;

    /// A short name for the panel and the log.
    fn name(&self) -> &str;

    /// CRC-32 of its file: what tells two models of one name apart.
    fn crc32(&self) -> u32;

    /// What reports say of it and of how it runs.
    fn run(&self) -> Option<&RunReport> {
        None
    }

    /// Keeps tokens from flickering from the next frame on, or not, where there are tokens: another source, another scene.
    fn stabilize(&mut self, _options: Option<StabilizerOptions>) {}

    /// What was taught, if this can be taught anything.
    #[allow(private_interfaces)]
    fn teacher(&mut self) -> Option<&mut Teacher> {
        None
    }

    /// Makes the frame that was classified last an example of a showing.
    ///
    /// # Errors
    /// If this cannot be taught anything; otherwise as the model, and if it cannot be kept.
    fn show(
        &mut self,
        _frame: &FrameBuffer,
        _showing: u64,
        _label: Option<&str>,
    ) -> anyhow::Result<Added> {
        anyhow::bail!("this model cannot be taught")
    }

    /// Classifies one frame.
    ///
    /// # Errors
    /// When the picture cannot be turned into the model's input, or the model fails on it.
    fn classify(&mut self, frame: &FrameBuffer) -> anyhow::Result<Classified>;
}
