//! `ProcessorScratch`: what resizing a frame needs and the next one needs again.

use super::resample::Resizer;
use super::{Backend, Resample};

/// Buffers that a caller keeps from frame to frame.
///
/// While the frames keep their size, a processor that is given them allocates nothing after the first.
#[derive(Debug, Default)]
pub struct ProcessorScratch {
    resizer: Option<Resizer>,
    pub(crate) resized: Vec<u8>,
    pub(super) cropped: Vec<u8>,
}

impl ProcessorScratch {
    /// Resizes `rgb` between sizes of (width, height) into `resized`, if they differ.
    pub(crate) fn resize(
        &mut self,
        backend: Backend,
        filter: Resample,
        rgb: &[u8],
        from: (usize, usize),
        to: (usize, usize),
    ) {
        if from == to {
            return;
        }
        let resizer = match &mut self.resizer {
            Some(r) if r.fits(backend, filter, from, to) => r,
            stale => stale.insert(Resizer::new(backend, filter, from, to)),
        };
        resizer.resize_into(rgb, &mut self.resized);
    }
}
