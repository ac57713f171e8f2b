//! `FeatureSession`: what layers of an ImageGPT say of one image after another, for heads that are trained on it.

use std::sync::Arc;

use tract_onnx::prelude::TypedSimplePlan;

use super::model::ImageGptModel;
use super::reuse::Reuse;
use super::sight::Sight;
use super::stabilizer::StabilizerOptions;
use crate::error::{Error, FormatError};
use crate::features::{Features, Pool};
use crate::image::DecodedImage;
use crate::model::State;
use crate::ops::op::{run_once, truncate};

/// Takes features of one image after another: of each layer the mean over the tokens of its normalised hidden states, as
/// `igpt probe` does. Blocks after the last of the layers are not computed, and what begins like the image before is not
/// computed again, with exactly the features of a fresh session.
#[derive(Debug)]
pub struct FeatureSession {
    model: ImageGptModel,
    plan: Arc<TypedSimplePlan>,
    state: State,
    pools: Vec<Pool>,
    reuse: Reuse,
    sight: Sight,
    /// The tokens of a picture on their way.
    seen: Vec<u16>,
}

impl ImageGptModel {
    /// A session for the features of these layers: 0 is the embeddings, `n_layer` what `ln_f` gives. It shares the model's
    /// weights, and may go to another thread.
    ///
    /// # Errors
    /// A layer that the model does not have, none at all, a file without an image processor.
    pub fn feature_session(&self, layers: &[usize]) -> Result<FeatureSession, Error> {
        let Some(processor) = self.processor.clone() else {
            return Err(Error::Format {
                name: self.core.name.clone(),
                source: FormatError::NoProcessor,
            });
        };
        let most = self.config.n_layer;
        let plan = self.core.layers(layers, 0, most)?;
        let epsilon = f64::from(self.config.epsilon());
        // The last is normalised already.
        let pool =
            |layer: &usize| Pool::new(self.config.n_embd, (*layer < most).then_some(epsilon));
        Ok(FeatureSession {
            state: self.core.spawn(&plan)?,
            pools: layers.iter().map(pool).collect(),
            model: self.clone(),
            plan,
            reuse: Reuse::default(),
            sight: Sight::new(processor),
            seen: Vec::new(),
        })
    }
}

impl FeatureSession {
    /// The features of one RGB8 picture, `width * height * 3` bytes, of any size.
    ///
    /// # Errors
    /// On a picture that does not have that many bytes; otherwise as [`FeatureSession::features`].
    pub fn features_rgb8(
        &mut self,
        rgb: &[u8],
        width: usize,
        height: usize,
    ) -> Result<Features, Error> {
        let mut seen = std::mem::take(&mut self.seen);
        let done = self.tokens_into(rgb, width, height, &mut seen);
        let done = done.and_then(|()| self.features(&seen));
        self.seen = seen;
        done
    }

    /// The features of a decoded image.
    ///
    /// # Errors
    /// As [`FeatureSession::features`].
    pub fn features_image(&mut self, image: &DecodedImage) -> Result<Features, Error> {
        self.features_rgb8(image.rgb(), image.width(), image.height())
    }

    /// Keeps the tokens of a stream of pictures from flickering, from the next picture on, or no longer, as
    /// [`Session::stabilize`](crate::Session::stabilize) does.
    pub fn stabilize(&mut self, options: Option<StabilizerOptions>) {
        self.sight.stabilize(options);
        self.reuse.stabilized(options.is_some());
    }

    /// The tokens of a picture, stabilised if the stream is, for [`FeatureSession::features`].
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
            name: self.model.core.name.clone(),
            source,
        })
    }

    /// The features of the tokens of one image.
    ///
    /// # Errors
    /// On tokens that do not fit the model, or activations that overflow; the session then starts afresh.
    pub fn features(&mut self, tokens: &[u16]) -> Result<Features, Error> {
        self.model.check_tokens(tokens)?;
        let plan = self.reuse.plan(tokens);
        if plan.reused < tokens.len() {
            self.reuse.forget();
            run_once(&mut self.state.op_states, !plan.keep);
            truncate(&mut self.state.op_states, plan.reused);
            match self.model.run(&mut self.state, &tokens[plan.reused..]) {
                Ok(layers) => {
                    for (pool, hidden) in self.pools.iter_mut().zip(layers) {
                        pool.truncate(plan.reused);
                        pool.add(&hidden);
                    }
                }
                Err(error) => {
                    // tract leaves a failed run's state half done.
                    self.state = self.model.core.spawn(&self.plan)?;
                    return Err(error);
                }
            }
            self.reuse.done(tokens, plan.keep);
        }
        Ok(Features {
            layers: self.pools.iter().map(Pool::mean).collect(),
            reused_tokens: plan.reused,
            changed_tokens: plan.changed,
        })
    }
}
