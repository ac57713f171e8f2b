//! What stands on the panel.

use crate::verdict::Score;

/// How sure the headline is, which is also its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// A verdict above the threshold.
    Sure,
    /// One below.
    Unsure,
    /// The source is lost: the picture is an old one.
    Lost,
}

/// One class and what the model says of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bar<'a> {
    /// The class's name.
    pub label: &'a str,
    /// A probability is drawn as a bar; a value has no scale to draw it on, and is written only.
    pub score: Score,
    /// Whether it is, or is part of, the verdict: in the verdict's colour.
    pub marked: bool,
}

/// What stands on the panel.
#[derive(Debug, Clone, Copy)]
pub struct Panel<'a> {
    /// In large type: the class or classes, "unsure", or what is wrong.
    pub headline: &'a str,
    /// Its colour.
    pub mood: Mood,
    /// Beside the headline.
    pub score: Option<Score>,
    /// The likeliest classes, likeliest first; as many are drawn as there is room for.
    pub bars: &'a [Bar<'a>],
    /// Time that the model took for this frame, in milliseconds.
    pub milliseconds: f32,
    /// Frames classified per second.
    pub frames_per_second: f32,
    /// Frames dropped so far.
    pub dropped: u64,
    /// What of the work could be left out.
    pub saved: Saved,
    /// The model's name.
    pub model: &'a str,
}

/// What of a frame's work could be left out.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Saved {
    /// The share of the tokens that was not computed again, if any was.
    pub reused: Option<f32>,
    /// The block after which the verdict was sure enough, if it was not the last.
    pub exit: Option<u16>,
}
