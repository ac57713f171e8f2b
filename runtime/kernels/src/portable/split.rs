//! From the rows of c_attn to quantised queries, keys and values.

use super::rows::quantize;
use crate::dot::Layout;
use crate::kernels::{Heads, NonFinite};
use crate::kv::KvInt8;
use crate::pack::PackedRows;

/// Rows whose values are stored together: a multiple of every layout's kr.
const BLOCK: usize = 16;

/// Quantises the q, k and v of `rows` rows of `qkv` `[rows, 3 * heads * dim]`, head by head: q into `q[head]` (rows of a tile),
/// k and v into `tile` from its token `first` on.
#[inline(always)]
pub(crate) fn split(
    layout: Layout,
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
        return split_heads(layout, heads, qkv, first, q, tile);
    }
    split_heads(layout, heads, qkv, first, q, tile)
}

#[inline(always)]
fn split_heads(
    layout: Layout,
    heads: Heads,
    qkv: &[f32],
    first: usize,
    q: &mut [PackedRows],
    tile: &mut KvInt8,
) -> Result<(), NonFinite> {
    let Heads { count, dim } = heads;
    let width = count * dim;
    let rows = qkv.len() / (3 * width);
    for (head, q) in q.iter_mut().enumerate().take(count) {
        q.reshape(layout, rows, dim);
        q.values.resize(dim * BLOCK.div_ceil(size_of::<f32>()));
        let mut row = 0;
        for block in qkv.chunks(BLOCK * 3 * width) {
            let start = row;
            for qkv in block.chunks_exact(3 * width) {
                let part = |i: usize| &qkv[i * width + head * dim..][..dim];
                let refuse = |found| NonFinite { row, found };
                q.scales[row] = quantize(part(0), &mut q.bytes, layout.offset).map_err(refuse)?;
                q.store_bytes(layout, row);
                // Keys and values play the part of weights: signed, padded with zeros.
                q.bytes[dim..].fill(0);
                let scale = quantize(part(1), &mut q.bytes, 0).map_err(refuse)?;
                tile.store_k(layout, heads, head, first + row, &q.bytes, scale);
                q.bytes[dim..].fill(layout.offset);
                let values: &mut [u8] = bytemuck::cast_slice_mut(&mut q.values);
                let bytes = &mut values[(row - start) * dim..][..dim];
                let scale = quantize(part(2), bytes, 0).map_err(refuse)?;
                tile.set_v_scale(head, first + row, scale);
                row += 1;
            }
            let values: &[u8] = bytemuck::cast_slice(&q.values);
            let values = &values[..(row - start) * dim];
            tile.store_v(layout, heads, head, first + start, values);
        }
    }
    Ok(())
}
