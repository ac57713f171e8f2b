//! What stands in for a picture and is none that is read, known by its first bytes: what it is, and what to do.

use crate::video::Video;

/// Something that is known and not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Foreign {
    /// What it is, in words.
    pub found: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

const HEIF: Foreign = Foreign {
    found: "HEIF (HEIC, as phones take it)",
    remedy: "convert it, as with `heif-convert FILE photo.png`",
};
const AVIF: Foreign = Foreign {
    found: "AVIF",
    remedy: "convert it, as with `avifdec FILE photo.png`",
};
const JPEG_XL: Foreign = Foreign {
    found: "JPEG XL",
    remedy: "convert it, as with `djxl FILE photo.png`",
};
const JPEG_2000: Foreign = Foreign {
    found: "JPEG 2000",
    remedy: "convert it, as with `opj_decompress -i FILE -o photo.png`",
};
/// A film or a stream of video.
fn film(video: Video) -> Foreign {
    Foreign {
        found: video.name(),
        remedy: "take its frames, as with `ffmpeg -i FILE frame-%04d.png`",
    }
}
const PAGE: Foreign = Foreign {
    found: "a web page (HTML)",
    remedy: "a server may have sent it in the picture's place; fetch the picture again",
};
const SVG: Foreign = Foreign {
    found: "a drawing or other XML",
    remedy: "if it is SVG, paint it, as with `rsvg-convert FILE -o photo.png`",
};
const ZEROS: Foreign = Foreign {
    found: "nothing but zero bytes",
    remedy: "copy it again from where it came",
};
const CANON: Foreign = Foreign {
    found: "a camera's raw picture (CR3)",
    remedy: "develop it, as with `darktable-cli FILE photo.png`",
};

/// What begins so, in this order.
const BEGINNINGS: &[(&[u8], Foreign)] = &[
    (b"\xff\x0a", JPEG_XL),
    (b"\0\0\0\x0cJXL \r\n\x87\n", JPEG_XL),
    (b"\0\0\0\x0cjP  \r\n\x87\n", JPEG_2000),
    (b"\xff\x4f\xff\x51", JPEG_2000),
    (
        b"%PDF",
        Foreign {
            found: "a PDF",
            remedy: "paint its pages, as with `pdftoppm -png FILE page`",
        },
    ),
    (
        b"8BPS",
        Foreign {
            found: "a Photoshop document",
            remedy: "convert it, as with `magick FILE[0] photo.png`",
        },
    ),
    (
        b"gimp xcf",
        Foreign {
            found: "a GIMP document",
            remedy: "export it from GIMP as PNG",
        },
    ),
    (
        b"\0\0\x01\0",
        Foreign {
            found: "an icon (ICO)",
            remedy: "convert it, as with `magick FILE photo.png`",
        },
    ),
    (
        b"qoif",
        Foreign {
            found: "QOI",
            remedy: "convert it, as with `magick FILE photo.png`",
        },
    ),
    (
        b"\x76\x2f\x31\x01",
        Foreign {
            found: "OpenEXR",
            remedy: "convert it, as with `magick FILE photo.png`",
        },
    ),
    (
        b"II\xbc",
        Foreign {
            found: "JPEG XR",
            remedy: "convert it, as with `JxrDecApp -i FILE -o photo.bmp`",
        },
    ),
    (
        b"PK\x03\x04",
        Foreign {
            found: "a zip archive",
            remedy: "unpack it first",
        },
    ),
    (
        b"\x1f\x8b",
        Foreign {
            found: "compressed with gzip",
            remedy: "unpack it first, as with `gunzip`",
        },
    ),
];

/// What `bytes` are, if they are known and no picture that is read.
pub(super) fn of(bytes: &[u8]) -> Option<Foreign> {
    if let Some((_, found)) = BEGINNINGS
        .iter()
        .find(|(start, _)| bytes.starts_with(start))
    {
        return Some(*found);
    }
    if bytes.get(4..8) == Some(b"ftyp") {
        return Some(of_brands(bytes));
    }
    if let Some(video) = Video::of(bytes) {
        return Some(film(video));
    }
    if !bytes.is_empty() && bytes.iter().all(|&byte| byte == 0) {
        return Some(ZEROS);
    }
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = text.trim_ascii_start();
    let begins = |word: &[u8]| {
        text.get(..word.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(word))
    };
    if [&b"<!doctype html"[..], b"<html", b"<head", b"<body"]
        .into_iter()
        .any(begins)
    {
        return Some(PAGE);
    }
    (begins(b"<?xml") || begins(b"<svg") || begins(b"<!doctype svg")).then_some(SVG)
}

/// By the brands of an ISO media file: its own at 8, then those it is compatible with, to the end of the box.
fn of_brands(bytes: &[u8]) -> Foreign {
    let length = bytes.first_chunk::<4>().map(|it| u32::from_be_bytes(*it));
    let end = (length.unwrap_or(0) as usize).clamp(12, 256);
    let brands = bytes.get(8..end).or(bytes.get(8..)).unwrap_or_default();
    let (brands, _) = brands.as_chunks::<4>();
    let has = |names: &[&[u8; 4]]| brands.iter().any(|brand| names.contains(&brand));
    if has(&[b"avif", b"avis"]) {
        AVIF
    } else if has(&[
        b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"mif2", b"msf1", b"heif",
    ]) {
        HEIF
    } else if has(&[b"crx "]) {
        CANON
    } else if has(&[b"jp2 ", b"jpx "]) {
        JPEG_2000
    } else {
        film(Video::Mp4)
    }
}

#[cfg(test)]
mod tests {
    use super::super::decode_bytes;

    #[test]
    fn what_is_no_picture_that_is_read_is_named_with_what_to_do() {
        let ftyp = |brand: &str, others: &str| {
            let length = (16 + others.len()) as u32;
            let head = length.to_be_bytes();
            [
                &head,
                &b"ftyp"[..],
                brand.as_bytes(),
                &[0; 4],
                others.as_bytes(),
                b"\0\0\0\x10meta",
            ]
            .concat()
        };
        let rows: [(Vec<u8>, &str, &str); 20] = [
            (ftyp("heic", "mif1heic"), "is HEIF", "heif-convert"),
            (ftyp("mif1", "mif1heic"), "is HEIF", "heif-convert"),
            (ftyp("avif", "avifmif1miaf"), "is AVIF", "avifdec"),
            (ftyp("mif1", "miafavif"), "is AVIF", "avifdec"),
            (
                ftyp("isom", "isomiso2mp41"),
                "is an MP4 or QuickTime film",
                "ffmpeg",
            ),
            (b"\0\0\x10\0moov\0\0".to_vec(), "is an MP4", "ffmpeg"),
            (
                b"\0\0\0\x01\x67\x64\0\x1f".to_vec(),
                "is an H.264",
                "ffmpeg",
            ),
            (b"FLV\x01\x05".to_vec(), "is a Flash film", "ffmpeg"),
            (ftyp("crx ", "crx isom"), "CR3", "darktable"),
            (b"\xff\x0a\xfa\x7f".to_vec(), "is JPEG XL", "djxl"),
            (b"\0\0\0\x0cJXL \r\n\x87\n\0".to_vec(), "is JPEG XL", "djxl"),
            (
                b"\0\0\0\x0cjP  \r\n\x87\n\0".to_vec(),
                "is JPEG 2000",
                "opj_decompress",
            ),
            (
                b"\xff\x4f\xff\x51\0".to_vec(),
                "is JPEG 2000",
                "opj_decompress",
            ),
            (b"%PDF-1.7\n".to_vec(), "is a PDF", "pdftoppm"),
            (
                b"<html><body>404".to_vec(),
                "is a web page",
                "fetch the picture again",
            ),
            (
                b"\xef\xbb\xbf\n<!DOCTYPE HTML>".to_vec(),
                "is a web page",
                "again",
            ),
            (
                b"<?xml version=\"1.0\"?><svg/>".to_vec(),
                "SVG",
                "rsvg-convert",
            ),
            (vec![0; 40], "is nothing but zero bytes", "copy it again"),
            (Vec::new(), "is empty", ""),
            (
                b"hello".to_vec(),
                "by its content it is none of PNG, JPEG",
                "",
            ),
        ];
        for (bytes, found, remedy) in rows {
            let message = decode_bytes(&bytes).unwrap_err().to_string();
            assert!(
                message.contains(found) && message.contains(remedy),
                "{found}: {message}"
            );
        }
    }

    #[test]
    fn no_beginning_makes_it_panic() {
        for length in 0..20u8 {
            let bytes = [&[0, 0, 0, length], &b"ftyp"[..], &b"heicmif1heic"[..]].concat();
            for end in 0..=bytes.len() {
                assert!(decode_bytes(&bytes[..end]).is_err());
            }
        }
    }
}
