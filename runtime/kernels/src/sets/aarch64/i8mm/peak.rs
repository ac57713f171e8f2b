//! `smmla` on registers alone.

chained!(
    /// 32 products an instruction.
    smmla, "neon,i8mm", 32,
    "smmla {sum:v}.4s, {a:v}.16b, {a:v}.16b"
);
