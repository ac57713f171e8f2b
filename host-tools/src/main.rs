//! The command `igpt`.

fn main() {}
