//! What `igpt bench` and `igpt probe` ask a loaded model: how its weights came into memory, where its time goes.

use std::time::Duration;

use crate::model::{ImageGptModel, Packing};
use crate::profile::Operator;

impl ImageGptModel {
    /// How the weights came into memory.
    #[must_use]
    pub fn packing(&self) -> Packing {
        self.packing
    }

    /// Starts or stops timing every operator; off at first.
    pub fn set_profiling(&self, on: bool) {
        self.engine.profile.switch(on);
    }

    /// Time in each operator since the last call, summed over threads and runs.
    #[must_use]
    pub fn take_profile(&self) -> Vec<(Operator, Duration)> {
        self.engine.profile.take()
    }
}
