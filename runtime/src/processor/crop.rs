//! torchvision's `center_crop` as transformers calls it: the middle of an image, in black where there is none.

/// Where the crop lies along one axis: what is skipped of the source, what is black before it, and how many
/// pixels are copied.
#[derive(Debug, PartialEq, Eq)]
struct Span {
    skip: usize,
    black: usize,
    copied: usize,
}

impl Span {
    /// An odd number of pixels to cut loses the extra one at the end, an odd number to add gains it there.
    fn new(from: usize, to: usize) -> Self {
        Self {
            skip: from.saturating_sub(to) / 2,
            black: to.saturating_sub(from) / 2,
            copied: from.min(to),
        }
    }
}

/// The middle of RGB8 `source` of size `from`, (width, height) as `to` is, into `target`, whose capacity is
/// reused.
pub(super) fn center_crop(
    source: &[u8],
    from: (usize, usize),
    to: (usize, usize),
    target: &mut Vec<u8>,
) {
    let (columns, rows) = (Span::new(from.0, to.0), Span::new(from.1, to.1));
    target.clear();
    target.resize(3 * to.0 * to.1, 0);
    let from_rows = source.chunks_exact(3 * from.0).skip(rows.skip);
    let to_rows = target.chunks_exact_mut(3 * to.0).skip(rows.black);
    for (from, to) in from_rows.zip(to_rows).take(rows.copied) {
        let bytes = 3 * columns.copied;
        to[3 * columns.black..][..bytes].copy_from_slice(&from[3 * columns.skip..][..bytes]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crop(from: (usize, usize), to: (usize, usize)) -> Vec<u8> {
        let source: Vec<u8> = (1..=from.0 * from.1).flat_map(|i| [i as u8; 3]).collect();
        let mut target = vec![7; 100];
        center_crop(&source, from, to, &mut target);
        target.into_iter().step_by(3).collect()
    }

    #[test]
    fn odd_remainders_go_to_the_end() {
        // 4 of 5 x 3: what is cut is cut at the right; what is missing of the height is added below.
        assert_eq!(
            crop((5, 3), (4, 4)),
            [1, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14, 0, 0, 0, 0]
        );
        assert_eq!(crop((4, 1), (1, 1)), [2]);
        assert_eq!(crop((1, 1), (4, 2)), [0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(crop((2, 2), (2, 2)), [1, 2, 3, 4]);
    }
}
