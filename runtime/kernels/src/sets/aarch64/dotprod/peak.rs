//! `sdot` on registers alone.

chained!(
    /// 16 products an instruction.
    sdot, "neon,dotprod", 16,
    "sdot {sum:v}.4s, {a:v}.16b, {a:v}.16b"
);
