//! `smull` with `smlal2` and `sadalp`, on registers alone.

chained!(
    /// 16 products take three instructions.
    smull, "neon", 16,
    "smull {p:v}.8h, {a:v}.8b, {a:v}.8b",
    "smlal2 {p:v}.8h, {a:v}.16b, {a:v}.16b",
    "sadalp {sum:v}.4s, {p:v}.8h"; p
);
