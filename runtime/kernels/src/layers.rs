//! The layers, generic over the instruction set: no intrinsics here, and nothing that asks which machine this is. Where a set has a way of
//! its own for a whole step, it says so through its trait ([`InstructionSet`](crate::set::InstructionSet)).

pub(crate) mod attention;
pub(crate) mod attention_f32;
pub(crate) mod depthwise;
pub(crate) mod four;
pub(crate) mod layer_norm;
pub(crate) mod linear;
pub(crate) mod linear_f32;
pub(crate) mod pack;
pub(crate) mod prepare;
pub(crate) mod resample;
pub(crate) mod split;
pub(crate) mod windows;
