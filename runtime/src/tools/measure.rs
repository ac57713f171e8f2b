//! What `igpt bench` and `igpt probe` ask a loaded model: how its weights came into memory, where its time goes.

use std::time::Duration;

use crate::imagegpt::ImageGptModel;
use crate::model::Packing;
use crate::profile::Operator;
use crate::segformer::SegformerModel;

macro_rules! measured {
    ($model:ty, $operators:expr) => {
        impl $model {
            /// How the weights came into memory.
            #[must_use]
            pub fn packing(&self) -> Packing {
                self.core.packing
            }

            /// Starts or stops timing every operator; off at first.
            pub fn set_profiling(&self, on: bool) {
                self.core.engine.profile.switch(on);
            }

            /// Time in each operator since the last call, summed over threads and runs.
            #[must_use]
            pub fn take_profile(&self) -> Vec<(Operator, Duration)> {
                self.core.take_profile(&$operators)
            }
        }
    };
}
measured!(ImageGptModel, Operator::IMAGEGPT);
measured!(SegformerModel, Operator::SEGFORMER);
