//! Sessions and steps under random edits, held against fresh ones bit for bit.

use std::sync::OnceLock;

use arbitrary::{Arbitrary, Unstructured};
use igpt_runtime::{ImageGptForCausalImageModeling, ImageGptForImageClassification, Steps};

use super::tiny::{self, COLORS, POSITIONS};

/// What becomes of the tokens of the image before.
#[derive(Arbitrary, Debug)]
enum Edit {
    /// One token changes.
    Set { at: u8, token: u8 },
    /// All from here on change.
    From { at: u8, token: u8 },
    /// The image ends here.
    Cut { at: u8 },
    /// It goes on with these.
    Grow { count: u8, token: u8 },
    /// The same image again.
    Same,
    /// A token that the model does not know is refused, and leaves no trace.
    Unknown { at: u8 },
}

/// Most edits of one input: each costs five passes.
const EDITS: usize = 4;

impl Edit {
    /// Changes `tokens`, which stay between one and [`POSITIONS`].
    fn apply(&self, tokens: &mut Vec<u16>) {
        let place = |at: u8| usize::from(at) % tokens.len();
        let color = |token: u8| u16::from(token) % COLORS;
        match *self {
            Self::Set { at, token } => {
                let at = place(at);
                tokens[at] = color(token);
            }
            Self::From { at, token } => {
                let at = place(at);
                tokens[at..].fill(color(token));
            }
            Self::Cut { at } => tokens.truncate(place(at).max(1)),
            Self::Grow { count, token } => {
                let wanted = tokens.len() + usize::from(count);
                tokens.resize(wanted.min(POSITIONS), color(token));
            }
            Self::Same | Self::Unknown { .. } => {}
        }
    }
}

/// The two models, made once.
struct Models {
    classifier: ImageGptForImageClassification,
    causal: ImageGptForCausalImageModeling,
}

fn models() -> &'static Models {
    static MODELS: OnceLock<Models> = OnceLock::new();
    MODELS.get_or_init(|| Models {
        classifier: tiny::classifier(),
        causal: tiny::causal(),
    })
}

/// Edits an image again and again: one session and the steps of one sequence must give what fresh ones give.
pub fn session(data: &[u8]) -> bool {
    let mut input = Unstructured::new(data);
    let Ok(first) = <[u8; 4]>::arbitrary(&mut input) else {
        return false;
    };
    let length = 1 + usize::from(first[0]) % POSITIONS;
    let mut tokens: Vec<u16> = (0..length)
        .map(|i| (i as u16 * u16::from(first[1]) + u16::from(first[2])) % COLORS)
        .collect();
    let models = models();
    let mut session = models.classifier.session().expect("a session");
    let mut steps = models.causal.model().steps().expect("a sequence");
    let mut fed: Vec<u16> = Vec::new();
    for _ in 0..EDITS {
        let reused = classify(&models.classifier, &mut session, &tokens);
        assert!(reused <= tokens.len());
        feed(&models.causal, &mut steps, &mut fed, &tokens);
        let Ok(edit) = Edit::arbitrary(&mut input) else {
            return true;
        };
        if let Edit::Unknown { at } = edit {
            let mut wrong = tokens.clone();
            let at = usize::from(at) % wrong.len();
            wrong[at] = COLORS + 1;
            assert!(session.classify(&wrong).is_err());
        }
        edit.apply(&mut tokens);
        if input.is_empty() {
            return true;
        }
    }
    true
}

/// Classifies in both sessions; how many tokens the old one reused.
fn classify(
    model: &ImageGptForImageClassification,
    session: &mut igpt_runtime::Session,
    tokens: &[u16],
) -> usize {
    let known = "tokens that the model knows";
    let fresh = model.session().expect("a session").classify(tokens);
    let fresh = fresh.expect(known);
    let used = session.classify(tokens).expect(known);
    assert_eq!(bits(&used.logits), bits(&fresh.logits), "{tokens:?}");
    used.reused_tokens
}

/// Rewinds `steps` to what `tokens` share with what it was `fed`, feeds the rest, and compares with one pass.
fn feed(
    model: &ImageGptForCausalImageModeling,
    steps: &mut Steps<'_>,
    fed: &mut Vec<u16>,
    tokens: &[u16],
) {
    let common = fed.iter().zip(tokens).take_while(|(a, b)| a == b).count();
    // At least one token is fed, so that there are logits to compare.
    let common = common.min(tokens.len() - 1);
    steps.rewind(common);
    assert_eq!(steps.past(), common);
    let logits = steps
        .feed(&tokens[common..])
        .expect("tokens that the model knows");
    *fed = tokens.to_vec();
    let whole = model.logits(tokens).expect("one pass");
    let last = &whole[whole.len() - usize::from(COLORS)..];
    let step = &logits[logits.len() - usize::from(COLORS)..];
    assert_eq!(bits(step), bits(last), "{tokens:?}");
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}
