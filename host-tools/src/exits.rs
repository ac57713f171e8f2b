//! When a probe may speak for the whole model: margins chosen on one half of held-out images, and promised only after a test on the
//! other half.
//!
//! A promise is "of the images that stop early, this share gets the whole model's verdict". Of the images in the second half that
//! stop under the chosen margins all are counted, and the promise is made if the exact binomial bound allows it. Up to [`TRIES`] choices
//! are tested, and the doubt is shared out among them, so that the promise is as sure as it says whichever passes.

use igpt_runtime::tools::lower_bound;
use igpt_runtime::{ExitLevel, Exits};

/// How sure a promise is.
pub const CONFIDENCE: f64 = 0.95;
/// The promises that are tried.
const AGREEMENTS: [f64; 7] = [0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999];
/// Choices of margins for each promise that are tested.
const TRIES: usize = 3;
/// Choices of margins: the share of doubtful images that each exit may let through among those that stop there.
const DOUBTS: [f64; 20] = [
    0.0, 0.0005, 0.001, 0.0015, 0.002, 0.003, 0.004, 0.005, 0.006, 0.008, 0.01, 0.012, 0.015, 0.02,
    0.03, 0.04, 0.05, 0.06, 0.08, 0.1,
];

/// What the probes say of one held-out image.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Largest logit less the next, of each probe in the order of the model.
    pub margins: Vec<f32>,
    /// Whether each says what the whole model does.
    pub agrees: Vec<bool>,
}

impl Sample {
    /// The first exit whose margin is enough.
    fn exit(&self, margins: &[Option<f32>]) -> Option<usize> {
        let enough = self.margins.iter().zip(margins);
        let enough = enough.map(|(margin, enough)| enough.is_some_and(|enough| *margin >= enough));
        enough.into_iter().position(|enough| enough)
    }
}

/// What a choice of margins does to some images.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Outcome {
    exited: u64,
    agreed: u64,
    saved: f64,
}

/// The exits of a model of `blocks` blocks that has probes after `layers`, tested on these images. Without a single promise that they
/// allow its levels are empty.
#[must_use]
pub fn calibrate(samples: &[Sample], layers: &[usize], blocks: usize) -> Exits {
    // Neighbours are often alike: every other one.
    let half = |odd| samples.iter().skip(odd).step_by(2).collect::<Vec<_>>();
    let (choosing, testing) = (half(0), half(1));
    let choices: Vec<Vec<Option<f32>>> = DOUBTS
        .iter()
        .map(|doubt| choose(&choosing, layers.len(), *doubt))
        .collect();
    let confidence = 1.0 - (1.0 - CONFIDENCE) / TRIES as f64;
    let mut levels: Vec<ExitLevel> = Vec::new();
    // From the strictest: what keeps a stricter promise and saves more serves a laxer one too.
    for agreement in AGREEMENTS.into_iter().rev() {
        let passes = |outcome: Outcome| {
            outcome.exited > 0
                && lower_bound(outcome.agreed, outcome.exited, confidence) >= agreement
        };
        // Those that would pass where they were chosen, what saves most first: those with the most doubt.
        let likely = choices
            .iter()
            .filter(|margins| passes(outcome(&choosing, margins, layers, blocks)))
            .rev()
            .take(TRIES);
        let found = likely
            .map(|margins| (margins, outcome(&testing, margins, layers, blocks)))
            .find(|(_, outcome)| passes(*outcome));
        let found = found.map(|(margins, outcome)| {
            let mut level = ExitLevel::new(agreement, margins.clone());
            (level.exited, level.agreed) = (outcome.exited, outcome.agreed);
            level.saved = outcome.saved;
            level
        });
        let stricter = levels.last().cloned();
        let best = match (found, stricter) {
            (Some(found), Some(stricter)) if stricter.saved > found.saved => Some(stricter),
            (found, stricter) => found.or(stricter),
        };
        levels.extend(best.map(|mut best| {
            best.agreement = agreement;
            best
        }));
    }
    levels.reverse();
    let mut exits = Exits::new(layers.to_vec(), testing.len() as u64, CONFIDENCE);
    exits.levels = levels;
    exits
}

/// The margin at each exit above which at most this share of the images of `samples` that stop there gets another verdict.
fn choose(samples: &[&Sample], exits: usize, doubt: f64) -> Vec<Option<f32>> {
    let mut left: Vec<&Sample> = samples.to_vec();
    (0..exits)
        .map(|exit| {
            let mut sorted: Vec<(f32, bool)> = left
                .iter()
                .map(|sample| (sample.margins[exit], sample.agrees[exit]))
                .collect();
            sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
            let (mut wrong, mut enough) = (0, None);
            for (count, (margin, agrees)) in sorted.iter().enumerate() {
                wrong += u64::from(!agrees);
                // Not between two that are equal.
                let last = sorted.get(count + 1).is_none_or(|next| next.0 < *margin);
                if last && wrong as f64 <= doubt * (count + 1) as f64 {
                    enough = Some(*margin);
                }
            }
            left.retain(|sample| enough.is_none_or(|enough| sample.margins[exit] < enough));
            enough
        })
        .collect()
}

fn outcome(
    samples: &[&Sample],
    margins: &[Option<f32>],
    layers: &[usize],
    blocks: usize,
) -> Outcome {
    let mut outcome = Outcome::default();
    for sample in samples {
        let Some(exit) = sample.exit(margins) else {
            continue;
        };
        outcome.exited += 1;
        outcome.agreed += u64::from(sample.agrees[exit]);
        outcome.saved += 1.0 - layers[exit] as f64 / blocks as f64;
    }
    outcome.saved /= samples.len().max(1) as f64;
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Images of two probes, whose margins are uniform; a probe is wrong where its margin is small and chance wants it.
    fn samples(count: usize, reach: [f32; 2]) -> Vec<Sample> {
        let mut random = 1u64;
        let mut next = || {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (random >> 40) as f32 / (1u64 << 24) as f32
        };
        (0..count)
            .map(|_| {
                let margins = [next(), next()];
                let agrees = [0, 1].map(|i| margins[i] > reach[i] || next() > 0.3);
                Sample {
                    margins: margins.into(),
                    agrees: agrees.into(),
                }
            })
            .collect()
    }

    #[test]
    fn what_is_promised_holds_on_images_that_were_not_seen() {
        let exits = calibrate(&samples(8000, [0.6, 0.3]), &[2, 4], 6);
        assert_eq!(
            (exits.samples, exits.layers.as_slice()),
            (4000, &[2, 4][..])
        );
        let promised: Vec<f64> = exits.levels.iter().map(|level| level.agreement).collect();
        assert_eq!(promised, AGREEMENTS[..promised.len()]);
        assert!(promised.len() >= 5, "{promised:?}");
        let fresh = samples(60_000, [0.6, 0.3]);
        let fresh: Vec<&Sample> = fresh.iter().skip(8000).collect();
        for level in &exits.levels {
            let seen = outcome(&fresh, &level.margins, &exits.layers, 6);
            let share = seen.agreed as f64 / seen.exited as f64;
            // The bound is for one test; here it is looked at seven times.
            assert!(share >= level.agreement - 0.001, "{level:?}: {share}");
            assert!(
                (seen.saved - level.saved).abs() < 0.03,
                "{level:?}: {seen:?}"
            );
        }
        assert!(exits.levels.is_sorted_by(|a, b| a.saved >= b.saved));
        // 40 % of the images are certain at the first probe, and save two thirds each.
        let strict = &exits.levels[promised.len() - 1];
        assert!(strict.saved > 0.3, "{strict:?}");
    }

    #[test]
    fn too_few_images_promise_little_and_none_nothing() {
        // 39 that stop and agree are needed for 0.9 at three tests, 80 for 0.95, 203 for 0.98.
        let few = calibrate(&samples(300, [0.0, 0.0]), &[2, 4], 6);
        let most = few.levels.last().map(|level| level.agreement);
        assert_eq!(most, Some(0.95));
        assert!(
            calibrate(&samples(20, [0.0, 0.0]), &[2, 4], 6)
                .levels
                .is_empty()
        );
        assert!(calibrate(&[], &[2, 4], 6).levels.is_empty());
    }

    #[test]
    fn equal_margins_stop_together() {
        let sample = |margin, agrees| Sample {
            margins: vec![margin],
            agrees: vec![agrees],
        };
        let list = [sample(2.0, true), sample(1.0, true), sample(1.0, false)];
        let list: Vec<&Sample> = list.iter().collect();
        assert_eq!(choose(&list, 1, 0.0), [Some(2.0)]);
        assert_eq!(choose(&list, 1, 0.4), [Some(1.0)]);
        assert_eq!(choose(&[], 1, 0.0), [None]);
    }
}
