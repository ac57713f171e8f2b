//! Films and streams of video, known by their first bytes: one table for whoever is given one in a picture's or a
//! camera's place.

/// Bytes of a file that [`Video::of`] looks at.
pub const HEAD_BYTES: usize = TS_PACKET + 1;

/// Bytes of a packet of an MPEG transport stream; each begins with a G.
const TS_PACKET: usize = 188;

/// A kind of video.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Video {
    /// MP4, QuickTime.
    Mp4,
    /// AVI.
    Avi,
    /// Matroska, WebM.
    Matroska,
    /// H.264 by itself, as a Raspberry Pi's camera program writes it.
    H264,
    /// H.265 by itself.
    Hevc,
    /// MPEG-1 or MPEG-2.
    Mpeg,
    /// A transport stream.
    MpegTs,
    /// Flash.
    Flv,
    /// Ogg.
    Ogg,
    /// Windows Media.
    Asf,
    /// IVF.
    Ivf,
}

impl Video {
    /// The name with its article.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mp4 => "an MP4 or QuickTime film",
            Self::Avi => "an AVI film",
            Self::Matroska => "a Matroska or WebM film",
            Self::H264 => "an H.264 stream",
            Self::Hevc => "an H.265 stream",
            Self::Mpeg => "an MPEG-1 or MPEG-2 stream",
            Self::MpegTs => "an MPEG transport stream",
            Self::Flv => "a Flash film",
            Self::Ogg => "an Ogg film",
            Self::Asf => "a Windows Media film",
            Self::Ivf => "an IVF film",
        }
    }

    /// Whether it can be read from a pipe; of an MP4 ffmpeg needs the end first.
    #[must_use]
    pub fn streams(self) -> bool {
        self != Self::Mp4
    }

    /// The video whose first bytes are `head`.
    #[must_use]
    pub fn of(head: &[u8]) -> Option<Self> {
        // A box of an ISO media file or of QuickTime: its length, then its kind.
        const BOXES: [&[u8]; 5] = [b"ftyp", b"moov", b"mdat", b"wide", b"styp"];
        if head.get(4..8).is_some_and(|kind| BOXES.contains(&kind)) {
            return Some(Self::Mp4);
        }
        if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"AVI ") {
            return Some(Self::Avi);
        }
        Some(match *head {
            [0x1a, 0x45, 0xdf, 0xa3, ..] => Self::Matroska,
            [b'F', b'L', b'V', 1, ..] => Self::Flv,
            [b'O', b'g', b'g', b'S', ..] => Self::Ogg,
            [0x30, 0x26, 0xb2, 0x75, ..] => Self::Asf,
            [b'D', b'K', b'I', b'F', ..] => Self::Ivf,
            [b'G', ..] if head.get(TS_PACKET) == Some(&b'G') => Self::MpegTs,
            [0, 0, 0, 1, unit, next, ..] | [0, 0, 1, unit, next, ..] => {
                return Self::after_start_code(unit, next);
            }
            _ => return None,
        })
    }

    /// What begins with the start code 00 00 01 and these two bytes.
    fn after_start_code(unit: u8, next: u8) -> Option<Self> {
        let is_hevc = next == 1 && unit & 0x81 == 0;
        Some(match unit {
            // The header of a sequence or a pack: no unit of the others has the top bit.
            0xb3 | 0xba | 0xe0..=0xef => Self::Mpeg,
            // Parameter sets, delimiters and pictures that one can start with.
            _ if is_hevc && matches!(unit >> 1, 16..=21 | 32..=35 | 39) => Self::Hevc,
            _ if unit & 0x80 == 0 && matches!(unit & 0x1f, 1 | 5..=9) => Self::H264,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Video;

    #[test]
    fn films_and_streams_are_known_by_their_first_bytes() {
        for (head, kind) in [
            (b"\0\0\0\x20ftypisom".as_slice(), Video::Mp4),
            (b"\0\0\0\x08wide\0\0\x12\x34", Video::Mp4),
            (b"\0\0\x10\0moov\0\0\0\x6c", Video::Mp4),
            (b"RIFF\x12\x34\0\0AVI ", Video::Avi),
            (b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x23", Video::Matroska),
            (b"\0\0\0\x01\x67\x64\0\x1f\xac\xb2", Video::H264),
            (b"\0\0\0\x01\x27\x64\0\x28", Video::H264),
            (b"\0\0\x01\x09\xf0\0\0\0\x01", Video::H264),
            (b"\0\0\0\x01\x40\x01\x0c\x01", Video::Hevc),
            (b"\0\0\0\x01\x46\x01\x50", Video::Hevc),
            (b"\0\0\x01\xb3\x14\0\xf0", Video::Mpeg),
            (b"\0\0\x01\xba\x44", Video::Mpeg),
            (&[b"G".as_slice(), &[0; 187], b"G"].concat(), Video::MpegTs),
            (b"FLV\x01\x05", Video::Flv),
            (b"OggS\0\x02", Video::Ogg),
            (b"DKIF\0\0 \0VP80", Video::Ivf),
        ] {
            assert_eq!(Video::of(head), Some(kind), "{}", head.escape_ascii());
        }
        for head in [
            b"".as_slice(),
            b"\xff\xd8\xff\xe0\0\x10JFIF",
            b"YUV4MPEG2 W64",
            b"\0\0\0\0\0\0\0\0\0\0\0\0",
            b"\r\n--frame\r\nC",
            b"G\x40\x11\x10\0\x42",
            b"GET / HTTP/1",
            b"RIFF\x12\x34\0\0WEBP",
            b"\0\0\x01\0\x01\0\x10\x10",
        ] {
            assert_eq!(Video::of(head), None, "{}", head.escape_ascii());
        }
    }
}
