//! One linear layer in int8: all columns by one thread, or shared out among all.

use std::ops::Range;

use igpt_kernels::{Aligned, Linear, LinearScratch, PackedInt8, PackedRows};

use super::engine::Engine;
use super::team::each;

/// An int8 linear layer's constants.
#[derive(Debug)]
pub(crate) struct LinearInt8 {
    pub(crate) w: PackedInt8,
    pub(crate) w_scale: Vec<f32>,
    pub(crate) bias: Vec<f32>,
}

/// A product to be made: `rows` by a layer's weights, with its scale and bias, into `out`.
pub(crate) struct Product<'a> {
    pub(crate) rows: &'a PackedRows,
    pub(crate) out: &'a mut [f32],
    /// Add to what `out` holds instead of replacing it.
    pub(crate) add: bool,
}

/// What a product is made with.
pub(crate) struct Memory<'a> {
    /// Shares of the columns, one a thread: rows of `out` cannot be lent out by columns.
    pub(crate) shares: &'a mut Aligned<f32>,
    /// Of [`Linear`].
    pub(crate) linear: &'a mut LinearScratch,
}

/// Some columns of a product.
struct Columns {
    panels: Range<usize>,
    /// Distance between rows of `out`.
    ldo: usize,
}

/// How a linear layer is run: a tile of tokens by its thread, or the rows of a lockstep by all.
pub(crate) type Run = fn(&LinearInt8, &Engine, Product<'_>, Memory<'_>);

impl LinearInt8 {
    /// All columns, into rows `n` wide.
    pub(crate) fn run(&self, engine: &Engine, product: Product<'_>, memory: Memory<'_>) {
        let (panels, ldo) = (self.w.panels(), self.w.n());
        let Product { rows, out, add } = product;
        if rows.rows() != 1 {
            let columns = Columns {
                panels: 0..panels,
                ldo,
            };
            return self.run_columns(engine, Product { rows, out, add }, columns, memory.linear);
        }
        // One row, as in generation, is as fast as the weights can be read, and one core does not saturate
        // the memory: the columns are shared out among the threads.
        let share = panels.div_ceil(engine.threads());
        let parts = out.chunks_mut(share * engine.kernels.layout().nr);
        each(parts, |i, out| {
            let panels = i * share..panels.min((i + 1) * share);
            let columns = Columns { panels, ldo };
            engine.with_scratch(|own| {
                let product = Product { rows, out, add };
                self.run_columns(engine, product, columns, &mut own.linear);
            });
        });
    }

    /// As [`LinearInt8::run`], for the few rows of sequences in lockstep: every thread multiplies all of them
    /// by its share of the columns, so that the weights are read once.
    pub(crate) fn run_shared(&self, engine: &Engine, product: Product<'_>, memory: Memory<'_>) {
        let threads = engine.threads();
        if threads == 1 || product.rows.rows() == 1 {
            return self.run(engine, product, memory);
        }
        let Product { rows, out, add } = product;
        let shares = memory.shares;
        let (panels, n) = (self.w.panels(), self.w.n());
        let share = panels.div_ceil(threads);
        let width = share * engine.kernels.layout().nr;
        shares.resize(panels.div_ceil(share) * rows.rows() * width);
        each(shares.chunks_mut(rows.rows() * width), |i, out| {
            let columns = Columns {
                panels: i * share..panels.min((i + 1) * share),
                ldo: width,
            };
            engine.with_scratch(|own| {
                let add = false;
                let product = Product { rows, out, add };
                self.run_columns(engine, product, columns, &mut own.linear);
            });
        });
        for (i, part) in shares.chunks_exact(rows.rows() * width).enumerate() {
            let columns = i * width..n.min((i + 1) * width);
            for (part, out) in part.chunks_exact(width).zip(out.chunks_exact_mut(n)) {
                let out = &mut out[columns.clone()];
                if add {
                    for (out, y) in out.iter_mut().zip(part) {
                        *out += y;
                    }
                } else {
                    out.copy_from_slice(&part[..out.len()]);
                }
            }
        }
    }

    fn run_columns(
        &self,
        engine: &Engine,
        product: Product<'_>,
        columns: Columns,
        scratch: &mut LinearScratch,
    ) {
        let Product { rows, out, add } = product;
        let Columns { panels, ldo } = columns;
        engine.kernels.linear(Linear {
            a: rows,
            w: &self.w,
            w_scale: &self.w_scale,
            bias: &self.bias,
            out,
            ldo,
            add,
            panels,
            scratch,
        });
    }
}
