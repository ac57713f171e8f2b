//! From the rows of c_attn to quantised queries, keys and values.

use crate::jobs::NonFinite;
use crate::layout::Heads;
use crate::operands::kv::KvInt8;
use crate::operands::rows::PackedRows;
use crate::set::InstructionSet;

/// Rows whose values are stored together: a multiple of every layout's kr.
const BLOCK: usize = 16;

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
    // With a width known when this is compiled a head is a few vectors and no loop. 64 is every published ImageGPT's.
    if heads.dim == 64 {
        let heads = Heads {
            count: heads.count,
            dim: 64,
        };
        // SAFETY: the caller's.
        return unsafe { split_heads::<S>(heads, qkv, first, q, tile) };
    }
    // SAFETY: the caller's.
    unsafe { split_heads::<S>(heads, qkv, first, q, tile) }
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
    let padded = dim.next_multiple_of(layout.kr);
    for (head, q) in q.iter_mut().enumerate().take(count) {
        q.reshape(layout, rows, dim);
        // Of a block of rows, the keys, padded with zeros, and then the values: as weights they are signed.
        q.values
            .resize((BLOCK * (padded + dim)).div_ceil(size_of::<f32>()));
        let keys: &mut [u8] = bytemuck::cast_slice_mut(&mut q.values);
        for key in keys[..BLOCK * padded].chunks_exact_mut(padded) {
            key[dim..].fill(0);
        }
        let mut row = 0;
        for block in qkv.chunks(BLOCK * 3 * width) {
            let start = row;
            for qkv in block.chunks_exact(3 * width) {
                let part = |i: usize| &qkv[i * width + head * dim..][..dim];
                let refuse = |found| NonFinite { row, found };
                let (bytes, scratch) = q.row(row);
                // SAFETY: the caller's.
                let quantize = |x: &[f32], bytes: &mut [u8], offset: u8| unsafe {
                    S::quantize(x, bytes, offset).map_err(refuse)
                };
                let scale = quantize(part(0), bytes, layout.offset)?;
                let scratch: &mut [u8] = bytemuck::cast_slice_mut(scratch);
                let (keys, values) = scratch.split_at_mut(BLOCK * padded);
                let key = &mut keys[(row - start) * padded..][..dim];
                let k_scale = quantize(part(1), key, 0)?;
                let value = &mut values[(row - start) * dim..][..dim];
                let v_scale = quantize(part(2), value, 0)?;
                tile.set_scales(head, first + row, k_scale, v_scale);
                q.scales[row] = scale;
                // SAFETY: the caller's.
                unsafe { q.store::<S>(row) };
                row += 1;
            }
            let scratch: &[u8] = bytemuck::cast_slice(&q.values);
            let (keys, values) = scratch.split_at(BLOCK * padded);
            let here = row - start;
            // SAFETY: the caller's.
            unsafe {
                tile.store_k::<S>(heads, head, first + start, &keys[..here * padded]);
                tile.store_v::<S>(heads, head, first + start, &values[..here * dim]);
            }
        }
    }
    Ok(())
}
