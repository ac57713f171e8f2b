//! How a session comes from pictures to tokens: by the processor, kept from flickering if its stream is to be.

use std::sync::Arc;

use super::stabilizer::{Stabilizer, StabilizerOptions};
use crate::processor::{ImageGptImageProcessor, ProcessorError, ProcessorScratch};

/// A session's processor, and what it keeps from picture to picture.
#[derive(Debug)]
pub(super) struct Sight {
    processor: Arc<ImageGptImageProcessor>,
    /// Of a stabilised stream.
    stabilizer: Option<Stabilizer>,
    scratch: ProcessorScratch,
}

impl Sight {
    /// One that has seen nothing.
    pub(super) fn new(processor: Arc<ImageGptImageProcessor>) -> Self {
        Self {
            processor,
            stabilizer: None,
            scratch: ProcessorScratch::default(),
        }
    }

    /// Keeps tokens from flickering from the next picture on, or no longer; what was seen is forgotten.
    pub(super) fn stabilize(&mut self, options: Option<StabilizerOptions>) {
        self.stabilizer = options.map(Stabilizer::new);
    }

    /// The tokens of an RGB8 picture.
    ///
    /// # Errors
    /// On a picture that does not have as many bytes as it must.
    pub(super) fn tokens_into(
        &mut self,
        rgb: &[u8],
        width: usize,
        height: usize,
        tokens: &mut Vec<u16>,
    ) -> Result<(), ProcessorError> {
        let (processor, scratch) = (&self.processor, &mut self.scratch);
        let Some(stabilizer) = &mut self.stabilizer else {
            return processor.tokens_into(rgb, width, height, scratch, tokens);
        };
        let resized = processor.resized_into(rgb, width, height, scratch)?;
        let (stable, _) = stabilizer.next(processor, resized)?;
        tokens.clear();
        tokens.extend_from_slice(stable);
        Ok(())
    }
}
