//! From the rows of c_attn to quantised queries, keys and values.

use super::rows::quantize;
use crate::dot::Dot;
use crate::kernels::{Heads, NonFinite};
use crate::kv::KvInt8;
use crate::pack::PackedRows;

/// Rows whose values are stored together: a multiple of every layout's kr.
const BLOCK: usize = 16;

/// Quantises the q, k and v of `rows` rows of `qkv` `[rows, 3 * heads * dim]`, head by head: q into `q[head]` (rows of a tile),
/// k and v into `tile` from its token `first` on.
#[inline(always)]
pub(crate) fn split(
    dot: &Dot,
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
        return split_heads(dot, heads, qkv, first, q, tile);
    }
    split_heads(dot, heads, qkv, first, q, tile)
}

#[inline(always)]
fn split_heads(
    dot: &Dot,
    heads: Heads,
    qkv: &[f32],
    first: usize,
    q: &mut [PackedRows],
    tile: &mut KvInt8,
) -> Result<(), NonFinite> {
    let layout = dot.layout;
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
                let scale = quantize(dot, part(0), bytes, layout.offset).map_err(refuse)?;
                let scratch: &mut [u8] = bytemuck::cast_slice_mut(scratch);
                let (keys, values) = scratch.split_at_mut(BLOCK * padded);
                let key = &mut keys[(row - start) * padded..][..dim];
                let k_scale = quantize(dot, part(1), key, 0).map_err(refuse)?;
                let value = &mut values[(row - start) * dim..][..dim];
                let v_scale = quantize(dot, part(2), value, 0).map_err(refuse)?;
                tile.set_scales(head, first + row, k_scale, v_scale);
                q.scales[row] = scale;
                q.store(dot, row);
                row += 1;
            }
            let scratch: &[u8] = bytemuck::cast_slice(&q.values);
            let (keys, values) = scratch.split_at(BLOCK * padded);
            let here = row - start;
            tile.store_k(dot, heads, head, first + start, &keys[..here * padded]);
            tile.store_v(layout, heads, head, first + start, &values[..here * dim]);
        }
    }
    Ok(())
}
