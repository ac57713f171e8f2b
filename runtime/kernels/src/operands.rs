//! What tiles multiply, in the order in which they read it: weights, rows, keys and values.

pub(crate) mod axis;
pub(crate) mod int4;
pub(crate) mod kv;
pub(crate) mod nibbles;
pub(crate) mod packing;
pub(crate) mod panels;
pub(crate) mod rows;
pub(crate) mod split_weights;
pub(crate) mod weights;
