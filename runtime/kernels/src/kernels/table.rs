//! Compiles every portable formula once per instruction set, and picks the copy for one.

use super::{
    Attention, AttentionF32, AttentionRow, AttentionScratch, Heads, Linear, LinearF32, NonFinite,
    Prepare,
};
use crate::dot::Dot;
use crate::isa::Isa;
use crate::kv::KvInt8;
use crate::pack::PackedRows;
use crate::portable::{
    Activation, attention, attention_f32, lanes, linear, linear_f32, rows, split,
};

/// Every formula, compiled for one instruction set. Calling one needs that instruction set.
#[allow(
    clippy::type_complexity,
    reason = "each type is the signature of one formula"
)]
pub(super) struct Table {
    pub(super) prepare: unsafe fn(
        &[f32],
        usize,
        usize,
        usize,
        Prepare<'_>,
        &mut PackedRows,
    ) -> Result<(), NonFinite>,
    pub(super) linear: unsafe fn(Linear<'_>),
    pub(super) split:
        unsafe fn(Heads, &[f32], usize, &mut [PackedRows], &mut KvInt8) -> Result<(), NonFinite>,
    pub(super) attend: unsafe fn(Attention<'_>, &mut AttentionScratch) -> Result<(), NonFinite>,
    pub(super) attend_row:
        unsafe fn(AttentionRow<'_>, &mut AttentionScratch) -> Result<(), NonFinite>,
    pub(super) norm: unsafe fn(&[f32], &[f32], f32, &mut [f32]),
    pub(super) activate: unsafe fn(Activation, &mut [f32]),
    pub(super) add_rows: unsafe fn(&[f32], &mut [f32]),
    pub(super) dot_f32: unsafe fn(&[f32], &[f32]) -> f32,
    pub(super) linear_f32: unsafe fn(LinearF32<'_>),
    pub(super) attend_f32: unsafe fn(AttentionF32<'_>) -> Result<(), NonFinite>,
}

/// A table named `$table` of the formulas around the tile `$dot`, whose functions may use these target features. Each body is one
/// call that is inlined, so that LLVM vectorises the formula with the widest registers the features give, knows the
/// layout, and sees the tile.
macro_rules! compile {
    ($table:ident, $dot:expr $(, $feature:literal)?) => {
        static $table: Table = {
            const DOT: Dot = $dot;
            $(#[target_feature(enable = $feature)])?
            fn prepare(
                x: &[f32], ldx: usize, rows: usize, k: usize, how: Prepare<'_>, out: &mut PackedRows,
            ) -> Result<(), NonFinite> {
                rows::prepare(&DOT, x, ldx, rows, k, how, out)
            }
            $(#[target_feature(enable = $feature)])?
            fn linear(job: Linear<'_>) {
                // SAFETY: a table is called on machines that have its instruction set.
                unsafe { linear::linear(&DOT, job) };
            }
            $(#[target_feature(enable = $feature)])?
            fn split(
                heads: Heads, qkv: &[f32], first: usize, q: &mut [PackedRows], tile: &mut KvInt8,
            ) -> Result<(), NonFinite> {
                split::split(&DOT, heads, qkv, first, q, tile)
            }
            $(#[target_feature(enable = $feature)])?
            fn attend(job: Attention<'_>, scratch: &mut AttentionScratch) -> Result<(), NonFinite> {
                // SAFETY: a table is called on machines that have its instruction set.
                unsafe { attention::attend(&DOT, job, scratch) }
            }
            $(#[target_feature(enable = $feature)])?
            fn attend_row(
                job: AttentionRow<'_>, scratch: &mut AttentionScratch,
            ) -> Result<(), NonFinite> {
                // SAFETY: a table is called on machines that have its instruction set.
                unsafe { attention::attend_row(&DOT, job, scratch) }
            }
            $(#[target_feature(enable = $feature)])?
            fn norm(x: &[f32], gain: &[f32], eps: f32, out: &mut [f32]) {
                rows::norm_rows(x, gain, eps, out);
            }
            $(#[target_feature(enable = $feature)])?
            fn activate(kind: Activation, x: &mut [f32]) {
                rows::activate_rows(kind, x);
            }
            $(#[target_feature(enable = $feature)])?
            fn add_rows(x: &[f32], sums: &mut [f32]) {
                rows::add_rows(x, sums);
            }
            $(#[target_feature(enable = $feature)])?
            fn dot_f32(x: &[f32], y: &[f32]) -> f32 {
                lanes::dot(x, y)
            }
            $(#[target_feature(enable = $feature)])?
            fn linear_f32(job: LinearF32<'_>) {
                linear_f32::linear(job);
            }
            $(#[target_feature(enable = $feature)])?
            fn attend_f32(job: AttentionF32<'_>) -> Result<(), NonFinite> {
                attention_f32::attend(job)
            }
            Table {
                prepare, linear, split, attend, attend_row, norm, activate, add_rows, dot_f32, linear_f32, attend_f32,
            }
        };
    };
}

compile!(SCALAR, Dot::SCALAR);
#[cfg(target_arch = "x86_64")]
compile!(AVX2, Dot::AVX2, "avx2,fma");
#[cfg(target_arch = "x86_64")]
compile!(
    AVX512VNNI,
    Dot::AVX512VNNI,
    "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"
);
#[cfg(target_arch = "aarch64")]
compile!(NEON, Dot::NEON, "neon");
#[cfg(target_arch = "aarch64")]
compile!(DOTPROD, Dot::DOTPROD, "neon,dotprod,rdm");
#[cfg(target_arch = "aarch64")]
compile!(I8MM, Dot::I8MM, "neon,i8mm,rdm");

impl Table {
    /// The copy for `isa`; the caller has checked that the machine has it.
    pub(super) fn of(isa: Isa) -> &'static Self {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => &AVX2,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni => &AVX512VNNI,
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => &NEON,
            #[cfg(target_arch = "aarch64")]
            Isa::Dotprod => &DOTPROD,
            #[cfg(target_arch = "aarch64")]
            Isa::I8mm => &I8MM,
            _ => &SCALAR,
        }
    }
}
