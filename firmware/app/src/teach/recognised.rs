//! What a taught head says of a frame.

/// What a head that was taught by showing says of a frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Recognised {
    /// The likeliest of the taught classes, whatever the gate says.
    pub label: String,
    /// Its probability among them.
    pub score: f32,
    /// How far the frame is from the nearest example, in deviations.
    pub distance: f64,
    /// From which distance on it is none of them; none if that is not known yet.
    pub limit: Option<f64>,
    /// Whether it is none of them.
    pub none: bool,
    /// One for each class, and the last for none of them.
    pub probabilities: Vec<f32>,
}
