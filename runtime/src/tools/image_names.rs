//! Which files are images, by their names, and in what order a person expects them.

use std::cmp::Ordering;
use std::path::Path;

/// The extensions taken for images, in lower case: those of the formats that [`crate::image_io`] decodes, as
/// Pillow knows them.
pub const EXTENSIONS: [&str; 16] = [
    "png", "apng", "jpg", "jpeg", "jfif", "jpe", "bmp", "gif", "pbm", "pgm", "ppm", "pnm", "pam",
    "tif", "tiff", "webp",
];

/// Whether a file's name says that it is an image.
#[must_use]
pub fn is_image(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|found| EXTENSIONS.iter().any(|e| found.eq_ignore_ascii_case(e)))
}

/// Whether a name begins with a dot.
#[must_use]
pub fn is_hidden(path: &Path) -> bool {
    name(path).starts_with(b".")
}

/// The order of two paths by their last parts, as a person counts: runs of digits by their value, so that
/// `frame9` comes before `frame10`, everything else byte by byte. Names equal in that order (`a1`, `a01`) are
/// told apart by their bytes.
#[must_use]
pub fn natural_order(a: &Path, b: &Path) -> Ordering {
    natural(name(a), name(b))
}

fn name(path: &Path) -> &[u8] {
    path.file_name().unwrap_or_default().as_encoded_bytes()
}

fn natural(a: &[u8], b: &[u8]) -> Ordering {
    let (mut x, mut y) = (a, b);
    loop {
        let order = match (x, y) {
            ([], _) | (_, []) => return x.len().cmp(&y.len()).then_with(|| a.cmp(b)),
            ([p, ..], [q, ..]) if p.is_ascii_digit() && q.is_ascii_digit() => {
                let (p, q) = (take_number(&mut x), take_number(&mut y));
                p.len().cmp(&q.len()).then_with(|| p.cmp(q))
            }
            ([p, rest_x @ ..], [q, rest_y @ ..]) => {
                (x, y) = (rest_x, rest_y);
                p.cmp(q)
            }
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Takes the digits off the front of `bytes`; leading zeros are not part of the answer.
fn take_number<'a>(bytes: &mut &'a [u8]) -> &'a [u8] {
    let count = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
    let (digits, rest) = bytes.split_at_checked(count).unwrap_or_default();
    *bytes = rest;
    let zeros = digits.iter().take_while(|&&b| b == b'0').count();
    digits.get(zeros..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_as_people_count() {
        let mut names = [
            "b",
            "a10",
            "a9",
            "a",
            "a010",
            "a1b",
            "a1",
            "a01",
            "a99999999999999999999999",
            "A2",
        ];
        names.sort_by(|a, b| natural(a.as_bytes(), b.as_bytes()));
        assert_eq!(
            names,
            [
                "A2",
                "a",
                "a01",
                "a1",
                "a1b",
                "a9",
                "a010",
                "a10",
                "a99999999999999999999999",
                "b"
            ]
        );
        // A total order, over many short names.
        let all: Vec<Vec<u8>> = (0..3usize.pow(4))
            .map(|n| (0..4).map(|i| b"01a"[n / 3usize.pow(i) % 3]).collect())
            .collect();
        for a in &all {
            for b in &all {
                assert_eq!(natural(a, b), natural(b, a).reverse());
                assert_eq!(natural(a, b).is_eq(), a == b);
                for c in &all {
                    assert!(
                        !(natural(a, b).is_le() && natural(b, c).is_le()) || natural(a, c).is_le()
                    );
                }
            }
        }
    }

    #[test]
    fn names_say_what_is_an_image() {
        for (name, expected) in [
            ("a.PNG", true),
            ("b/scan.tif", true),
            ("c.Tiff", true),
            ("d.jfif", true),
            ("e.JPE", true),
            ("f.pam", true),
            ("png", false),
            ("notes.txt", false),
        ] {
            assert_eq!(is_image(Path::new(name)), expected, "{name}");
        }
        assert!(is_hidden(Path::new("a/.b.png")) && !is_hidden(Path::new(".a/b.png")));
    }
}
