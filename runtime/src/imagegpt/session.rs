//! A classifier's session: one image after another, reusing what did not change, stopping early where that was allowed.

use std::sync::Arc;

use super::exits::{ExitCounts, ExitError, ExitOptions, Exiting, argmax};
use super::reuse::{Plan, Reuse};
use super::shared::Shared;
use super::sight::Sight;
use super::stabilizer::StabilizerOptions;
use super::stages::Stages;
use crate::classification::Classification;
use crate::error::Error;
use crate::image::DecodedImage;

/// Classifies one image after another. What begins like the image before is not computed again, with exactly
/// the result of a fresh session.
///
/// Keys and values are worth keeping for such a stream only: ImageGPT-small's are 25 MiB, and writing them
/// costs a twentieth of a pass. So an image keeps them if it begins like the one before, and the next may use
/// them; a camera's noise never pays, unless the stream is [stabilised](Session::stabilize): then an image keeps them while
/// what the last ones had in common is worth it.
#[derive(Debug)]
pub struct Session {
    shared: Arc<Shared>,
    stages: Stages,
    reuse: Reuse,
    /// On the last image.
    verdict: Option<Found>,
    /// Of a session that may stop early.
    exiting: Option<Exiting>,
    sight: Sight,
    /// The tokens of a picture on their way.
    seen: Vec<u16>,
}

/// What was found on an image.
#[derive(Clone, Debug)]
struct Found {
    logits: Vec<f32>,
    /// The layer of the probe that gave them, if one did.
    exit: Option<usize>,
}

impl Session {
    /// One without a past.
    pub(super) fn new(shared: Arc<Shared>) -> Result<Self, Error> {
        Ok(Self {
            stages: Stages::new(&shared.model, false)?,
            sight: Sight::new(shared.processor.clone()),
            shared,
            reuse: Reuse::default(),
            verdict: None,
            exiting: None,
            seen: Vec::new(),
        })
    }

    /// Classifies one RGB8 picture, `width * height * 3` bytes, of any size.
    ///
    /// # Errors
    /// On a picture that does not have that many bytes; otherwise as [`Session::classify`].
    pub fn classify_rgb8(
        &mut self,
        rgb: &[u8],
        width: usize,
        height: usize,
    ) -> Result<Classification, Error> {
        let mut seen = std::mem::take(&mut self.seen);
        let done = self.tokens_into(rgb, width, height, &mut seen);
        let done = done.and_then(|()| self.classify(&seen));
        self.seen = seen;
        done
    }

    /// Classifies a decoded image.
    ///
    /// # Errors
    /// As [`Session::classify`].
    pub fn classify_image(&mut self, image: &DecodedImage) -> Result<Classification, Error> {
        self.classify_rgb8(image.rgb(), image.width(), image.height())
    }

    /// Keeps the tokens of a stream of pictures from flickering, from the next picture on, or no longer: see [`Stabilizer`].
    /// Verdicts are then those of a fresh session on the stabilised tokens ([`Session::tokens`]). Only pictures are
    /// stabilised, not tokens that are handed in. Called again, as after a new source or orientation, it forgets the stream.
    pub fn stabilize(&mut self, options: Option<StabilizerOptions>) {
        self.sight.stabilize(options);
        self.reuse.stabilized(options.is_some());
    }

    /// Lets a session stop at the first probe whose margin is enough for the file's promise, from the next image on, or no longer:
    /// see [`Exits`](crate::Exits). Such a verdict is the probe's, the same for the same tokens whatever came before; any other is that of
    /// the whole model, bit for bit. A share of what would stop is computed to the end all the same, and if that shows that the promise
    /// does not hold on this stream, nothing stops any more ([`Session::exit_counts`]). The session starts afresh.
    ///
    /// # Errors
    /// If the file has no probes, or promises no such agreement.
    pub fn exit_early(&mut self, options: Option<ExitOptions>) -> Result<(), Error> {
        let model = &self.shared.model;
        let exiting = options.map(|options| {
            let exits = model.exits().ok_or(ExitError::None)?;
            Exiting::new(exits, options)
        });
        let exiting = exiting.transpose().map_err(|source| Error::Exit {
            name: model.core.name.clone(),
            source,
        })?;
        self.stages = Stages::new(model, exiting.is_some())?;
        self.exiting = exiting;
        self.reuse.forget();
        self.verdict = None;
        Ok(())
    }

    /// What became of the images since [`Session::exit_early`]; `None` of a session that computes every image to the end.
    #[must_use]
    pub fn exit_counts(&self) -> Option<ExitCounts> {
        self.exiting.as_ref().map(|exiting| exiting.counts)
    }

    /// The tokens of the last image that was classified.
    #[must_use]
    pub fn tokens(&self) -> &[u16] {
        self.reuse.tokens()
    }

    /// The tokens of a picture, stabilised if the stream is, for [`Session::classify`]: the two steps of
    /// [`Session::classify_rgb8`], for whoever wants to know what each takes.
    ///
    /// # Errors
    /// On a picture that does not have that many bytes.
    pub fn tokens_into(
        &mut self,
        rgb: &[u8],
        width: usize,
        height: usize,
        tokens: &mut Vec<u16>,
    ) -> Result<(), Error> {
        let seen = self.sight.tokens_into(rgb, width, height, tokens);
        seen.map_err(|source| Error::Processor {
            name: self.shared.model.core.name.clone(),
            source,
        })
    }

    /// Classifies the tokens of one image.
    ///
    /// # Errors
    /// On tokens that do not fit the model, or activations that overflow; the session then starts afresh.
    pub fn classify(&mut self, tokens: &[u16]) -> Result<Classification, Error> {
        let model = &self.shared.model;
        model.check_tokens(tokens)?;
        let plan = self.reuse.plan(tokens);
        let same = plan.reused == tokens.len();
        let (verdict, reused) = match self.verdict.take().filter(|_| same) {
            Some(verdict) => (verdict, plan.reused),
            None => self.compute(tokens, plan)?,
        };
        let Found { logits, exit } = verdict.clone();
        self.verdict = Some(verdict);
        let meaning = &self.shared.meaning;
        Ok(meaning.classification(logits, exit, reused, plan.changed))
    }

    /// What tokens are found to be, and how many of them were not computed again.
    fn compute(&mut self, tokens: &[u16], plan: Plan) -> Result<(Found, usize), Error> {
        self.stages.share(plan.reused);
        self.reuse.forget();
        let done = self.run(tokens, !plan.keep)?;
        self.reuse.done(tokens, plan.keep);
        Ok(done)
    }

    /// Runs the stages until one may speak for all.
    fn run(&mut self, tokens: &[u16], once: bool) -> Result<(Found, usize), Error> {
        let model = &self.shared.model;
        let last = self.stages.len() - 1;
        let layers = model.exits().map_or(&[][..], |exits| &exits.layers);
        // What a probe said that an audit keeps from stopping here.
        let mut audited = None;
        let mut reused = tokens.len();
        for stage in 0..last {
            let (logits, past) = self.stages.run(model, tokens, stage, once)?;
            reused = reused.min(past);
            let Some(exiting) = &mut self.exiting else {
                continue;
            };
            if exiting.counts.broken || audited.is_some() || !exiting.level.stops(stage, &logits) {
                continue;
            }
            if exiting.audits() {
                audited = Some(argmax(&logits));
                continue;
            }
            exiting.counts.frames += 1;
            exiting.counts.exited += 1;
            let exit = layers.get(stage).copied();
            return Ok((Found { logits, exit }, reused));
        }
        let (logits, past) = self.stages.run(model, tokens, last, once)?;
        if let Some(exiting) = &mut self.exiting {
            exiting.counts.frames += 1;
            if let Some(said) = audited {
                exiting.note(said == argmax(&logits));
            }
        }
        let exit = None;
        Ok((Found { logits, exit }, reused.min(past)))
    }
}
