//! Tokens that do not flicker: a pixel keeps its colour until another is clearly nearer.
//!
//! A camera's noise changes a tenth of the tokens from frame to frame although nothing moves, the first of them after a
//! few tokens: a session then has nothing to reuse. Here a pixel keeps its token unless another colour is nearer by a
//! margin. Where one token has to change, everything after it is computed again in any case, so all later pixels take
//! their nearest colour too: a slow drift of light then changes many tokens at once, seldom, and not a few every frame.
//!
//! What comes out depends on the frames alone, and a session's verdict on it is that of a fresh session on the same tokens.

use crate::processor::{ImageGptImageProcessor, ProcessorError};

/// How far tokens may lag behind the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct StabilizerOptions {
    /// How much nearer another colour has to be, in the scale of the palette (usually [-1, 1] a channel): also the most by
    /// which a kept colour is farther from its pixel than the nearest.
    pub margin: f32,
    /// Frames after which a pixel takes its nearest colour however near the kept one is.
    pub max_age: u32,
}

impl Default for StabilizerOptions {
    fn default() -> Self {
        Self {
            margin: 0.04,
            max_age: 256,
        }
    }
}

impl StabilizerOptions {
    /// The defaults with this margin.
    #[must_use]
    pub fn with_margin(self, margin: f32) -> Self {
        Self { margin, ..self }
    }

    /// The defaults with this age.
    #[must_use]
    pub fn with_max_age(self, max_age: u32) -> Self {
        Self { max_age, ..self }
    }
}

/// The tokens of a stream, kept from frame to frame.
#[derive(Clone, Debug)]
pub struct Stabilizer {
    options: StabilizerOptions,
    tokens: Vec<u16>,
    /// For how many frames each pixel has had another nearest colour than the one it keeps.
    ages: Vec<u32>,
    nearest: Vec<u16>,
}

impl Stabilizer {
    /// One that has seen nothing. A margin that is negative or not a number keeps nothing.
    #[must_use]
    pub fn new(options: StabilizerOptions) -> Self {
        Self {
            options,
            tokens: Vec::new(),
            ages: Vec::new(),
            nearest: Vec::new(),
        }
    }

    /// Its options.
    #[must_use]
    pub fn options(&self) -> StabilizerOptions {
        self.options
    }

    /// Forgets the stream: after a new source, orientation or model.
    pub fn reset(&mut self) {
        self.tokens.clear();
        self.ages.clear();
    }

    /// The stabilised tokens of the next frame, given as the RGB8 pixels that become tokens
    /// ([`ImageGptImageProcessor::resized`]), and how many are not those of the frame before.
    ///
    /// # Errors
    /// If the processor makes no tokens.
    pub fn next(
        &mut self,
        processor: &ImageGptImageProcessor,
        resized: &[u8],
    ) -> Result<(&[u16], usize), ProcessorError> {
        let palette = processor.palette()?;
        let pixels = resized.as_chunks::<3>().0;
        let Self {
            options: StabilizerOptions { margin, max_age },
            tokens,
            ages,
            nearest,
        } = self;
        nearest.clear();
        nearest.extend(pixels.iter().map(|pixel| palette.nearest(*pixel)));
        if tokens.len() != nearest.len() {
            tokens.clone_from(nearest);
            ages.clear();
            ages.resize(nearest.len(), 0);
            return Ok((tokens, nearest.len()));
        }
        let margin = f64::from(*margin);
        let mut first = None;
        let mut too_far = 0;
        for (at, ((pixel, near), (kept, age))) in (pixels.iter().zip(&*nearest))
            .zip(tokens.iter().zip(&mut *ages))
            .enumerate()
        {
            if kept == near {
                *age = 0;
                continue;
            }
            *age += 1;
            // Written so that a margin that is no number keeps nothing.
            let stays = palette.distance(*pixel, *kept) <= palette.distance(*pixel, *near) + margin;
            if !stays || *age > *max_age {
                too_far += 1;
                first.get_or_insert(at);
            }
        }
        let Some(first) = first else {
            return Ok((tokens, 0));
        };
        // Most of the picture at once is another picture, or another exposure: nothing of the old one is kept.
        let from = if 2 * too_far > tokens.len() { 0 } else { first };
        let mut changed = 0;
        for ((kept, near), age) in tokens.iter_mut().zip(&*nearest).zip(ages).skip(from) {
            changed += usize::from(kept != near);
            (*kept, *age) = (*near, 0);
        }
        Ok((tokens, changed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processor::ProcessorConfig;

    /// Greys in steps of 16 levels.
    fn processor() -> ImageGptImageProcessor {
        let greys = (0..16).map(|i| [f64::from(i) * 16.0 / 127.5 - 1.0; 3]);
        let mut config = ProcessorConfig::new(greys.collect());
        (config.height, config.width) = (2, 4);
        ImageGptImageProcessor::new(config).expect("a palette")
    }

    fn frame(levels: [u8; 8]) -> Vec<u8> {
        levels.iter().flat_map(|level| [*level; 3]).collect()
    }

    #[test]
    fn a_pixel_keeps_its_colour_within_the_margin_and_takes_the_nearest_beyond_it() {
        let processor = processor();
        let mut stable = Stabilizer::new(StabilizerOptions::default().with_margin(0.04));
        let (tokens, changed) = stable.next(&processor, &frame([16; 8])).expect("tokens");
        assert_eq!((tokens, changed), (&[1; 8][..], 8));
        // 25 is nearer to 32, by 2 levels in each channel: 0.027. 26 by 4: 0.054.
        let noise = [16, 25, 16, 25, 16, 16, 16, 16];
        let (tokens, changed) = stable.next(&processor, &frame(noise)).expect("tokens");
        assert_eq!((tokens, changed), (&[1; 8][..], 0));
        let moved = [16, 25, 26, 25, 16, 16, 16, 25];
        let (tokens, changed) = stable.next(&processor, &frame(moved)).expect("tokens");
        // The one before the first that moves keeps its colour; the later ones need not.
        assert_eq!((tokens, changed), (&[1, 1, 2, 2, 1, 1, 1, 2][..], 3));
    }

    #[test]
    fn another_picture_keeps_nothing() {
        let processor = processor();
        let mut stable = Stabilizer::new(StabilizerOptions::default());
        stable.next(&processor, &frame([16; 8])).expect("tokens");
        let step = [25, 200, 200, 200, 200, 200, 200, 16];
        let (tokens, changed) = stable.next(&processor, &frame(step)).expect("tokens");
        assert_eq!((tokens[0], changed), (2, 7));
    }

    #[test]
    fn nothing_is_kept_for_longer_than_it_may_be() {
        let processor = processor();
        let options = StabilizerOptions::default().with_max_age(3);
        let mut stable = Stabilizer::new(options);
        stable.next(&processor, &frame([16; 8])).expect("tokens");
        let mut lagging = [16; 8];
        lagging[5] = 25;
        let changes = [0, 1, 2, 3].map(|_| {
            let (_, changed) = stable.next(&processor, &frame(lagging)).expect("tokens");
            changed
        });
        assert_eq!(changes, [0, 0, 0, 1]);
    }

    #[test]
    fn without_a_margin_tokens_are_the_processors() {
        let processor = processor();
        for margin in [-1.0, f32::NAN] {
            let mut stable = Stabilizer::new(StabilizerOptions::default().with_margin(margin));
            for levels in [[16; 8], [25; 8], [16, 25, 26, 25, 16, 200, 16, 25]] {
                let (tokens, _) = stable.next(&processor, &frame(levels)).expect("tokens");
                let want = processor
                    .tokens_from_rgb8(&frame(levels), 4, 2)
                    .expect("tokens");
                assert_eq!(tokens, want);
            }
        }
    }

    #[test]
    fn a_stream_of_another_size_or_after_a_reset_begins_anew() {
        let processor = processor();
        let mut stable = Stabilizer::new(StabilizerOptions::default());
        stable.next(&processor, &frame([16; 8])).expect("tokens");
        stable.reset();
        let (tokens, changed) = stable.next(&processor, &frame([25; 8])).expect("tokens");
        assert_eq!((tokens, changed), (&[2; 8][..], 8));
        let (tokens, changed) = stable.next(&processor, &[16; 12]).expect("tokens");
        assert_eq!((tokens, changed), (&[1; 4][..], 4));
    }
}
