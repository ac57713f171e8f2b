//! What does not say its family: whoever takes any model begins here, and only here the families meet.

mod config;

pub use config::ModelConfig;
