//! Compiles every layer once per instruction set, and picks the copy for one. The only file that knows layers and sets.

use core::ops::Range;

use bytes::Bytes;

use crate::arithmetic::activation::Activation;
use crate::arithmetic::lanes;
use crate::arithmetic::layer_norm::Affine;
use crate::benchmarks;
use crate::isa::{Isa, instruction_sets};
use crate::jobs::{
    Attention, AttentionF32, AttentionRow, AttentionScratch, Depthwise, Linear, LinearF32,
    NonFinite, Prepare, RowRing, RowsF32, Windows,
};
use crate::layers::{
    attention, attention_f32, depthwise, layer_norm, linear, linear_f32, pack, prepare, resample,
    split, windows,
};
use crate::layout::{Heads, Layout};
use crate::operands::axis::ResampleAxis;
use crate::operands::int4::Int4Matrix;
use crate::operands::kv::KvInt8;
use crate::operands::nibbles::Memory;
use crate::operands::packing::Packing;
use crate::operands::panels::PanelsError;
use crate::operands::rows::PackedRows;
use crate::operands::weights::PackedInt8;
use crate::sets;

/// Every layer, compiled for one instruction set. Calling one needs that instruction set.
#[allow(
    clippy::type_complexity,
    reason = "each type is the signature of one formula"
)]
pub(crate) struct Table {
    pub(crate) isa: Isa,
    pub(crate) layout: Layout,
    /// log2 of the heads that one query reads together.
    pub(crate) heads_together: u32,
    pub(crate) pack: unsafe fn(Bytes, usize, usize) -> Result<PackedInt8, PanelsError>,
    pub(crate) pack_int4: unsafe fn(&Int4Matrix<'_>, Memory) -> PackedInt8,
    pub(crate) prepare:
        unsafe fn(RowsF32<'_>, Prepare<'_>, &mut PackedRows) -> Result<(), NonFinite>,
    pub(crate) linear: unsafe fn(Linear<'_>),
    pub(crate) split:
        unsafe fn(Heads, &[f32], usize, &mut [PackedRows], &mut KvInt8) -> Result<(), NonFinite>,
    pub(crate) split_q: unsafe fn(Heads, &[f32], &mut [PackedRows]) -> Result<(), NonFinite>,
    pub(crate) split_kv: unsafe fn(Heads, &[f32], usize, &mut KvInt8) -> Result<(), NonFinite>,
    pub(crate) attend: unsafe fn(Attention<'_>, &mut AttentionScratch) -> Result<(), NonFinite>,
    pub(crate) attend_row:
        unsafe fn(AttentionRow<'_>, &mut AttentionScratch) -> Result<(), NonFinite>,
    pub(crate) norm: unsafe fn(&[f32], &[f32], f32, &mut [f32]),
    pub(crate) layer_norm: unsafe fn(&[f32], &[f32], &[f32], f32, &mut [f32]),
    pub(crate) prepare_windows:
        unsafe fn(Windows<'_>, Range<usize>, &mut PackedRows) -> Result<(), NonFinite>,
    pub(crate) gather: unsafe fn(Windows<'_>, Range<usize>, &mut [f32]),
    pub(crate) depthwise: unsafe fn(Depthwise<'_>, &mut PackedRows) -> Result<(), NonFinite>,
    pub(crate) depthwise_f32: unsafe fn(Depthwise<'_>, &mut [f32]),
    pub(crate) resample_row: unsafe fn(&ResampleAxis, &[u8], &mut [u8]),
    pub(crate) blend_rows: unsafe fn(&ResampleAxis, usize, RowRing<'_>, &mut [u8]),
    pub(crate) activate: unsafe fn(Activation, &mut [f32]),
    pub(crate) add_rows: unsafe fn(&[f32], &mut [f32]),
    pub(crate) dot_f32: unsafe fn(&[f32], &[f32]) -> f32,
    pub(crate) linear_f32: unsafe fn(LinearF32<'_>),
    pub(crate) attend_f32: unsafe fn(AttentionF32<'_>) -> Result<(), NonFinite>,
    pub(crate) peak: unsafe fn(u64) -> u64,
    pub(crate) tiles: unsafe fn(u64) -> u64,
}

/// A table of the layers on the instruction set `$set`, whose functions may use these target features. Each body is one
/// call that is inlined, so that LLVM vectorises the formula with the widest registers the features give, knows the
/// layout, and sees the tile.
macro_rules! compile {
    ($isa:ident, $set:ty $(, $feature:tt)*) => {
        #[allow(non_upper_case_globals, reason = "named as the set, so that a profile says which copy ran")]
        static $isa: Table = {
            type Set = $set;
            $(#[target_feature(enable = $feature)])*
            fn pack(bytes: Bytes, k: usize, n: usize) -> Result<PackedInt8, PanelsError> {
                // SAFETY: a table is called on machines that have its instruction set.
                unsafe { pack::int8::<Set>(bytes, k, n) }
            }
            $(#[target_feature(enable = $feature)])*
            fn pack_int4(w: &Int4Matrix<'_>, memory: Memory) -> PackedInt8 {
                // SAFETY: a table is called on machines that have its instruction set.
                unsafe { pack::int4::<Set>(w, memory) }
            }
            $(#[target_feature(enable = $feature)])*
            fn prepare(
                from: RowsF32<'_>, how: Prepare<'_>, out: &mut PackedRows,
            ) -> Result<(), NonFinite> {
                // SAFETY: a table is called on machines that have its instruction set.
                unsafe { prepare::prepare::<Set>(from, how, out) }
            }
            $(#[target_feature(enable = $feature)])*
            fn linear(job: Linear<'_>) {
                // SAFETY: a table is called on machines that have its instruction set.
                unsafe { linear::linear::<Set>(job) };
            }
            $(#[target_feature(enable = $feature)])*
            fn split(
                heads: Heads, qkv: &[f32], first: usize, q: &mut [PackedRows], tile: &mut KvInt8,
            ) -> Result<(), NonFinite> {
                // SAFETY: a table is called on machines that have its instruction set.
                unsafe { split::split::<Set>(heads, qkv, first, q, tile) }
            }
            $(#[target_feature(enable = $feature)])*
            fn split_q(
                heads: Heads, q: &[f32], out: &mut [PackedRows],
            ) -> Result<(), NonFinite> {
                // SAFETY: a table is called on machines that have its instruction set.
                unsafe { split::queries::<Set>(heads, q, out) }
            }
            $(#[target_feature(enable = $feature)])*
            fn split_kv(
                heads: Heads, kv: &[f32], first: usize, tile: &mut KvInt8,
            ) -> Result<(), NonFinite> {
                // SAFETY: a table is called on machines that have its instruction set.
                unsafe { split::keys_and_values::<Set>(heads, kv, first, tile) }
            }
            $(#[target_feature(enable = $feature)])*
            fn prepare_windows(
                windows: Windows<'_>, rows: Range<usize>, out: &mut PackedRows,
            ) -> Result<(), NonFinite> {
                // SAFETY: a table is called on machines that have its instruction set.
                unsafe { windows::prepare::<Set>(windows, rows, out) }
            }
            $(#[target_feature(enable = $feature)])*
            fn gather(windows: Windows<'_>, rows: Range<usize>, out: &mut [f32]) {
                windows::gather(windows, rows, out);
            }
            $(#[target_feature(enable = $feature)])*
            fn depthwise(job: Depthwise<'_>, out: &mut PackedRows) -> Result<(), NonFinite> {
                // SAFETY: a table is called on machines that have its instruction set.
                unsafe { depthwise::prepare::<Set>(job, out) }
            }
            $(#[target_feature(enable = $feature)])*
            fn depthwise_f32(job: Depthwise<'_>, out: &mut [f32]) {
                depthwise::f32_rows(job, out);
            }
            $(#[target_feature(enable = $feature)])*
            fn resample_row(axis: &ResampleAxis, source: &[u8], out: &mut [u8]) {
                // SAFETY: a table is called on machines that have its instruction set.
                unsafe { resample::row::<Set>(axis, source, out) };
            }
            $(#[target_feature(enable = $feature)])*
            fn blend_rows(axis: &ResampleAxis, target: usize, rows: RowRing<'_>, out: &mut [u8]) {
                resample::blend(axis, target, rows, out);
            }
            $(#[target_feature(enable = $feature)])*
            fn layer_norm(x: &[f32], gain: &[f32], bias: &[f32], eps: f32, out: &mut [f32]) {
                // SAFETY: a table is called on machines that have its instruction set.
                unsafe { layer_norm::f32_rows::<Set>(x, Affine { gain, bias, eps }, out) };
            }
            $(#[target_feature(enable = $feature)])*
            fn attend(job: Attention<'_>, scratch: &mut AttentionScratch) -> Result<(), NonFinite> {
                // SAFETY: a table is called on machines that have its instruction set.
                unsafe { attention::attend::<Set>(job, scratch) }
            }
            $(#[target_feature(enable = $feature)])*
            fn attend_row(
                job: AttentionRow<'_>, scratch: &mut AttentionScratch,
            ) -> Result<(), NonFinite> {
                // SAFETY: a table is called on machines that have its instruction set.
                unsafe { attention::attend_row::<Set>(job, scratch) }
            }
            $(#[target_feature(enable = $feature)])*
            fn norm(x: &[f32], gain: &[f32], eps: f32, out: &mut [f32]) {
                prepare::norm_rows(x, gain, eps, out);
            }
            $(#[target_feature(enable = $feature)])*
            fn activate(kind: Activation, x: &mut [f32]) {
                prepare::activate_rows(kind, x);
            }
            $(#[target_feature(enable = $feature)])*
            fn add_rows(x: &[f32], sums: &mut [f32]) {
                prepare::add_rows(x, sums);
            }
            $(#[target_feature(enable = $feature)])*
            fn dot_f32(x: &[f32], y: &[f32]) -> f32 {
                lanes::dot(x, y)
            }
            $(#[target_feature(enable = $feature)])*
            fn linear_f32(job: LinearF32<'_>) {
                linear_f32::linear(job);
            }
            $(#[target_feature(enable = $feature)])*
            fn attend_f32(job: AttentionF32<'_>) -> Result<(), NonFinite> {
                attention_f32::attend(job)
            }
            $(#[target_feature(enable = $feature)])*
            fn peak(rounds: u64) -> u64 {
                // SAFETY: a table is called on machines that have its instruction set.
                unsafe { benchmarks::peak::<Set>(rounds) }
            }
            $(#[target_feature(enable = $feature)])*
            fn tiles(count: u64) -> u64 {
                // SAFETY: a table is called on machines that have its instruction set.
                unsafe { benchmarks::tiles::<Set>(count) }
            }
            Table {
                isa: Isa::$isa,
                layout: <Set as Packing>::LAYOUT,
                heads_together: <Set as Packing>::HEADS_TOGETHER,
                pack, pack_int4, prepare, linear, split, split_q, split_kv, attend, attend_row, norm, layer_norm,
                prepare_windows, gather, depthwise, depthwise_f32, resample_row, blend_rows, activate, add_rows, dot_f32, linear_f32, attend_f32,
                peak, tiles,
            }
        };
    };
}

/// A table for each instruction set of this architecture that the list names, and what finds it.
macro_rules! tables {
    ($(
        $(#[$doc:meta])*
        $isa:ident $name:literal $($folder:ident)::+ $arch:literal [$($feature:tt)*] $layout:tt $instruction:literal;
    )*) => {
        compile!(Scalar, sets::scalar::Scalar);
        $(
            #[cfg(target_arch = $arch)]
            compile!($isa, sets$(::$folder)+::$isa $(, $feature)*);
        )*

        impl Table {
            /// The reference's, which every machine has.
            pub(crate) fn scalar() -> &'static Self {
                &Scalar
            }

            /// The copy for `isa`, if this machine has such instructions.
            pub(crate) fn of(isa: Isa) -> Option<&'static Self> {
                if !isa.is_available() {
                    return None;
                }
                match isa {
                    Isa::Scalar => Some(&Scalar),
                    $(
                        #[cfg(target_arch = $arch)]
                        Isa::$isa => Some(&$isa),
                        #[cfg(not(target_arch = $arch))]
                        Isa::$isa => None,
                    )*
                }
            }
        }
    };
}
instruction_sets!(tables);
