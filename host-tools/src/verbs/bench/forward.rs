//! Forward passes: how long, and where the time goes.

use std::hint::black_box;
use std::time::Instant;

use igpt_runtime::Dtype;
use igpt_runtime::tools::Operator;
use igpt_runtime::{ImageGptConfig, ImageGptModel};

use super::input::tokens;
use super::machine;
use super::report::{OperatorTime, Profile, Timing, quantile};
use crate::failure::{Blame as _, Failure};
use crate::onnx::Task;

/// Multiply-accumulates for `tokens` tokens: linear layers, those of a language model's head included, and
/// attention.
pub(crate) fn macs(config: &ImageGptConfig, task: &str, tokens: usize) -> (u64, u64) {
    let of = |operator| operator_macs(config, task, tokens, operator).unwrap_or(0);
    let all = Operator::IMAGEGPT
        .iter()
        .map(|operator| of(*operator))
        .sum::<u64>();
    let attention = of(Operator::Attention);
    (all - attention, attention)
}

/// Multiply-accumulates of one operator in all blocks, if that is what it does.
fn operator_macs(
    config: &ImageGptConfig,
    task: &str,
    tokens: usize,
    operator: Operator,
) -> Option<u64> {
    let (l, c, i, t) = (
        config.n_layer as u64,
        config.n_embd as u64,
        config.inner_dim() as u64,
        tokens as u64,
    );
    match operator {
        Operator::CAttn => Some(l * t * 3 * c * c),
        Operator::CProj => Some(l * t * c * c),
        Operator::CFc | Operator::MlpCProj => Some(l * t * c * i),
        Operator::Attention => Some(l * 2 * c * (t * (t + 1) / 2)),
        Operator::Head if task == Task::Causal.name() => Some(t * c * config.num_colors() as u64),
        _ => None,
    }
}

/// Times forward passes, then profiles as many.
pub(super) fn time(
    model: &ImageGptModel,
    count: usize,
    runs: usize,
    threads: usize,
) -> Result<Timing, Failure> {
    let tokens = tokens(model.config(), count);
    let forward = || {
        let start = Instant::now();
        let logits = match model.task() {
            Task::Features => model.forward(&[&tokens]).map(|output| output.logits),
            Task::Classify | Task::Causal => model.logits(&tokens),
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
        count,
        (runs, threads),
        total,
        one.max(peak / threads as f64),
    );

    let task = model.task().name();
    let (linear, attention) = macs(model.config(), task, count);
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
    model: &ImageGptModel,
    tokens: usize,
    (runs, threads): (usize, usize),
    total: f64,
    peak: f64,
) -> Profile {
    let total = total * threads as f64 / runs as f64;
    let mut other = total;
    let operators = model.take_profile().into_iter().map(|(operator, time)| {
        let seconds = time.as_secs_f64() / runs as f64;
        other -= seconds;
        let macs = operator_macs(model.config(), model.task().name(), tokens, operator);
        let gmac_per_s = macs
            .filter(|_| seconds > 0.0)
            .map(|macs| macs as f64 / 1e9 / seconds);
        OperatorTime {
            name: operator.name(),
            seconds,
            share: seconds / total,
            gmac_per_s,
            fraction_of_peak: gmac_per_s
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_of_imagegpt_small_is_the_papers() {
        let (linear, attention) = macs(&ImageGptConfig::small(), "classify", 1024);
        let (linear, attention) = (linear as f64 / 1e9, attention as f64 / 1e9);
        assert!(
            (linear - 77.3).abs() < 0.05,
            "{linear} GMAC of linear layers"
        );
        assert!(
            (attention - 12.9).abs() < 0.05,
            "{attention} GMAC of attention"
        );
    }
}
