//! What the programs of this workspace need of the runtime and other users do not: the order of packed weights,
//! benchmarks of the kernels, the protobuf types of a model file, what reports say.
//!
//! **No promise of stability.** What stands here changes with any version, types of pinned crates (tract's
//! protobuf messages) among it. Behind the cargo feature `tools`, which is off by default.

mod counted;
mod describe;
pub mod image_files;
pub mod image_names;
mod measure;
mod one_line;
pub mod report;
pub mod with_head;

/// Files that stand in for others in a repository cloned without Git LFS.
pub mod lfs {
    pub use crate::lfs::{MESSAGE, is_pointer, is_pointer_file};
}

pub use igpt_kernels::{
    INT4_GROUP, INT4_LIMIT, INT4_MULTIPLIER, Kernels, Layout, Panels, PanelsName, pack_nibbles,
    peak_benchmark, read_benchmark, tile_benchmark,
};
pub use tract_onnx::pb;

pub use crate::binomial::lower_bound;
pub use crate::error::NO_PROCESSOR;
pub use crate::features::pooled;
pub use crate::imagegpt::{argmax, margin};
pub use crate::model::Packing;
pub use crate::profile::Operator;
pub use crate::video::{HEAD_BYTES, Video};
pub use counted::counted;
pub use describe::{Description, Family, describe};
pub use one_line::one_line;
