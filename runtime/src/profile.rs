//! Where the time of a forward pass goes: one clock reading after each operator, in every thread, when asked
//! for.
//!
//! Off, which it is unless a tool turns it on, it costs one relaxed load an operator and tile of tokens.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A step of the forward pass. Each is what one thread does between two clock readings, so a step names all
/// that happens in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// Token and position embeddings.
    Embedding,
    /// Both norms of a block, and quantising what they give.
    NormQuantize,
    /// `attn.c_attn`.
    CAttn,
    /// Quantising q, k and v head by head, and laying them out.
    Split,
    /// Scores, softmax and weighted values.
    Attention,
    /// Quantising what attention gives.
    Quantize,
    /// `attn.c_proj`, with its residual.
    CProj,
    /// `mlp.c_fc`.
    CFc,
    /// The MLP's activation, and quantising what it gives.
    ActivateQuantize,
    /// `mlp.c_proj`, with its residual.
    MlpCProj,
    /// `ln_f`, and the head if there is one.
    Head,
    /// Cutting windows out of a map, and quantising them.
    Gather,
    /// Patch convolutions.
    Patches,
    /// Norms whose rows something else needs than the next product.
    Norm,
    /// `q_proj`, `k_proj` and `v_proj`.
    Projections,
    /// `sequence_reduction`.
    SequenceReduction,
    /// `o_proj`, with its residual.
    OProj,
    /// `mlp.fc1`.
    Fc1,
    /// `mlp.dwconv`, the activation, and quantising what it gives.
    Depthwise,
    /// `mlp.fc2`, with its residual.
    Fc2,
    /// The norm that ends a stage.
    StageNorm,
    /// The mean over the last map, and `classifier`.
    Classifier,
}

impl Operator {
    /// Every operator of an ImageGPT, in the order of the forward pass.
    pub const IMAGEGPT: [Self; 11] = [
        Self::Embedding,
        Self::NormQuantize,
        Self::CAttn,
        Self::Split,
        Self::Attention,
        Self::Quantize,
        Self::CProj,
        Self::CFc,
        Self::ActivateQuantize,
        Self::MlpCProj,
        Self::Head,
    ];

    /// Every operator of a Mix Transformer, in the order of the forward pass.
    pub const SEGFORMER: [Self; 15] = [
        Self::Gather,
        Self::Patches,
        Self::Norm,
        Self::NormQuantize,
        Self::Projections,
        Self::SequenceReduction,
        Self::Split,
        Self::Attention,
        Self::Quantize,
        Self::OProj,
        Self::Fc1,
        Self::Depthwise,
        Self::Fc2,
        Self::StageNorm,
        Self::Classifier,
    ];

    /// How many there are.
    const COUNT: usize = Self::Classifier as usize + 1;

    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Embedding => "embeddings",
            Self::NormQuantize => "norm + quantise",
            Self::CAttn => "attn.c_attn",
            Self::Split => "split + quantise q, k, v",
            Self::Attention => "attention",
            Self::Quantize => "quantise heads",
            Self::CProj => "attn.c_proj",
            Self::CFc => "mlp.c_fc",
            Self::ActivateQuantize => "activation + quantise",
            Self::MlpCProj => "mlp.c_proj",
            Self::Head => "ln_f + head",
            Self::Gather => "windows + quantise",
            Self::Patches => "patch convolutions",
            Self::Norm => "norm",
            Self::Projections => "q, k, v",
            Self::SequenceReduction => "sequence reduction",
            Self::OProj => "o_proj",
            Self::Fc1 => "mlp.fc1",
            Self::Depthwise => "depthwise + activation + quantise",
            Self::Fc2 => "mlp.fc2",
            Self::StageNorm => "stage norm",
            Self::Classifier => "mean + classifier",
        }
    }
}

/// Time spent in each operator, summed over threads.
#[derive(Debug, Default)]
pub(crate) struct Profile {
    on: AtomicBool,
    nanoseconds: [AtomicU64; Operator::COUNT],
}

impl Profile {
    /// Turns the clock on or off.
    pub(crate) fn switch(&self, on: bool) {
        self.on.store(on, Ordering::Relaxed);
    }

    /// The sums of these operators since the last call, which start again from nothing.
    pub(crate) fn take(&self, operators: &[Operator]) -> Vec<(Operator, Duration)> {
        let sum = |op: &Operator| {
            let sum = self.nanoseconds[*op as usize].swap(0, Ordering::Relaxed);
            (*op, Duration::from_nanos(sum))
        };
        operators.iter().map(sum).collect()
    }

    /// A stop watch of this thread.
    pub(crate) fn laps(&self) -> Laps<'_> {
        Laps {
            profile: self,
            last: self.on.load(Ordering::Relaxed).then(Instant::now),
        }
    }
}

/// Reads the clock at the end of each operator.
pub(crate) struct Laps<'a> {
    profile: &'a Profile,
    last: Option<Instant>,
}

impl Laps<'_> {
    /// Books the time since the last call on `operator`.
    #[inline]
    pub(crate) fn end(&mut self, operator: Operator) {
        if let Some(last) = &mut self.last {
            let now = Instant::now();
            let spent = now.duration_since(*last).as_nanos() as u64;
            self.profile.nanoseconds[operator as usize].fetch_add(spent, Ordering::Relaxed);
            *last = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn laps_are_booked_only_while_it_is_on_and_taken_once() {
        let profile = Profile::default();
        let wait = || std::thread::sleep(Duration::from_millis(2));
        let mut laps = profile.laps();
        wait();
        laps.end(Operator::CFc);
        profile.switch(true);
        let mut laps = profile.laps();
        wait();
        laps.end(Operator::Attention);
        let spent: Vec<_> = profile
            .take(&Operator::IMAGEGPT)
            .into_iter()
            .filter(|(_, spent)| !spent.is_zero())
            .collect();
        assert_eq!(spent.len(), 1, "{spent:?}");
        assert_eq!(spent[0].0, Operator::Attention);
        assert!(spent[0].1 >= Duration::from_millis(2));
        let again = profile.take(&Operator::IMAGEGPT);
        assert!(again.iter().all(|(_, spent)| spent.is_zero()));
    }

    #[test]
    fn no_operator_of_a_family_is_listed_twice_or_called_as_another() {
        for family in [&Operator::IMAGEGPT[..], &Operator::SEGFORMER] {
            let names: std::collections::BTreeSet<_> = family.iter().map(|op| op.name()).collect();
            assert_eq!(names.len(), family.len());
        }
    }
}
