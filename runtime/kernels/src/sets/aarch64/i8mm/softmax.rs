//! The softmax of this set's panels, by the shared text (`common::softmax`).

use crate::arithmetic::softmax::{RowStats, Scores};
use crate::layout::{KV_TILE, MAX_MR};
use crate::sets::aarch64::common::softmax::{CONSTANTS, LEAST, MOST, Part, Weigh};

softmax!("neon,rdm", rdm, 8, 8);
