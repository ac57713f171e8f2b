//! What an operator does once its constants are packed: token ids, rows or a map in, others out.

use std::fmt;

use igpt_kernels::NonFinite;

use super::engine::Engine;
use super::state::LayerState;
use crate::error::TokensError;

/// Why a layer cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LayerError {
    #[error(transparent)]
    Tokens(#[from] TokensError),
    #[error(transparent)]
    NonFinite(#[from] NonFinite),
}

/// Takes token ids.
pub(crate) trait Embed: fmt::Debug + Send + Sync {
    /// Rows of the tokens that follow a state's past.
    fn embed(&self, state: &mut LayerState, ids: &[i64], out: &mut [f32])
    -> Result<(), LayerError>;
}

/// Works in place.
pub(crate) trait Update: fmt::Debug + Send + Sync {
    /// Updates `x`, which has this shape.
    fn update(
        &self,
        engine: &Engine,
        state: &mut LayerState,
        shape: &[usize],
        x: &mut [f32],
    ) -> Result<(), LayerError>;
}

/// Takes numbers and gives others.
pub(crate) trait Apply: fmt::Debug + Send + Sync {
    /// Computes `out` from `x`, which has this shape.
    fn apply(
        &self,
        engine: &Engine,
        state: &mut LayerState,
        shape: &[usize],
        x: &[f32],
        out: &mut [f32],
    ) -> Result<(), LayerError>;
}

/// One operator of the graph with its constants packed for this machine.
#[derive(Debug)]
pub(crate) enum Layer {
    Embed(Box<dyn Embed>),
    Update(Box<dyn Update>),
    Apply(Box<dyn Apply>),
}

/// Refuses numbers that are none, in rows `width` wide: where no quantiser follows, nobody else does.
pub(crate) fn finite(x: &[f32], width: usize) -> Result<(), NonFinite> {
    // Mostly all are: that is soon said of many at once.
    let top = x
        .iter()
        .fold(0, |top, x| (x.to_bits() & 0x7fff_ffff).max(top));
    if f32::from_bits(top).is_finite() {
        return Ok(());
    }
    match x.iter().position(|x| !x.is_finite()) {
        Some(at) => Err(NonFinite {
            row: at / width,
            found: x[at],
        }),
        None => Ok(()),
    }
}

/// The four dimensions of a map.
pub(crate) fn dims(shape: &[usize]) -> [usize; 4] {
    match *shape {
        [batch, first, second, third] => [batch, first, second, third],
        _ => unreachable!("the planner was given a map"),
    }
}
