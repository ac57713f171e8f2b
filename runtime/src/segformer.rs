//! The family `segformer`: Mix Transformers (MiT-b0 to b5), SegFormer's encoders, as image classifiers.

mod config;

pub use config::SegformerConfig;
