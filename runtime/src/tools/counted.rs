//! Counts in lines for people: one of a thing is not called as several are.

use std::fmt::Display;

/// `count` and the noun, in the singular for one and in the plural else: `1 image`, `0 images`, `2 classes`.
#[must_use]
pub fn counted<N: Display + PartialEq + From<u8>>(count: N, noun: &str) -> String {
    let end = match (count == N::from(1), noun.ends_with('s')) {
        (true, _) => "",
        (false, true) => "es",
        (false, false) => "s",
    };
    format!("{count} {noun}{end}")
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn one_is_not_several() {
        assert_eq!(counted(1_usize, "image"), "1 image");
        assert_eq!(counted(0_u64, "image"), "0 images");
        assert_eq!(counted(21_u32, "class"), "21 classes");
        assert_eq!(counted(1_u64, "class"), "1 class");
    }
}
