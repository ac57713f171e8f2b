//! A stabilised stream: its verdicts are those of fresh sessions on the same tokens, whatever the stream does, and it
//! reuses what a camera's noise would not let it.

use igpt_runtime::{ImageGptForImageClassification, LoadOptions, StabilizerOptions};

const MODEL: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../models/fashion-mnist/igpt-fashion-mnist-int8.onnx"
);
const SIDE: usize = 56;

/// Numbers that look random, the same on every machine.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) % n
    }

    /// About as sensor noise is: 0 on average, mostly within `size`.
    fn noise(&mut self, size: u64) -> i64 {
        let span = 2 * size + 1;
        (self.below(span) + self.below(span)) as i64 / 2 - size as i64
    }
}

/// A grey picture of blobs.
fn scene(numbers: &mut Numbers) -> Vec<i64> {
    let blobs: Vec<[i64; 4]> = (0..6)
        .map(|_| [56, 56, 20, 200].map(|n| numbers.below(n) as i64))
        .collect();
    let level = |x: usize, y: usize| {
        let inside =
            |[bx, by, r, _]: &&[i64; 4]| (x as i64 - bx).pow(2) + (y as i64 - by).pow(2) < r.pow(2);
        blobs.iter().rev().find(inside).map_or(40, |blob| blob[3])
    };
    (0..SIDE * SIDE)
        .map(|at| level(at % SIDE, at / SIDE))
        .collect()
}

fn rgb(scene: &[i64], noise: u64, numbers: &mut Numbers) -> Vec<u8> {
    let grey = scene
        .iter()
        .map(|level| (level + numbers.noise(noise)).clamp(0, 255) as u8);
    grey.flat_map(|level| [level; 3]).collect()
}

fn load() -> ImageGptForImageClassification {
    ImageGptForImageClassification::load(MODEL, &LoadOptions::new()).expect("the default model")
}

#[test]
fn verdicts_are_those_of_a_fresh_session_on_the_same_tokens() {
    let model = load();
    // An emulated processor takes a hundred times as long.
    let seeds = if cfg!(target_arch = "aarch64") { 1 } else { 4 };
    for seed in 0..seeds {
        let mut numbers = Numbers(seed);
        let mut session = model.session().expect("a session");
        let mut now = scene(&mut numbers);
        session.stabilize(Some(StabilizerOptions::default().with_max_age(9)));
        for frame in 0..24 {
            match numbers.below(12) {
                // A cut, a drift of light, something that moves, a stream that begins anew.
                0 => now = scene(&mut numbers),
                1 | 2 => now.iter_mut().for_each(|level| *level += 2),
                3..=5 => {
                    let first = numbers.below((SIDE * SIDE) as u64) as usize;
                    let level = numbers.below(256) as i64;
                    now.iter_mut()
                        .skip(first)
                        .take(200)
                        .for_each(|x| *x = level);
                }
                6 => session.stabilize(Some(StabilizerOptions::default())),
                7 if frame > 18 => session.stabilize(None),
                _ => {}
            }
            let picture = rgb(&now, 4, &mut numbers);
            let got = session
                .classify_rgb8(&picture, SIDE, SIDE)
                .expect("a verdict");
            let tokens = session.tokens().to_vec();
            let fresh = model
                .session()
                .expect("a session")
                .classify(&tokens)
                .expect("a verdict");
            let bits = |logits: &[f32]| logits.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!(
                bits(&got.logits),
                bits(&fresh.logits),
                "seed {seed}, frame {frame}"
            );
        }
    }
}

#[test]
fn noise_changes_no_token_and_an_edit_only_what_comes_after_it() {
    let model = load();
    let mut numbers = Numbers(7);
    let now = scene(&mut numbers);
    let tokens = model.processor().size().0 * model.processor().size().1;
    let mut session = model.session().expect("a session");
    session.stabilize(Some(StabilizerOptions::default()));
    let mut see = |scene: &[i64], noise| {
        let picture = rgb(scene, noise, &mut numbers);
        session
            .classify_rgb8(&picture, SIDE, SIDE)
            .expect("a verdict")
    };
    let first = see(&now, 2);
    assert_eq!((first.reused_tokens, first.changed_tokens), (0, tokens));
    for _ in 0..10 {
        let still = see(&now, 2);
        assert_eq!((still.reused_tokens, still.changed_tokens), (tokens, 0));
    }
    // The last quarter of the picture: the first tiles of 64 of its 196 tokens are reused, at once.
    let mut edited = now.clone();
    edited
        .iter_mut()
        .skip(SIDE * SIDE * 3 / 4)
        .for_each(|level| *level = 255 - *level);
    let moved = see(&edited, 2);
    assert_eq!(moved.reused_tokens, 128);
    assert!(moved.changed_tokens > 0 && moved.changed_tokens <= tokens / 4 + 14);
}

#[test]
fn a_stream_without_a_stabilizer_sees_every_flicker() {
    let model = load();
    let mut numbers = Numbers(7);
    let now = scene(&mut numbers);
    let mut session = model.session().expect("a session");
    for _ in 0..3 {
        let picture = rgb(&now, 4, &mut numbers);
        session
            .classify_rgb8(&picture, SIDE, SIDE)
            .expect("a verdict");
        let want = model
            .processor()
            .tokens_from_rgb8(&picture, SIDE, SIDE)
            .expect("tokens");
        assert_eq!(session.tokens(), want);
    }
}
