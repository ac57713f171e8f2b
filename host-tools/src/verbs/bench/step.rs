//! `igpt bench --step`: a run when told to, for a driver that takes turns between contenders.

use std::io::{self, BufRead as _, Write as _};
use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use igpt_runtime::Task;
use igpt_runtime::{AutoModel, ImageGptModel, LoadOptions, Steps};
use serde_json::json;

use super::generation::next;
use super::input::{input, tokens};
use crate::failure::{Blame as _, Failure, printed};
use crate::loaded::LoadedModel;

/// What a run is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Run {
    /// A whole forward pass.
    Forward { tokens: Option<usize> },
    /// New tokens one at a time after a context that is already there.
    Generate { context: usize, new_tokens: usize },
}

/// Says that it is ready, with the load time and the last logits of a first run; then answers each line of
/// standard input with the seconds of a run.
pub(super) fn serve(path: &Path, options: &LoadOptions, run: Run) -> Result<(), Failure> {
    let start = Instant::now();
    let model = AutoModel::load(path, options).bad_input()?;
    let load = start.elapsed().as_secs_f64();
    let model = match model {
        AutoModel::ImageGpt(model) => model,
        other => return serve_pictures(&other.into(), load),
    };
    // A forward pass keeps no sequence.
    let mut steps = match run {
        Run::Forward { .. } => None,
        Run::Generate { .. } => Some(model.steps().bad_input()?),
    };
    let (logits, _) = turn(&model, steps.as_mut(), run).bad_input()?;
    // Of a language model, those after the last token.
    let logits = match model.task() {
        Task::Causal => logits.rchunks(model.config().num_colors()).next(),
        Task::Classify | Task::Features => Some(logits.as_slice()),
    };
    let ready = json!({ "load": load, "isa": model.isa().name(), "logits": logits });
    say(&ready.to_string())?;
    for line in io::stdin().lock().lines() {
        line.context("standard input").failed()?;
        let (_, seconds) = turn(&model, steps.as_mut(), run).bad_input()?;
        say(&seconds.to_string())?;
    }
    Ok(())
}

/// As [`serve`], for a model of pixels.
fn serve_pictures(model: &LoadedModel, load: f64) -> Result<(), Failure> {
    let input = input(model, None);
    let turn = || {
        let start = Instant::now();
        let logits = model.logits(&input).bad_input()?;
        Ok::<_, Failure>((logits, start.elapsed().as_secs_f64()))
    };
    let (logits, _) = turn()?;
    say(&json!({ "load": load, "isa": model.isa().name(), "logits": logits }).to_string())?;
    for line in io::stdin().lock().lines() {
        line.context("standard input").failed()?;
        say(&turn()?.1.to_string())?;
    }
    Ok(())
}

/// One run: the logits of its last token or of the image, and what it took.
fn turn(
    model: &ImageGptModel,
    steps: Option<&mut Steps<'_>>,
    run: Run,
) -> Result<(Vec<f32>, f64), igpt_runtime::Error> {
    let config = model.config();
    match (run, steps) {
        (Run::Forward { tokens: count }, _) => {
            let ids = tokens(config, count.unwrap_or(config.n_positions));
            let start = Instant::now();
            let logits = model.logits(&ids)?;
            Ok((logits, start.elapsed().as_secs_f64()))
        }
        (
            Run::Generate {
                context,
                new_tokens,
            },
            Some(steps),
        ) => {
            // All but the last token of the context are kept from one run to the next.
            let ids = tokens(config, context);
            let kept = context.saturating_sub(1);
            if steps.past() >= kept {
                steps.rewind(kept);
            } else {
                steps.feed(ids.get(..kept).unwrap_or_default())?;
            }
            let mut last = steps.feed(ids.get(kept..).unwrap_or_default())?;
            let start = Instant::now();
            for _ in 0..new_tokens {
                last = next(config, steps, &last)?;
            }
            Ok((last, start.elapsed().as_secs_f64()))
        }
        (Run::Generate { .. }, None) => unreachable!("generation has a sequence"),
    }
}

fn say(line: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    printed(writeln!(out, "{line}").and_then(|()| out.flush()))
}
