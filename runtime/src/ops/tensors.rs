//! Maps that one operator has read to the end are what another, or the next pass, writes: no memory is asked for, and none filled with zeros.

use std::sync::{Arc, Mutex, PoisonError};

use tract_onnx::prelude::{Datum as _, TractResult};
use tract_onnx::tract_hir::internal::{IntoArcTensor as _, TValue, Tensor};

/// Dimensions of a map. Everything else has as many rows as there are tokens: what comes next is of another shape.
const DIMENSIONS: usize = 4;

/// How many are kept: those of a pass, of as many passes at once as are likely.
const MOST: usize = 32;

/// Maps that nobody reads any more.
#[derive(Debug, Default)]
pub(crate) struct Tensors(Mutex<Vec<Tensor>>);

impl Tensors {
    /// Numbers of this shape, whichever they are.
    pub(crate) fn take(&self, shape: &[usize]) -> TractResult<Tensor> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.iter().position(|tensor| tensor.shape() == shape) {
            Some(at) => Ok(kept.swap_remove(at)),
            None => Tensor::zero::<f32>(shape),
        }
    }

    /// Keeps a map that has been read, unless somebody else has yet to.
    pub(crate) fn put(&self, read: TValue) {
        if read.rank() != DIMENSIONS || read.datum_type() != f32::datum_type() {
            return;
        }
        let Ok(tensor) = Arc::try_unwrap(read.into_arc_tensor()) else {
            return;
        };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < MOST {
            kept.push(tensor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tract_onnx::tract_hir::internal::IntoTensor as _;

    fn filled(shape: &[usize], value: f32) -> Tensor {
        let mut tensor = Tensor::zero::<f32>(shape).unwrap();
        tensor.fill_t(value).unwrap();
        tensor
    }

    fn first(tensor: &Tensor) -> f32 {
        tensor
            .try_as_plain_ram()
            .unwrap()
            .as_slice::<f32>()
            .unwrap()[0]
    }

    #[test]
    fn a_map_comes_back_once_for_its_shape() {
        let tensors = Tensors::default();
        tensors.put(filled(&[1, 2, 3, 4], 7.0).into());
        assert_eq!(first(&tensors.take(&[1, 3, 2, 4]).unwrap()), 0.0);
        assert_eq!(first(&tensors.take(&[1, 2, 3, 4]).unwrap()), 7.0);
        assert_eq!(first(&tensors.take(&[1, 2, 3, 4]).unwrap()), 0.0);
    }

    #[test]
    fn what_somebody_reads_and_what_is_no_map_is_not_kept() {
        let tensors = Tensors::default();
        let value: TValue = filled(&[1, 2, 3, 4], 7.0).into();
        let reader = value.clone();
        tensors.put(value);
        tensors.put(filled(&[1, 2, 3], 7.0).into());
        tensors.put(Tensor::zero::<i64>(&[1, 2, 3, 4]).unwrap().into());
        assert_eq!(first(&reader.into_tensor()), 7.0);
        assert_eq!(first(&tensors.take(&[1, 2, 3, 4]).unwrap()), 0.0);
        assert_eq!(first(&tensors.take(&[1, 2, 3]).unwrap()), 0.0);
    }
}
