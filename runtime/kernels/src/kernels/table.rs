//! Compiles every portable formula once per instruction set, and picks the copy for one.

use super::{
    Attention, AttentionF32, AttentionScratch, Heads, Linear, LinearF32, NonFinite, Prepare,
};
use crate::dot::{Dot, Layout};
use crate::isa::Isa;
use crate::kv::KvInt8;
use crate::pack::PackedRows;
use crate::portable::{Activation, attention, attention_f32, lanes, linear, linear_f32, rows};

/// Every formula, compiled for one instruction set. Calling one needs that instruction set.
#[allow(
    clippy::type_complexity,
    reason = "each type is the signature of one formula"
)]
pub(super) struct Table {
    pub(super) prepare: unsafe fn(
        Layout,
        &[f32],
        usize,
        usize,
        usize,
        Prepare<'_>,
        &mut PackedRows,
    ) -> Result<(), NonFinite>,
    pub(super) linear: unsafe fn(&Dot, Linear<'_>),
    pub(super) split: unsafe fn(
        Layout,
        Heads,
        &[f32],
        usize,
        &mut [PackedRows],
        &mut KvInt8,
    ) -> Result<(), NonFinite>,
    pub(super) attend:
        unsafe fn(&Dot, Attention<'_>, &mut AttentionScratch) -> Result<(), NonFinite>,
    pub(super) norm: unsafe fn(&[f32], &[f32], f32, &mut [f32]),
    pub(super) activate: unsafe fn(Activation, &mut [f32]),
    pub(super) add_rows: unsafe fn(&[f32], &mut [f32]),
    pub(super) dot_f32: unsafe fn(&[f32], &[f32]) -> f32,
    pub(super) linear_f32: unsafe fn(LinearF32<'_>),
    pub(super) attend_f32: unsafe fn(AttentionF32<'_>) -> Result<(), NonFinite>,
}

/// A table named `$table` whose functions may use these target features. Each body is one call that is inlined, so that
/// LLVM vectorises the formula with the widest registers the features give.
macro_rules! compile {
    ($table:ident $(, $feature:literal)?) => {
        static $table: Table = {
            $(#[target_feature(enable = $feature)])?
            fn prepare(
                layout: Layout, x: &[f32], ldx: usize, rows: usize, k: usize, how: Prepare<'_>, out: &mut PackedRows,
            ) -> Result<(), NonFinite> {
                rows::prepare(layout, x, ldx, rows, k, how, out)
            }
            $(#[target_feature(enable = $feature)])?
            fn linear(dot: &Dot, job: Linear<'_>) {
                linear::linear(dot, job);
            }
            $(#[target_feature(enable = $feature)])?
            fn split(
                layout: Layout, heads: Heads, qkv: &[f32], first: usize, q: &mut [PackedRows], tile: &mut KvInt8,
            ) -> Result<(), NonFinite> {
                attention::split(layout, heads, qkv, first, q, tile)
            }
            $(#[target_feature(enable = $feature)])?
            fn attend(dot: &Dot, job: Attention<'_>, scratch: &mut AttentionScratch) -> Result<(), NonFinite> {
                attention::attend(dot, job, scratch)
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
            Table { prepare, linear, split, attend, norm, activate, add_rows, dot_f32, linear_f32, attend_f32 }
        };
    };
}

// On aarch64 this is NEON already: it belongs to the baseline, and the dot-product extensions add nothing to f32.
compile!(BASELINE);
#[cfg(target_arch = "x86_64")]
compile!(AVX2, "avx2,fma");
#[cfg(target_arch = "x86_64")]
compile!(AVX512, "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl");

impl Table {
    /// The copy for `isa`; the caller has checked that the machine has it.
    pub(super) fn of(isa: Isa) -> &'static Self {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => &AVX2,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni => &AVX512,
            _ => &BASELINE,
        }
    }
}
