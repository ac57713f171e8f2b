//! What is written by hand against what it stands for, piece by piece, on every instruction set of this machine.

mod interleave;
mod nibbles;
mod rows;
mod softmax;
mod tile;

use crate::arithmetic::activation::Activation;
use crate::arithmetic::lanes::Range;
use crate::arithmetic::layer_norm::Affine;
use crate::arithmetic::softmax::{RowStats, Scores};
use crate::isa::{Isa, instruction_sets};
use crate::layout::{GROUP, Layout};
use crate::operands::nibbles::NibblePanel;
use crate::operands::rows::PackedRows;
use crate::set::{self, InstructionSet, NibbleRow, Tile};
use crate::sets;

/// The pieces of an instruction set, so that a test can walk over all of them.
#[derive(Clone, Copy)]
#[allow(
    clippy::type_complexity,
    reason = "each type is the signature of one piece"
)]
struct Pieces {
    isa: Isa,
    layout: Layout,
    tile: unsafe fn(&Tile<'_>, &mut [i32], usize),
    one_row: unsafe fn(&NibbleRow<'_>, &mut [i32]),
    unpack: unsafe fn(NibblePanel<'_>, &mut [u8]),
    interleave: unsafe fn(&[u8], &mut [u8], usize, usize),
    softmax: unsafe fn(&Scores<'_>, &mut RowStats, &mut [u8]),
    norm_amax: unsafe fn(&[f32], &[f32], f32, &mut [f32]) -> u32,
    layer_norm: unsafe fn([&[f32]; GROUP], Affine<'_>, &mut [f32]) -> [u32; GROUP],
    quantize: unsafe fn(&[f32], &mut [u8], u8) -> Result<f32, f32>,
    quantize_skewed: unsafe fn(&[f32], Range, &mut [u8], u8) -> Result<(f32, i32), f32>,
    activate_range: unsafe fn(Activation, &[f32], &mut [f32]) -> Range,
    rows: fn(&[i8], usize, usize) -> PackedRows,
}

impl Pieces {
    fn of_set<S: InstructionSet>() -> Self {
        Self {
            isa: S::ISA,
            layout: S::LAYOUT,
            tile: set::multiply::<S>,
            one_row: set::one_row::<S>,
            unpack: S::unpack,
            interleave: S::interleave,
            softmax: S::softmax,
            norm_amax: S::norm_amax,
            layer_norm: S::layer_norm,
            quantize: S::quantize,
            quantize_skewed: S::quantize_skewed,
            activate_range: S::activate_range,
            rows: PackedRows::from_int8::<S>,
        }
    }

    fn scalar() -> Self {
        Self::of_set::<sets::scalar::Scalar>()
    }
}

/// What finds the pieces of an instruction set of this architecture.
macro_rules! pieces {
    ($(
        $(#[$doc:meta])*
        $isa:ident $name:literal $($folder:ident)::+ $arch:literal [$($feature:tt)*] $layout:tt $instruction:literal;
    )*) => {
        fn pieces_of(isa: Isa) -> Option<Pieces> {
            match isa {
                Isa::Scalar => Some(Pieces::scalar()),
                $(
                    #[cfg(target_arch = $arch)]
                    Isa::$isa => Some(Pieces::of_set::<sets$(::$folder)+::$isa>()),
                    #[cfg(not(target_arch = $arch))]
                    Isa::$isa => None,
                )*
            }
        }
    };
}
instruction_sets!(pieces);

/// The pieces of every instruction set that this machine has; the others are named, so that a log says what was not tested.
fn all() -> impl Iterator<Item = Pieces> {
    for isa in Isa::ALL.into_iter().filter(|isa| !isa.is_available()) {
        std::eprintln!("not tested here: {isa}, for want of {:?}", isa.missing());
    }
    Isa::available().filter_map(pieces_of)
}
