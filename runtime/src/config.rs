//! What the `config.json` of every family is read with, and what all of them have; each family's own is in its folder.
//!
//! Reading is strict where a wrong value would change a result or what it means (an activation we do not have, an
//! unknown problem type) and indifferent to what only concerns training (dropout, initialiser). docs/config.md lists
//! every field. Limits keep a hostile file from making the loader reserve terabytes.

mod activation;
mod error;
pub(crate) mod fields;
mod limits;
mod problem_type;
pub(crate) mod shared;

pub use crate::imagegpt::config::ImageGptConfig;
pub use crate::segformer::config::SegformerConfig;
pub use activation::Activation;
pub use error::ConfigError;
pub use fields::FieldError;
pub use limits::{MAX_EMBD, MAX_INNER, MAX_LABELS, MAX_LAYERS, MAX_POSITIONS, MAX_VOCAB};
pub use problem_type::{ProblemType, Score};
