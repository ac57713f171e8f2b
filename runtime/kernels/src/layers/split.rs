//! From the rows of c_attn, or of matrices of q, k and v, to quantised queries, keys and values.

use super::prepare::plain;
use crate::jobs::{NonFinite, RowsF32};
use crate::layout::Heads;
use crate::operands::kv::KvInt8;
use crate::operands::rows::PackedRows;
use crate::set::InstructionSet;

/// Rows whose values are stored together: a multiple of every layout's kr.
const BLOCK: usize = 16;

/// `$layer`, and where the width of a head is one of these, that known when this is compiled: a head is a few vectors then and no loop. 64
/// is every published ImageGPT's and MiT's, but for MiT-b0's 32.
macro_rules! with_heads {
    ($heads:expr, |$known:ident| $layer:expr) => {{
        let Heads { count, dim } = $heads;
        // SAFETY: the caller's.
        unsafe {
            match dim {
                64 => {
                    let $known = Heads { count, dim: 64 };
                    $layer
                }
                32 => {
                    let $known = Heads { count, dim: 32 };
                    $layer
                }
                _ => {
                    let $known = Heads { count, dim };
                    $layer
                }
            }
        }
    }};
}

/// Quantises the q, k and v of `rows` rows of `qkv` `[rows, 3 * heads * dim]`, head by head: q into `q[head]` (rows of a tile),
/// k and v into `tile` from its token `first` on.
///
/// # Safety
/// This machine must have the instruction set.
#[inline(always)]
pub(crate) unsafe fn split<S: InstructionSet>(
    heads: Heads,
    qkv: &[f32],
    first: usize,
    q: &mut [PackedRows],
    tile: &mut KvInt8,
) -> Result<(), NonFinite> {
    with_heads!(heads, |heads| split_heads::<S>(heads, qkv, first, q, tile))
}

/// Quantises rows of queries `[rows, heads * dim]` into `out[head]`.
///
/// # Safety
/// As [`split`].
#[inline(always)]
pub(crate) unsafe fn queries<S: InstructionSet>(
    heads: Heads,
    q: &[f32],
    out: &mut [PackedRows],
) -> Result<(), NonFinite> {
    with_heads!(heads, |heads| queries_of_heads::<S>(heads, q, out))
}

/// Quantises rows of keys and values `[rows, 2 * heads * dim]` into `tile` from its token `first` on.
///
/// # Safety
/// As [`split`].
#[inline(always)]
pub(crate) unsafe fn keys_and_values<S: InstructionSet>(
    heads: Heads,
    kv: &[f32],
    first: usize,
    tile: &mut KvInt8,
) -> Result<(), NonFinite> {
    let mut memory = tile.take_incoming();
    let done = with_heads!(heads, |heads| {
        memory.resize(BLOCK * row_len::<S>(heads));
        keys_and_values_of_heads::<S>(heads, kv, first, &mut memory, tile)
    });
    tile.give_back_incoming(memory);
    done
}

/// [`split`] with the heads handed in, so that the compiler may know their width.
///
/// # Safety
/// As [`split`].
#[inline(always)]
unsafe fn split_heads<S: InstructionSet>(
    heads: Heads,
    qkv: &[f32],
    first: usize,
    q: &mut [PackedRows],
    tile: &mut KvInt8,
) -> Result<(), NonFinite> {
    let layout = S::LAYOUT;
    let Heads { count, dim } = heads;
    let width = count * dim;
    let rows = qkv.len() / (3 * width);
    for (head, q) in q.iter_mut().enumerate().take(count) {
        q.reshape(layout, rows, dim);
        q.values
            .resize((BLOCK * row_len::<S>(heads)).div_ceil(size_of::<f32>()));
        Block::new::<S>(heads, bytemuck::cast_slice_mut(&mut q.values)).pad();
        let mut row = 0;
        for block in qkv.chunks(BLOCK * 3 * width) {
            let start = row;
            for qkv in block.chunks_exact(3 * width) {
                let part = |i: usize| &qkv[i * width + head * dim..][..dim];
                let refuse = |found| NonFinite { row, found };
                let (bytes, scratch) = q.row(row);
                // SAFETY: the caller's.
                let scale = unsafe { S::quantize(part(0), bytes, layout.offset).map_err(refuse)? };
                let mut block = Block::new::<S>(heads, bytemuck::cast_slice_mut(scratch));
                // SAFETY: the caller's.
                let [k_scale, v_scale] = unsafe {
                    block
                        .put::<S>(row - start, part(1), part(2))
                        .map_err(refuse)?
                };
                tile.set_scales(head, first + row, k_scale, v_scale);
                q.scales[row] = scale;
                // SAFETY: the caller's.
                unsafe { q.store::<S>(row) };
                row += 1;
            }
            let block = Block::new::<S>(heads, bytemuck::cast_slice_mut(&mut q.values));
            // SAFETY: the caller's.
            unsafe { block.store::<S>(row - start, heads, head, first + start, tile) };
        }
    }
    Ok(())
}

/// [`queries`] with the heads handed in.
///
/// # Safety
/// As [`split`].
#[inline(always)]
unsafe fn queries_of_heads<S: InstructionSet>(
    heads: Heads,
    q: &[f32],
    out: &mut [PackedRows],
) -> Result<(), NonFinite> {
    let Heads { count, dim } = heads;
    let width = count * dim;
    for (head, out) in out.iter_mut().enumerate().take(count) {
        let rows = RowsF32 {
            values: q.get(head * dim..).unwrap_or_default(),
            stride: width,
            rows: q.len() / width,
            width: dim,
        };
        // SAFETY: the caller's.
        unsafe { plain::<S>(rows, out)? };
    }
    Ok(())
}

/// [`keys_and_values`] with the heads handed in, and with memory for a [`Block`].
///
/// # Safety
/// As [`split`].
#[inline(always)]
unsafe fn keys_and_values_of_heads<S: InstructionSet>(
    heads: Heads,
    kv: &[f32],
    first: usize,
    memory: &mut [u8],
    tile: &mut KvInt8,
) -> Result<(), NonFinite> {
    let Heads { count, dim } = heads;
    let width = count * dim;
    let mut block = Block::new::<S>(heads, memory);
    block.pad();
    for head in 0..count {
        for (i, rows) in kv.chunks(BLOCK * 2 * width).enumerate() {
            let start = i * BLOCK;
            for (row, kv) in rows.chunks_exact(2 * width).enumerate() {
                let part = |i: usize| &kv[i * width + head * dim..][..dim];
                // SAFETY: the caller's.
                let scales = unsafe { block.put::<S>(row, part(0), part(1)) };
                let [k_scale, v_scale] = scales.map_err(|found| NonFinite {
                    row: start + row,
                    found,
                })?;
                tile.set_scales(head, first + start + row, k_scale, v_scale);
            }
            let here = rows.len() / (2 * width);
            // SAFETY: the caller's.
            unsafe { block.store::<S>(here, heads, head, first + start, tile) };
        }
    }
    Ok(())
}

/// Bytes of the key and the value of a row in a [`Block`].
#[inline(always)]
fn row_len<S: InstructionSet>(heads: Heads) -> usize {
    heads.dim.next_multiple_of(S::LAYOUT.kr) + heads.dim
}

/// Of up to [`BLOCK`] rows of a head, the keys, padded with zeros, and then the values, as bytes: as weights they are signed.
struct Block<'a> {
    keys: &'a mut [u8],
    values: &'a mut [u8],
    /// Bytes of a key, and of those that are its own, as many as a value has.
    padded: usize,
    dim: usize,
}

impl<'a> Block<'a> {
    /// In memory of [`row_len`] bytes a row at least.
    #[inline(always)]
    fn new<S: InstructionSet>(heads: Heads, memory: &'a mut [u8]) -> Self {
        let dim = heads.dim;
        let padded = dim.next_multiple_of(S::LAYOUT.kr);
        let (keys, values) = memory.split_at_mut(BLOCK * padded);
        Self {
            keys,
            values,
            padded,
            dim,
        }
    }

    /// Writes the zeros that pad the keys, which nothing overwrites.
    #[inline(always)]
    fn pad(&mut self) {
        for key in self.keys.chunks_exact_mut(self.padded) {
            key[self.dim..].fill(0);
        }
    }

    /// Quantises the key and the value of row `row`, and gives their scales.
    ///
    /// # Safety
    /// This machine must have the instruction set.
    #[inline(always)]
    unsafe fn put<S: InstructionSet>(
        &mut self,
        row: usize,
        key: &[f32],
        value: &[f32],
    ) -> Result<[f32; 2], f32> {
        let Self { padded, dim, .. } = *self;
        // SAFETY: the caller's.
        unsafe {
            Ok([
                S::quantize(key, &mut self.keys[row * padded..][..dim], 0)?,
                S::quantize(value, &mut self.values[row * dim..][..dim], 0)?,
            ])
        }
    }

    /// Stores the first `rows` rows as tokens `first..` of the tile.
    ///
    /// # Safety
    /// As [`Block::put`].
    #[inline(always)]
    unsafe fn store<S: InstructionSet>(
        &self,
        rows: usize,
        heads: Heads,
        head: usize,
        first: usize,
        tile: &mut KvInt8,
    ) {
        // SAFETY: the caller's.
        unsafe {
            tile.store_k::<S>(heads, head, first, &self.keys[..rows * self.padded]);
            tile.store_v::<S>(heads, head, first, &self.values[..rows * self.dim]);
        }
    }
}
