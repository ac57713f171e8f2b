//! The layout of every instruction set, known on every machine: a file may be packed for another one.

use super::Layout;
use crate::isa::Isa;

impl Layout {
    /// What the tile of `isa` wants.
    pub const fn of(isa: Isa) -> Self {
        let (mr, nr, kr, offset) = match isa {
            Isa::Scalar | Isa::Avx2 => (4, 16, 4, 0),
            Isa::Avx512Vnni => (12, 32, 4, 0x80),
            Isa::Neon => (4, 4, 16, 0),
            Isa::Dotprod => (8, 8, 4, 0),
            Isa::I8mm => (8, 8, 8, 0),
        };
        Self { mr, nr, kr, offset }
    }
}
