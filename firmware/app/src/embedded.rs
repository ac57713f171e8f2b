//! What is bundled: the default model and the sample pictures, as listed by the build script.

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
