//! Forward passes: how long, and where the time goes.

use std::hint::black_box;
use std::time::Instant;

use igpt_runtime::tools::Operator;
use igpt_runtime::{AutoModel, Dtype, ModelConfig, Task};

use super::report::{OperatorTime, Profile, Timing, quantile};
use super::{input, machine};
use crate::failure::{Blame as _, Failure};
use crate::loaded::{Input, LoadedModel};
use crate::{imagegpt, segformer};

/// What a forward pass does.
pub(super) struct Pass {
    /// What the model reads.
    pub(super) input: Input,
    /// Multiply-accumulates of each operator that does some.
    pub(super) operators: Vec<(Operator, u64)>,
}

impl Pass {
    /// Of so many tokens, or of the pictures that the file is for.
    pub(super) fn new(model: &LoadedModel, tokens: Option<usize>) -> Result<Self, Failure> {
        let task = model.task().name();
        let operators = match (model.config(), model.model()) {
            (ModelConfig::ImageGpt(config), _) => {
                let tokens = tokens.unwrap_or(config.n_positions);
                let macs = |op| imagegpt::cost::operator_macs(config, task, tokens, op);
                let all = Operator::IMAGEGPT.into_iter();
                all.filter_map(|op| Some((op, macs(op)?))).collect()
            }
            (ModelConfig::Segformer(config), AutoModel::Segformer(model)) => {
                segformer::cost::operator_macs(config, task, model.size()).bad_input()?
            }
            _ => Vec::new(),
        };
        Ok(Self {
            input: input::input(model, tokens),
            operators,
        })
    }

    /// Of linear layers and convolutions, and of attention.
    pub(super) fn macs(&self) -> (u64, u64) {
        let attention = self.of(Operator::Attention).unwrap_or_default();
        let all: u64 = self.operators.iter().map(|(_, macs)| macs).sum();
        (all - attention, attention)
    }

    /// Of one operator, in all blocks.
    fn of(&self, operator: Operator) -> Option<u64> {
        let of = self.operators.iter().filter(|(op, _)| *op == operator);
        of.map(|(_, macs)| *macs).reduce(|sum, macs| sum + macs)
    }
}

/// Times forward passes, then profiles as many.
pub(super) fn time(
    model: &LoadedModel,
    pass: &Pass,
    runs: usize,
    threads: usize,
) -> Result<Timing, Failure> {
    let forward = || {
        let start = Instant::now();
        let logits = match model.task() {
            Task::Features => model.forward(&pass.input).map(|output| output.logits),
            Task::Classify | Task::Causal => model.logits(&pass.input),
        };
        black_box(logits.bad_input()?);
        Ok::<f64, Failure>(start.elapsed().as_secs_f64())
    };
    forward()?;
    let peak = machine::register_peak(model.isa(), threads)?;
    let faults = machine::page_faults();
    let mut times = (0..runs)
        .map(|_| forward())
        .collect::<Result<Vec<_>, _>>()?;
    let page_faults = machine::page_faults().saturating_sub(faults);
    // Before and after: a processor may change its clock meanwhile.
    let peak = peak.max(machine::register_peak(model.isa(), threads)?);
    times.sort_by(f64::total_cmp);

    model.set_profiling(true);
    let _ = model.take_profile();
    let mut total = 0.0;
    for _ in 0..runs {
        total += forward()?;
    }
    model.set_profiling(false);
    let one = machine::register_peak(model.isa(), 1)?;
    let profile = profile(
        model,
        pass,
        (runs, threads),
        total,
        one.max(peak / threads as f64),
    );

    let (linear, attention) = pass.macs();
    let gmac = (linear + attention) as f64 / 1e9;
    let at = |fraction| quantile(&times, fraction);
    // The f32 kernels do not use these instructions.
    let fraction = |seconds: f64| (model.dtype() != Dtype::F32).then_some(gmac / seconds / peak);
    Ok(Timing {
        threads,
        runs,
        min: at(0.0),
        median: at(0.5),
        p95: at(0.95),
        p99: at(0.99),
        max: at(1.0),
        gmac_per_s: gmac / at(0.5),
        peak_gmac_per_s: peak,
        tile_gmac_per_s: machine::tile_rate(model.isa(), threads)?,
        fraction_of_peak: fraction(at(0.5)),
        best_fraction_of_peak: fraction(at(0.0)),
        page_faults_per_run: page_faults as f64 / runs as f64,
        memory_gb_per_s: f64::NAN,
        profile,
    })
}

/// The profile of `runs` runs that took `total` seconds together; `peak` is one thread's.
fn profile(
    model: &LoadedModel,
    pass: &Pass,
    (runs, threads): (usize, usize),
    total: f64,
    peak: f64,
) -> Profile {
    let total = total * threads as f64 / runs as f64;
    let mut other = total;
    let operators = model.take_profile().into_iter().map(|(operator, time)| {
        let seconds = time.as_secs_f64() / runs as f64;
        other -= seconds;
        let gmac_per_s = pass
            .of(operator)
            .filter(|_| seconds > 0.0)
            .map(|macs| macs as f64 / 1e9 / seconds);
        OperatorTime {
            name: operator.name(),
            seconds,
            share: seconds / total,
            gmac_per_s,
            fraction_of_peak: gmac_per_s
                // In f32 whatever the file.
                .filter(|_| operator != Operator::Depthwise && operator != Operator::Classifier)
                .filter(|_| model.dtype() != Dtype::F32)
                .map(|rate| rate / peak),
        }
    });
    let operators = operators.collect();
    Profile {
        total,
        operators,
        other,
    }
}
