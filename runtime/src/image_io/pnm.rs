//! PBM, PGM and PPM, plain and binary, with Pillow's rounding of any maximum to 255.
//!
//! Grey beyond 8 bits is rounded as colour is; Pillow would clip it.

use super::{ImageIoError, Pixels, check_size};

/// Whether these are the first bytes of such a file.
pub(super) fn is_pnm(bytes: &[u8]) -> bool {
    matches!(bytes, [b'P', b'1'..=b'6', after, ..] if after.is_ascii_whitespace() || *after == b'#')
}

pub(super) fn decode(bytes: &[u8], max: u32) -> Result<Pixels, ImageIoError> {
    let kind = bytes.get(1).copied().unwrap_or_default();
    let mut text = Text {
        rest: bytes.get(2..).unwrap_or_default(),
    };
    let (width, height) = (text.number("width")?, text.number("height")?);
    let length = check_size(width.into(), height.into(), max)?;
    let bitmap = matches!(kind, b'1' | b'4');
    let maximum = if bitmap { 1 } else { text.number("maximum")? };
    if !(1..=65_535).contains(&maximum) {
        let message = format!("a maximum of {maximum}; expected 1 to 65535");
        return Err(ImageIoError::Pnm(message));
    }
    let channels = if matches!(kind, b'3' | b'6') { 3 } else { 1 };
    let samples = length / 3 * channels;
    let levels: Vec<u8> = match kind {
        b'1' => (0..samples).map(|_| text.bit()).collect::<Result<_, _>>()?,
        b'2' | b'3' => (0..samples)
            .map(|_| match text.number("sample")? {
                sample if sample <= maximum => Ok(scaled(sample, maximum)),
                sample => Err(ImageIoError::Pnm(format!(
                    "a sample of {sample}; expected at most {maximum}"
                ))),
            })
            .collect::<Result<_, _>>()?,
        b'4' => {
            let row_bytes = (width as usize).div_ceil(8);
            let rows = raster(text.rest, row_bytes * height as usize)?;
            let bits = |row: &'_ [u8]| -> Vec<u8> {
                let bit = |x: usize| row[x / 8] >> (7 - x % 8) & 1;
                (0..width as usize).map(|x| 255 * (1 - bit(x))).collect()
            };
            rows.chunks_exact(row_bytes).flat_map(bits).collect()
        }
        _ if maximum < 256 => {
            let table: [u8; 256] = std::array::from_fn(|sample| scaled(sample as u32, maximum));
            let raster = raster(text.rest, samples)?;
            raster.iter().map(|&b| table[usize::from(b)]).collect()
        }
        _ => raster(text.rest, 2 * samples)?
            .as_chunks::<2>()
            .0
            .iter()
            .map(|&pair| scaled(u16::from_be_bytes(pair).into(), maximum))
            .collect(),
    };
    let rgb = match channels {
        3 => levels,
        _ => levels.into_iter().flat_map(|level| [level; 3]).collect(),
    };
    Ok((width, height, rgb))
}

/// Python's `min(255, round(sample / maximum * 255))`, ties and all.
fn scaled(sample: u32, maximum: u32) -> u8 {
    let level = f64::from(sample) / f64::from(maximum) * 255.0;
    level.round_ties_even().min(255.0) as u8
}

fn raster(bytes: &[u8], length: usize) -> Result<&[u8], ImageIoError> {
    bytes.get(..length).ok_or_else(|| {
        let message = format!("{} bytes of pixels; expected {length}", bytes.len());
        ImageIoError::Pnm(message)
    })
}

/// The part of a file that is words between white space and comments.
struct Text<'a> {
    rest: &'a [u8],
}

impl Text<'_> {
    /// The next byte outside comments.
    fn next(&mut self) -> Option<u8> {
        loop {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            if byte != b'#' {
                return Some(byte);
            }
            let end = rest.iter().position(|b| matches!(b, b'\n' | b'\r'));
            self.rest = rest.get(end.map_or(rest.len(), |end| end + 1)..)?;
        }
    }

    /// The next number; the white space byte behind it is taken too.
    fn number(&mut self, what: &str) -> Result<u32, ImageIoError> {
        let wrong = |message: String| ImageIoError::Pnm(format!("{what}: {message}"));
        let mut value: Option<u32> = None;
        loop {
            match self.next() {
                Some(digit @ b'0'..=b'9') => {
                    let digit = u32::from(digit - b'0');
                    let next = value.unwrap_or(0).checked_mul(10);
                    let next = next.and_then(|v| v.checked_add(digit));
                    value = Some(next.ok_or_else(|| wrong("more than 32 bits".to_owned()))?);
                }
                Some(b) if b.is_ascii_whitespace() || b == 0x0b => match value {
                    Some(value) => return Ok(value),
                    None => continue,
                },
                Some(b) => {
                    let found = b.escape_ascii();
                    return Err(wrong(format!("found '{found}'; expected a decimal number")));
                }
                None => return value.ok_or_else(|| wrong("the file ends before it".to_owned())),
            }
        }
    }

    /// The next pixel of a plain bitmap, whose digits may stand together.
    fn bit(&mut self) -> Result<u8, ImageIoError> {
        loop {
            match self.next() {
                Some(b'0') => return Ok(255),
                Some(b'1') => return Ok(0),
                Some(b) if b.is_ascii_whitespace() => continue,
                found => {
                    let found =
                        found.map_or("the end".to_owned(), |b| b.escape_ascii().to_string());
                    let message = format!("pixel: found '{found}'; expected 0 or 1");
                    return Err(ImageIoError::Pnm(message));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8]) -> Result<Pixels, ImageIoError> {
        super::decode(bytes, 1 << 20)
    }

    #[test]
    fn samples_are_rounded_not_cut_off() {
        assert_eq!(scaled(159, 1000), 41);
        assert_eq!(scaled(65_535, 65_535), 255);
        assert_eq!(scaled(1, 2), 128);
        assert_eq!(scaled(300, 200), 255);
        assert!((0..=255).all(|v| scaled(v, 255) == v as u8));
    }

    #[test]
    fn plain_and_binary_hold_the_same() {
        let plain = decode(b"P2 # a comment\n3 1 1000\n0 159 1000").unwrap();
        let binary = decode(b"P5\n3 1\n# two\n1000\n\0\0\0\x9f\x03\xe8").unwrap();
        assert_eq!(plain, binary);
        assert_eq!(plain.2, [0, 0, 0, 41, 41, 41, 255, 255, 255]);
        let plain = decode(b"P1\n10 1\n1 0 1 #\n1000001").unwrap();
        assert_eq!(plain, decode(b"P4\n10 1\n\xb0\x40").unwrap());
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (bytes, words) in [
            (
                b"P6 2 2 255\nabc".as_slice(),
                "3 bytes of pixels; expected 12",
            ),
            (b"P5 2 2 65536\n", "maximum of 65536; expected 1 to 65535"),
            (b"P2 1 1 9 10", "a sample of 10; expected at most 9"),
            (b"P2 1 x", "height: found 'x'"),
            (b"P3 1 1 9 1 2", "sample: the file ends"),
            (b"P1 1 1 2", "found '2'; expected 0 or 1"),
            (b"P5 0 1 255\n", "0x1 pixels"),
            (b"P5 99999999999 1 255\n", "more than 32 bits"),
        ] {
            let error = decode(bytes).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
