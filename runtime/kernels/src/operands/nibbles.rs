//! int4 weight matrices in the order the kernels read them, and the two things done with them.
//!
//! A matrix keeps its four bits a weight in memory, in the panels of the int8 matrix that it is ([`Panels`]): of the `nr * kr` weights of
//! a group of `kr` rows, byte i holds number i in its lower bits and number `i + nr * kr / 2` in its upper ones, so that a shift and a
//! mask give two vectors in panel order. Likewise the multipliers of 32 rows: byte j holds that of column j, and of column `j + nr / 2`.
//!
//! ```text
//! values       [n/nr][k/kr][nr * kr / 2]      q, two's complement
//! multipliers  [n/nr][k/32][nr / 2]           m less one
//! ```
//!
//! One row, as in generation, waits for memory: it is multiplied straight from the nibbles (`one_row` of an instruction set), and on some a
//! few rows too. More are worth unpacking a panel for; the tile of int8 does the rest. Both give the sums
//! of the int8 matrix, exactly.

use alloc::sync::Arc;
use alloc::vec;

use super::int4::{INT4_GROUP, Int4Matrix};
use super::panels::Panels;
use crate::layout::Layout;
use crate::memory::aligned::AlignedBytes;
use crate::memory::slab::Piece;

/// A matrix.
#[derive(Clone, Debug)]
pub(crate) struct Nibbles {
    /// All values, then all multipliers.
    memory: Memory,
    /// Bytes of all values.
    values: usize,
    /// Bytes of a panel: of its values, of its multipliers.
    panel: [usize; 2],
}

/// Where a matrix lies.
#[derive(Clone, Debug)]
pub(crate) enum Memory {
    Own(AlignedBytes),
    Slab(Arc<Piece>),
}

impl Memory {
    pub(crate) fn of(piece: Piece) -> Self {
        Self::Slab(Arc::new(piece))
    }

    #[inline(always)]
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes.as_slice(),
            Self::Slab(piece) => piece,
        }
    }

    /// To write to, if nobody else has it.
    fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Own(bytes) => bytes.as_mut_slice(),
            Self::Slab(piece) => Arc::get_mut(piece).map_or(&mut [], |piece| &mut piece[..]),
        }
    }
}

/// A panel of a matrix.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NibblePanel<'a> {
    pub(crate) values: &'a [u8],
    pub(crate) multipliers: &'a [u8],
}

impl Nibbles {
    /// Bytes of a panel, of its values and of its multipliers, and how many panels there are.
    fn dims(layout: Layout, k: usize, n: usize) -> ([usize; 2], usize) {
        let Layout { nr, kr, .. } = layout;
        let [panels, k_groups, ..] = Panels { nr, kr }.dims(k, n);
        let panel = [k_groups * nr * kr / 2, k.div_ceil(INT4_GROUP) * nr / 2];
        (panel, panels)
    }

    /// Bytes of a matrix `[k, n]`.
    pub(crate) fn len(layout: Layout, k: usize, n: usize) -> usize {
        let ([values, multipliers], panels) = Self::dims(layout, k, n);
        panels * (values + multipliers)
    }

    /// Packs a matrix into `memory`, which is zeros and [`Nibbles::len`] bytes at least, all its own.
    pub(crate) fn pack(layout: Layout, w: &Int4Matrix<'_>, memory: Memory) -> Self {
        let Layout { nr, kr, .. } = layout;
        let (k, n) = (w.k(), w.n());
        let (panel, panels) = Self::dims(layout, k, n);
        let mut packed = Self {
            memory,
            values: panels * panel[0],
            panel,
        };
        let bytes = &mut packed.memory.bytes_mut()[..Self::len(layout, k, n)];
        let (values, multipliers) = bytes.split_at_mut(packed.values);
        // A row of a panel, of values or of multipliers: zeros where the matrix has ended.
        let mut row = vec![0; nr];
        let values = values.chunks_exact_mut(panel[0].max(1));
        let multipliers = multipliers.chunks_exact_mut(panel[1].max(1));
        for (p, (values, multipliers)) in values.zip(multipliers).enumerate() {
            let columns = p * nr..n.min((p + 1) * nr);
            let width = columns.len();
            row[width..].fill(0);
            for (group, values) in values.chunks_exact_mut(nr * kr / 2).enumerate() {
                for (r, k) in (group * kr..k.min((group + 1) * kr)).enumerate() {
                    w.values_of(k, columns.start, &mut row[..width]);
                    let (low, high) = row.split_at(nr / 2);
                    let bytes = values[r..].iter_mut().step_by(kr);
                    for ((byte, low), high) in bytes.zip(low).zip(high) {
                        *byte = low | high << 4;
                    }
                }
            }
            for (group, multipliers) in multipliers.chunks_exact_mut(nr / 2).enumerate() {
                w.multipliers_of(group, columns.start, &mut row[..width]);
                let (low, high) = row.split_at(nr / 2);
                for ((byte, low), high) in multipliers.iter_mut().zip(low).zip(high) {
                    *byte = low | high << 4;
                }
            }
        }
        packed
    }

    pub(crate) fn size_in_bytes(&self) -> usize {
        self.memory.bytes().len()
    }

    #[inline(always)]
    pub(crate) fn panel(&self, panel: usize) -> NibblePanel<'_> {
        let [values, multipliers] = self.panel;
        let bytes = self.memory.bytes();
        NibblePanel {
            values: &bytes[panel * values..][..values],
            multipliers: &bytes[self.values + panel * multipliers..][..multipliers],
        }
    }
}

/// Unpacks a panel for the int8 tile: [`INT4_GROUP`] rows after another. Vectorised where vectors can multiply bytes.
#[inline(always)]
pub(crate) fn unpack(layout: Layout, w: NibblePanel<'_>, out: &mut [u8]) {
    /// With the size of a group known.
    #[inline(always)]
    fn groups<const HALF: usize>(
        Layout { nr, kr, .. }: Layout,
        values: &[u8],
        multipliers: &[u8],
        out: &mut [u8],
    ) {
        let steps = INT4_GROUP / kr;
        let (values, _) = values.as_chunks::<HALF>();
        let (out, _) = out.as_chunks_mut::<HALF>();
        let groups = values.chunks(steps).zip(out.chunks_mut(2 * steps));
        for ((values, out), multipliers) in groups.zip(multipliers.chunks_exact(nr / 2)) {
            let mut low = [0i8; HALF];
            let mut high = [0i8; HALF];
            for (j, m) in multipliers.iter().enumerate() {
                low[j * kr..][..kr].fill((m & 0x0f) as i8 + 1);
                high[j * kr..][..kr].fill((m >> 4) as i8 + 1);
            }
            for (values, out) in values.iter().zip(out.as_chunks_mut::<2>().0) {
                for i in 0..HALF {
                    // Sign extended from the upper half of a byte; the product fits, as it is the int8 matrix's.
                    let value = (values[i] << 4) as i8 >> 4;
                    out[0][i] = value.wrapping_mul(low[i]) as u8;
                    let value = values[i] as i8 >> 4;
                    out[1][i] = value.wrapping_mul(high[i]) as u8;
                }
            }
        }
    }
    let NibblePanel {
        values,
        multipliers,
    } = w;
    match layout.nr * layout.kr / 2 {
        16 => groups::<16>(layout, values, multipliers, out),
        32 => groups::<32>(layout, values, multipliers, out),
        64 => groups::<64>(layout, values, multipliers, out),
        half => unreachable!("no layout has groups of {half} bytes"),
    }
}
