//! What `igpt` can do, one file per verb.

pub mod quantize;
