//! int8 weight matrices in the order a tile reads them: which order an instruction set wants, into it and back.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use crate::isa::Isa;
use crate::layout::Layout;
use crate::memory::aligned::AlignedBytes;

/// Panels of `nr` columns, groups of `kr` rows: a matrix `[k, n]` lies as `[n/nr][k/kr][nr][kr]`, zero padded.
///
/// Its name, in a model file and on a command line, is `nr`x`kr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panels {
    /// Columns of a panel.
    pub nr: usize,
    /// Consecutive rows kept together.
    pub kr: usize,
}

/// Why bytes are not a packed matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PanelsError {
    /// More or fewer bytes than the shape asks for.
    Length {
        /// How many there are.
        found: usize,
        /// How many the shape asks for.
        expected: usize,
    },
    /// A value of -128, on which the kernels for ARMv8.0 and AVX2 are not exact, at this byte.
    Value(usize),
    /// Padding that is not zero.
    Padding,
}

impl Panels {
    /// The largest `nr` and `kr` that a name may give: room for wider tiles than today's.
    const MAX: usize = 256;

    /// The panels of an instruction set, whichever machine this is.
    pub const fn of(isa: Isa) -> Self {
        let Layout { nr, kr, .. } = Layout::of(isa);
        Self { nr, kr }
    }

    /// The shape of a packed `[k, n]`.
    pub fn dims(self, k: usize, n: usize) -> [usize; 4] {
        let Self { nr, kr } = self;
        [n.div_ceil(nr), k.div_ceil(kr), nr, kr]
    }

    /// Packs `w`, row-major `[k, n]`.
    ///
    /// # Panics
    /// If `w` does not hold `k * n` values.
    pub fn pack(self, w: &[i8], k: usize, n: usize) -> AlignedBytes {
        let mut bytes = AlignedBytes::zeroed(self.len(k, n));
        self.pack_into(w, k, n, bytes.as_mut_slice());
        bytes
    }

    /// Bytes of a packed `[k, n]`.
    pub fn len(self, k: usize, n: usize) -> usize {
        self.dims(k, n).iter().product()
    }

    /// As [`Panels::pack`], into memory that holds zeros.
    ///
    /// # Panics
    /// If `w` does not hold `k * n` values, or `bytes` is not [`Panels::len`] long.
    pub fn pack_into(self, w: &[i8], k: usize, n: usize, bytes: &mut [u8]) {
        assert_eq!(w.len(), k * n, "a weight matrix of {k} x {n}");
        assert_eq!(bytes.len(), self.len(k, n), "memory for {k} x {n} packed");
        let Self { nr, kr } = self;
        let groups = k.div_ceil(kr);
        let panel_len = (groups * nr * kr).max(1);
        for (p, panel) in bytes.chunks_exact_mut(panel_len).enumerate() {
            let columns = p * nr..n.min((p + 1) * nr);
            for (g, group) in panel.chunks_exact_mut(nr * kr).enumerate() {
                for (r, row) in (g * kr..k.min((g + 1) * kr)).enumerate() {
                    let row = &w[row * n..][columns.clone()];
                    for (to, from) in group[r..].iter_mut().step_by(kr).zip(row) {
                        *to = *from as u8;
                    }
                }
            }
        }
    }

    /// The row-major `[k, n]` that was packed into `bytes`.
    ///
    /// # Errors
    /// If `bytes` is not as long as the shape asks for.
    pub fn unpack(self, bytes: &[u8], k: usize, n: usize) -> Result<Vec<i8>, PanelsError> {
        let Self { nr, kr } = self;
        let [_, groups, ..] = self.dims(k, n);
        self.check_length(bytes, k, n)?;
        let mut w = vec![0; k * n];
        let panel_len = (groups * nr * kr).max(1);
        for (p, panel) in bytes.chunks_exact(panel_len).enumerate() {
            let columns = p * nr..n.min((p + 1) * nr);
            for (g, group) in panel.chunks_exact(nr * kr).enumerate() {
                for (r, row) in (g * kr..k.min((g + 1) * kr)).enumerate() {
                    let row = &mut w[row * n..][columns.clone()];
                    for (to, from) in row.iter_mut().zip(group[r..].iter().step_by(kr)) {
                        *to = *from as i8;
                    }
                }
            }
        }
        Ok(w)
    }

    fn check_length(self, bytes: &[u8], k: usize, n: usize) -> Result<(), PanelsError> {
        let expected = self.len(k, n);
        if bytes.len() == expected {
            return Ok(());
        }
        Err(PanelsError::Length {
            found: bytes.len(),
            expected,
        })
    }

    /// Whether `bytes` can be a packed `[k, n]`.
    pub(crate) fn check(self, bytes: &[u8], k: usize, n: usize) -> Result<(), PanelsError> {
        self.check_length(bytes, k, n)?;
        // Whole blocks first, without a branch in each: this reads all weights of a model while it loads.
        let bad = |block: &[u8]| block.iter().fold(false, |bad, b| bad | (*b == 0x80));
        for (i, block) in bytes.chunks(1024).enumerate() {
            if bad(block) {
                let at = block.iter().position(|b| *b == 0x80).unwrap_or_default();
                return Err(PanelsError::Value(i * 1024 + at));
            }
        }
        let Self { nr, kr } = self;
        let [panels, groups, ..] = self.dims(k, n);
        let (columns, rows) = (n - panels.saturating_sub(1) * nr, k % kr);
        if rows == 0 && columns == nr {
            return Ok(());
        }
        let groups_of = bytes.chunks_exact(nr * kr).enumerate();
        for (i, group) in groups_of {
            if rows != 0 && i % groups == groups - 1 {
                let pads = |column: &[u8]| column[rows..].iter().any(|b| *b != 0);
                if group.chunks_exact(kr).any(pads) {
                    return Err(PanelsError::Padding);
                }
            }
            if i / groups == panels - 1 && group[columns * kr..].iter().any(|b| *b != 0) {
                return Err(PanelsError::Padding);
            }
        }
        Ok(())
    }
}

impl fmt::Display for Panels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.nr, self.kr)
    }
}

impl FromStr for Panels {
    type Err = PanelsName;

    fn from_str(name: &str) -> Result<Self, PanelsName> {
        let size = |text: &str| {
            let size = text.parse::<usize>().ok()?;
            (1..=Self::MAX).contains(&size).then_some(size)
        };
        let (nr, kr) = name.split_once('x').ok_or(PanelsName)?;
        let (nr, kr) = (size(nr).ok_or(PanelsName)?, size(kr).ok_or(PanelsName)?);
        Ok(Self { nr, kr })
    }
}

/// A name that stands for no panels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PanelsName;

impl fmt::Display for PanelsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no panels of weights; expected columns x rows, each 1 to {}, such as 32x4",
            Panels::MAX
        )
    }
}

impl core::error::Error for PanelsName {}

impl fmt::Display for PanelsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { found, expected } => {
                write!(f, "{found} packed bytes, expected {expected}")
            }
            Self::Value(at) => write!(f, "value {at} is not -127 to 127"),
            Self::Padding => f.write_str("padding that is not zero"),
        }
    }
}

impl core::error::Error for PanelsError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layout_packs_and_unpacks_and_refuses_what_is_not_packed() {
        for (k, n) in [(1, 1), (7, 33), (16, 64), (33, 5)] {
            let w: Vec<i8> = (0..k * n).map(|i| (i * 37 % 255) as u8 as i8).collect();
            let w: Vec<i8> = w.iter().map(|w| (*w).max(-127)).collect();
            for isa in Isa::ALL {
                let panels = Panels::of(isa);
                let packed = panels.pack(&w, k, n);
                assert_eq!(panels.check(&packed, k, n), Ok(()), "{k} x {n} as {panels}");
                assert_eq!(panels.unpack(&packed, k, n), Ok(w.clone()));
                assert_eq!(panels.to_string().parse(), Ok(panels));
                let short = &packed[1..];
                assert!(matches!(
                    panels.check(short, k, n),
                    Err(PanelsError::Length { .. })
                ));
                let mut bad = packed.clone();
                bad[0] = 0x80;
                assert_eq!(panels.check(&bad, k, n), Err(PanelsError::Value(0)));
                let last = packed.len() - 1;
                if !k.is_multiple_of(panels.kr) || !n.is_multiple_of(panels.nr) {
                    let mut bad = packed.clone();
                    bad[last] = 1;
                    assert_eq!(panels.check(&bad, k, n), Err(PanelsError::Padding));
                }
            }
        }
    }

    #[test]
    fn only_sizes_that_make_sense_are_names() {
        for name in [
            "", "x", "32", "0x4", "32x0", "32x4x1", "-1x4", "257x4", "a x b",
        ] {
            assert_eq!(name.parse::<Panels>(), Err(PanelsName), "{name:?}");
        }
    }
}
