//! What reports tell: the start, a verdict, the end.

use std::time::Duration;

use igpt_firmware_core::pipeline::{Cause, Counters};
use igpt_firmware_core::queue::QueueCounters;
use igpt_firmware_core::verdict::ProblemType;
use igpt_runtime::ExitCounts;
use igpt_runtime::tools::report::RunReport;

use crate::ranked::Ranked;
use crate::stats::Stats;
use crate::teach::Recognised;

/// One verdict, as it is printed.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    pub(crate) seq: u64,
    pub(crate) name: Option<&'a str>,
    pub(crate) problem: ProblemType,
    pub(crate) sure: bool,
    /// What the filter shows; of a multi-label model the strongest.
    pub(crate) verdict: &'a Ranked,
    /// Largest score first, after smoothing; of a multi-label model with every label that is present.
    pub(crate) top: &'a [Ranked],
    pub(crate) milliseconds: f32,
    /// Time that each step took: decoding, which is the source's and beside the verdict before, making the model's
    /// input, and the model.
    pub(crate) stages: [(&'static str, Duration); 3],
    pub(crate) reused_tokens: usize,
    pub(crate) changed_tokens: usize,
    /// The block after which the verdict was sure enough.
    pub(crate) exit_layer: Option<usize>,
    /// What a taught head says, before smoothing.
    pub(crate) recognised: Option<&'a Recognised>,
    /// Dropped between the verdict before and this one.
    pub(crate) dropped: u64,
}

/// The end of a run.
#[derive(Debug)]
pub struct Summary {
    /// Why it ended.
    pub cause: Cause,
    /// What happened.
    pub counters: Counters,
    /// What went through the queue.
    pub queue: QueueCounters,
    /// Frames that the source itself reported lost.
    pub lost_upstream: u64,
    /// What became of frames that might stop early.
    pub exits: Option<ExitCounts>,
    /// Frames that the model failed on.
    pub unclassified: u64,
    /// From the start to the end.
    pub elapsed: Duration,
    /// Where pictures went.
    pub outputs: Vec<String>,
    pub(crate) stats: Stats,
}

/// What a run is about to do, as the first line says it.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    /// What is run and how; `null` in tests.
    pub(crate) run: Option<&'a RunReport>,
    pub(crate) model: &'a str,
    pub(crate) labels: &'a [String],
    /// As it was asked for.
    pub(crate) source: &'a str,
}
