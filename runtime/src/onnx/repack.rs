//! int8 weights into the panels of the kernels in use, all in one block of memory: the system can then back it with
//! huge pages.

use std::sync::Arc;

use bytes::Bytes;
use igpt_kernels::Panels;
use rayon::prelude::*;
use tract_onnx::pb::tensor_proto::DataType;

use super::weights::{Constant, Share, Source, Weights};
use crate::huge_pages;

/// Between two matrices: a matrix begins with a cache line.
const LINE: usize = 64;

/// A matrix on its way.
struct Job<'a> {
    name: &'a str,
    constant: &'a Constant,
    /// Where it goes; zeros.
    to: &'a mut [u8],
}

impl Weights {
    /// Packs every int8 matrix into `panels`, unless the file has them so. What the file holds of them is let
    /// go.
    ///
    /// # Errors
    /// A value of -128, which the kernels do not take; a matrix that is not one; no memory.
    pub(crate) fn repack(&mut self, panels: Panels) -> Result<(), String> {
        let stored = self.panels.replace(panels);
        if stored == Some(panels) {
            return Ok(());
        }
        let int8 = self.constants.iter_mut();
        let mut matrices = vec![];
        let mut total = 0;
        for (name, constant) in int8.filter(|(_, constant)| constant.kind == DataType::Int8) {
            let [k, n] = constant.dims[..] else {
                let dims = &constant.dims;
                return Err(format!(
                    "initializer {name}: shape {dims:?}, expected a matrix"
                ));
            };
            let len = panels.len(k, n);
            matrices.push((name, constant, total, len));
            total += len.next_multiple_of(LINE);
        }
        if total == 0 {
            return Ok(());
        }
        let mut block = huge_pages::map(total).map_err(|e| no_memory(total, &e))?;
        let mut jobs = vec![];
        let mut rest = &mut block[..];
        for (name, constant, _, len) in &matrices {
            let (here, after) = rest.split_at_mut(len.next_multiple_of(LINE));
            rest = after;
            jobs.push(Job {
                name,
                constant,
                to: &mut here[..*len],
            });
        }
        let source = &self.source;
        let packed = jobs
            .into_par_iter()
            .map(|job| job.run(stored, panels, source));
        packed.collect::<Result<(), String>>()?;
        let block = block.make_read_only().map_err(|e| no_memory(total, &e))?;
        let block = Bytes::from_owner(Share(Arc::new(block)));
        for (_, constant, start, len) in matrices {
            constant.bytes = block.slice(start..start + len);
        }
        Ok(())
    }
}

fn no_memory(len: usize, error: &std::io::Error) -> String {
    format!("{len} bytes for packed weights: {error}")
}

impl Job<'_> {
    fn run(self, stored: Option<Panels>, panels: Panels, source: &Source) -> Result<(), String> {
        let Self { name, constant, to } = self;
        let (k, n) = (constant.dims[0], constant.dims[1]);
        let unpacked;
        let values: &[i8] = match stored {
            Some(stored) => {
                let what = |e| format!("initializer {name}: {e}");
                unpacked = stored.unpack(&constant.bytes, k, n).map_err(what)?;
                &unpacked
            }
            None => bytemuck::cast_slice(&constant.bytes),
        };
        // Here rather than where panels are checked: there a value has another place.
        if let Some(at) = values.iter().position(|w| *w == i8::MIN) {
            return Err(format!("initializer {name}: value {at} is not -127 to 127"));
        }
        panels.pack_into(values, k, n, to);
        source.release(&constant.bytes);
        Ok(())
    }
}
