//! Anytime verdicts: probes after some blocks, and when one of them may speak for the whole model.
//!
//! A probe's margin is its largest logit less the next: a difference, the same bits on every machine. What margin is enough was
//! found on held-out images by how often the whole model then says the same, with an exact binomial bound; no labels are needed.

use serde::{Deserialize, Serialize};

use crate::binomial;

/// The chance with which exits that keep their promise may be switched off by their audits. Small, since it is looked at after each.
const UNJUST: f64 = 0.001;

/// What a file says of its exits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Exits {
    /// The blocks after which there is a probe, ascending.
    pub layers: Vec<usize>,
    /// Images that the promises were tested on.
    pub samples: u64,
    /// How sure each promise is.
    pub confidence: f64,
    /// Promises that the tests allow, ascending by agreement.
    pub levels: Vec<ExitLevel>,
}

/// One promise: of the images that stop early, so many get the whole model's verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ExitLevel {
    /// The share.
    pub agreement: f64,
    /// The margin that is enough at each exit; `None` where nothing stops.
    pub margins: Vec<Option<f32>>,
    /// Of the tested images those that stopped early.
    pub exited: u64,
    /// Of these the ones with the whole model's verdict.
    pub agreed: u64,
    /// The share of all blocks that was not computed.
    pub saved: f64,
}

/// Why there is no early exit.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ExitError {
    /// The file has no probes.
    #[error(
        "the file has no exits; `igpt probe MODEL --data IMAGES --exits LAYERS -o OUT.onnx` adds them"
    )]
    None,
    /// No promise of the file goes as far.
    #[error(
        "an agreement of {asked} was asked for; {samples} images allowed {}",
        allowed(*.most)
    )]
    Agreement {
        /// What was asked for.
        asked: f64,
        /// What the file promises at most.
        most: Option<f64>,
        /// Images that it was tested on.
        samples: u64,
    },
    /// Not a share of frames.
    #[error("{what} is {found}, expected {expected}")]
    Share {
        /// What it is.
        what: &'static str,
        /// Its value.
        found: f64,
        /// What would do.
        expected: &'static str,
    },
}

fn allowed(most: Option<f64>) -> String {
    match most {
        Some(most) => format!("{most} at most: calibrate on more, or ask for less"),
        None => "no promise: calibrate on more".into(),
    }
}

/// How early a session may stop.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ExitOptions {
    /// Of the frames that stop early, the share that must get the whole model's verdict. The file's next promise that is as strict is
    /// the one that counts.
    pub agreement: f64,
    /// The share of those frames that is computed to the end all the same, to see whether the promise holds here.
    pub audit: f64,
}

impl ExitOptions {
    /// This agreement, and one frame in a hundred audited.
    #[must_use]
    pub fn new(agreement: f64) -> Self {
        Self {
            agreement,
            audit: 0.01,
        }
    }

    /// The same with this share audited.
    #[must_use]
    pub fn with_audit(self, audit: f64) -> Self {
        Self { audit, ..self }
    }
}

/// What became of a session's frames since it may stop early.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExitCounts {
    /// Frames that were computed.
    pub frames: u64,
    /// Of these the ones that stopped early.
    pub exited: u64,
    /// Frames that would have stopped and were computed to the end.
    pub audited: u64,
    /// Of these the ones where the probe said what the whole model does.
    pub agreed: u64,
    /// The audits show that the promise does not hold here: nothing stops early any more.
    pub broken: bool,
}

impl Exits {
    /// Probes after these blocks, without a promise yet; those that follow are tested on so many images, and are so sure.
    #[must_use]
    pub fn new(layers: Vec<usize>, samples: u64, confidence: f64) -> Self {
        Self {
            layers,
            samples,
            confidence,
            levels: Vec::new(),
        }
    }

    /// Those of a file's metadata, for a model of so many blocks.
    ///
    /// # Errors
    /// What is wrong with them, in words.
    pub(crate) fn from_json(json: &str, n_layer: usize) -> Result<Self, String> {
        let exits: Self = serde_json::from_str(json).map_err(|e| e.to_string())?;
        let ascending = exits.layers.is_sorted_by(|a, b| a < b);
        let inside = exits
            .layers
            .iter()
            .all(|layer| (1..n_layer).contains(layer));
        if exits.layers.is_empty() || !ascending || !inside {
            return Err(format!(
                "layers are {:?}, expected ascending numbers from 1 to {}",
                exits.layers,
                n_layer.saturating_sub(1)
            ));
        }
        let share = |x: f64| x > 0.0 && x < 1.0;
        if !share(exits.confidence) {
            return Err(format!(
                "confidence is {}, expected a number between 0 and 1",
                exits.confidence
            ));
        }
        if !exits.levels.is_sorted_by(|a, b| a.agreement < b.agreement) {
            return Err("levels are not in ascending order of their agreement".into());
        }
        for level in &exits.levels {
            let agreement = level.agreement;
            if !share(agreement) {
                return Err(format!(
                    "agreement is {agreement}, expected a number between 0 and 1"
                ));
            }
            let sound = |margin: &Option<f32>| margin.is_none_or(|m| m.is_finite() && m >= 0.0);
            if level.margins.len() != exits.layers.len() || !level.margins.iter().all(sound) {
                return Err(format!(
                    "margins at {agreement} are {:?}, expected {} that are null or not negative",
                    level.margins,
                    exits.layers.len()
                ));
            }
        }
        Ok(exits)
    }

    /// The same as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Numbers and lists: nothing that could fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The least strict promise of so much agreement.
    ///
    /// # Errors
    /// If the file has none.
    pub fn level(&self, agreement: f64) -> Result<&ExitLevel, ExitError> {
        if !(agreement > 0.0 && agreement < 1.0) {
            return Err(ExitError::Share {
                what: "agreement",
                found: agreement,
                expected: "a number between 0 and 1",
            });
        }
        let mut levels = self.levels.iter();
        levels
            .find(|level| level.agreement >= agreement)
            .ok_or(ExitError::Agreement {
                asked: agreement,
                most: self.levels.last().map(|level| level.agreement),
                samples: self.samples,
            })
    }
}

impl ExitLevel {
    /// A promise of this agreement with these margins, which so far nothing was tested with.
    #[must_use]
    pub fn new(agreement: f64, margins: Vec<Option<f32>>) -> Self {
        Self {
            agreement,
            margins,
            exited: 0,
            agreed: 0,
            saved: 0.0,
        }
    }

    /// Whether the probe at this place among the exits is sure enough.
    #[must_use]
    pub fn stops(&self, exit: usize, logits: &[f32]) -> bool {
        let enough = self.margins.get(exit).copied().flatten();
        enough.is_some_and(|enough| margin(logits) >= enough)
    }
}

/// The largest logit less the next; 0 of fewer than two.
#[must_use]
pub fn margin(logits: &[f32]) -> f32 {
    let mut best = [f32::NEG_INFINITY; 2];
    for logit in logits {
        if *logit > best[0] {
            best = [*logit, best[0]];
        } else if *logit > best[1] {
            best[1] = *logit;
        }
    }
    match best {
        [first, second] if second.is_finite() => first - second,
        _ => 0.0,
    }
}

/// The class with the largest logit, the first of equals.
#[must_use]
pub fn argmax(logits: &[f32]) -> usize {
    let mut best = 0;
    for (class, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = class;
        }
    }
    best
}

/// A session's early exits under way.
#[derive(Clone, Debug)]
pub(crate) struct Exiting {
    pub(crate) level: ExitLevel,
    audit: f64,
    random: u64,
    pub(crate) counts: ExitCounts,
}

impl Exiting {
    /// By these options.
    ///
    /// # Errors
    /// If the file has no such promise, or a share is none.
    pub(crate) fn new(exits: &Exits, options: ExitOptions) -> Result<Self, ExitError> {
        if !(0.0..=1.0).contains(&options.audit) {
            return Err(ExitError::Share {
                what: "audit",
                found: options.audit,
                expected: "a number from 0 to 1",
            });
        }
        Ok(Self {
            level: exits.level(options.agreement)?.clone(),
            audit: options.audit,
            random: 0,
            counts: ExitCounts::default(),
        })
    }

    /// Whether a frame that may stop is to be audited: the same frames of a stream, whenever it is shown.
    pub(crate) fn audits(&mut self) -> bool {
        // SplitMix64.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.random;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^= x >> 31;
        ((x >> 11) as f64) < self.audit * (1u64 << 53) as f64
    }

    /// Notes what an audit found.
    pub(crate) fn note(&mut self, agreed: bool) {
        let counts = &mut self.counts;
        counts.audited += 1;
        counts.agreed += u64::from(agreed);
        let chance = binomial::at_most(counts.agreed, counts.audited, self.level.agreement);
        counts.broken |= chance < UNJUST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exits() -> Exits {
        let level = |agreement, margins: [Option<f32>; 2]| ExitLevel {
            agreement,
            margins: margins.into(),
            exited: 90,
            agreed: 89,
            saved: 0.25,
        };
        Exits {
            layers: vec![2, 4],
            samples: 100,
            confidence: 0.95,
            levels: vec![
                level(0.9, [Some(1.5), Some(0.5)]),
                level(0.99, [None, Some(3.25)]),
            ],
        }
    }

    #[test]
    fn json_brings_them_back_to_the_bit() {
        let mut exits = exits();
        exits.levels[1].margins[1] = Some(0.1 + 1.2);
        assert_eq!(Exits::from_json(&exits.to_json(), 6), Ok(exits));
    }

    #[test]
    fn what_makes_no_sense_is_refused_in_words() {
        let wrong = |change: fn(&mut Exits), n_layer| {
            let mut exits = exits();
            change(&mut exits);
            Exits::from_json(&exits.to_json(), n_layer).unwrap_err()
        };
        let error = wrong(|_| {}, 4);
        assert!(
            error.contains("[2, 4]") && error.contains("1 to 3"),
            "{error}"
        );
        assert!(wrong(|e| e.layers = vec![4, 2], 6).contains("ascending"));
        assert!(wrong(|e| e.layers = vec![], 6).contains("[]"));
        assert!(wrong(|e| e.confidence = 1.0, 6).starts_with("confidence is 1"));
        assert!(wrong(|e| e.levels.reverse(), 6).starts_with("levels"));
        assert!(wrong(|e| e.levels[0].agreement = 0.0, 6).starts_with("agreement is 0"));
        assert!(wrong(|e| e.levels[0].margins = vec![], 6).contains("margins at 0.9"));
        assert!(wrong(|e| e.levels[0].margins[1] = Some(-1.0), 6).contains("not negative"));
        assert!(Exits::from_json("{}", 6).unwrap_err().contains("layers"));
    }

    #[test]
    fn the_next_promise_that_is_as_strict_counts() {
        let exits = exits();
        let level = |agreement| exits.level(agreement).map(|level| level.agreement);
        assert_eq!(level(0.5), Ok(0.9));
        assert_eq!((level(0.9), level(0.95)), (Ok(0.9), Ok(0.99)));
        let error = level(0.999).unwrap_err().to_string();
        assert!(
            error.contains("0.999") && error.contains("0.99 at most"),
            "{error}"
        );
        assert!(
            level(f64::NAN)
                .unwrap_err()
                .to_string()
                .starts_with("agreement is NaN")
        );
    }

    #[test]
    fn a_probe_stops_by_its_margin() {
        assert_eq!(margin(&[1.0, 4.5, 3.0]), 1.5);
        assert_eq!(
            (margin(&[2.0, 2.0]), margin(&[2.0]), margin(&[])),
            (0.0, 0.0, 0.0)
        );
        assert_eq!(argmax(&[1.0, 3.0, 3.0]), 1);
        let level = &exits().levels[1];
        assert!(!level.stops(0, &[9.0, 0.0]) && !level.stops(7, &[9.0, 0.0]));
        assert!(level.stops(1, &[3.25, 0.0]) && !level.stops(1, &[3.0, 0.0]));
    }

    #[test]
    fn audits_come_as_often_as_asked_and_switch_off_what_breaks_its_promise() {
        let exiting =
            |audit| Exiting::new(&exits(), ExitOptions::new(0.99).with_audit(audit)).unwrap();
        let mut some = exiting(0.05);
        let drawn = (0..20_000).filter(|_| some.audits()).count();
        assert!((850..1150).contains(&drawn), "{drawn}");
        assert!(!exiting(0.0).audits() && exiting(1.0).audits());
        let mut good = exiting(1.0);
        for i in 0..2000 {
            good.note(i % 100 != 50);
        }
        assert!(!good.counts.broken);
        let mut bad = exiting(1.0);
        let mut looks = 0;
        while !bad.counts.broken {
            looks += 1;
            bad.note(looks % 10 != 0);
        }
        assert!((20..=60).contains(&looks), "{looks}");
        assert!(Exiting::new(&exits(), ExitOptions::new(0.99).with_audit(2.0)).is_err());
    }
}
