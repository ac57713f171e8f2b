//! Video that this app does not decode, known by its content, its name or its address, and the command
//! that turns it into what the app reads.

use std::path::Path;

/// Bytes of a file that [`by_content`] looks at.
pub(super) const HEAD_BYTES: usize = TS_PACKET + 1;

/// Bytes of a packet of an MPEG transport stream; each begins with a G.
const TS_PACKET: usize = 188;

/// A kind of video.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    /// With its article.
    pub(super) name: &'static str,
    /// It can be read from a pipe; of an MP4 ffmpeg needs the end first.
    pub(super) streams: bool,
}

const fn kind(name: &'static str, streams: bool) -> Kind {
    Kind { name, streams }
}

const MP4: Kind = kind("an MP4 or QuickTime film", false);
const AVI: Kind = kind("an AVI film", true);
const MATROSKA: Kind = kind("a Matroska or WebM film", true);
const H264: Kind = kind("an H.264 stream", true);
const HEVC: Kind = kind("an H.265 stream", true);
const MPEG: Kind = kind("an MPEG-1 or MPEG-2 stream", true);
const MPEG_TS: Kind = kind("an MPEG transport stream", true);
const FLV: Kind = kind("a Flash film", true);
const OGG: Kind = kind("an Ogg film", true);
const ASF: Kind = kind("a Windows Media film", true);
const IVF: Kind = kind("an IVF film", true);

/// The video whose first bytes are `head`.
pub(super) fn by_content(head: &[u8]) -> Option<Kind> {
    Some(match *head {
        [_, _, _, _, b'f', b't', b'y', b'p', ..]
        | [_, _, _, _, b'm', b'o', b'o', b'v', ..]
        | [_, _, _, _, b'm', b'd', b'a', b't', ..]
        | [_, _, _, _, b'w', b'i', b'd', b'e', ..]
        | [_, _, _, _, b's', b't', b'y', b'p', ..] => MP4,
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'A',
            b'V',
            b'I',
            b' ',
            ..,
        ] => AVI,
        [0x1a, 0x45, 0xdf, 0xa3, ..] => MATROSKA,
        [b'F', b'L', b'V', 1, ..] => FLV,
        [b'O', b'g', b'g', b'S', ..] => OGG,
        [0x30, 0x26, 0xb2, 0x75, ..] => ASF,
        [b'D', b'K', b'I', b'F', ..] => IVF,
        [b'G', ..] if head.get(TS_PACKET) == Some(&b'G') => MPEG_TS,
        [0, 0, 0, 1, unit, next, ..] | [0, 0, 1, unit, next, ..] => return annex_b(unit, next),
        _ => return None,
    })
}

/// What begins with the start code 00 00 01 and these two bytes.
fn annex_b(unit: u8, next: u8) -> Option<Kind> {
    let is_hevc = next == 1 && unit & 0x81 == 0;
    Some(match unit {
        // The header of a sequence or a pack: no unit of the others has the top bit.
        0xb3 | 0xba | 0xe0..=0xef => MPEG,
        // Parameter sets, delimiters and pictures that one can start with.
        _ if is_hevc && matches!(unit >> 1, 16..=21 | 32..=35 | 39) => HEVC,
        _ if unit & 0x80 == 0 && matches!(unit & 0x1f, 1 | 5..=9) => H264,
        _ => return None,
    })
}

/// Whether it is what a Raspberry Pi's camera program writes by itself.
pub(super) fn is_h264(kind: Kind) -> bool {
    kind == H264
}

/// The video that a file of this name should be.
pub(super) fn by_name(path: &Path) -> Option<Kind> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    Some(match extension.as_str() {
        "mp4" | "m4v" | "mov" | "3gp" | "qt" => MP4,
        "avi" => AVI,
        "mkv" | "webm" => MATROSKA,
        "h264" | "264" | "avc" => H264,
        "h265" | "265" | "hevc" => HEVC,
        "mpg" | "mpeg" | "vob" | "m2v" => MPEG,
        "ts" | "m2ts" | "mts" => MPEG_TS,
        "flv" => FLV,
        "ogv" | "ogg" => OGG,
        "wmv" | "asf" => ASF,
        "ivf" => IVF,
        _ => return None,
    })
}

/// Video that ffmpeg can fetch: `spec` has a scheme it knows.
pub(super) fn is_address(spec: &str) -> bool {
    const SCHEMES: [&str; 12] = [
        "http", "https", "rtsp", "rtsps", "rtmp", "rtmps", "rtp", "udp", "tcp", "srt", "mms", "ftp",
    ];
    spec.split_once("://").is_some_and(|(scheme, _)| {
        let scheme = scheme.to_ascii_lowercase();
        SCHEMES.contains(&scheme.as_str())
    })
}

/// The commands that serve what is at the address `spec`.
pub(super) fn fetching(spec: &str) -> String {
    let scheme = spec.split(':').next().unwrap_or_default();
    let options = match scheme.to_ascii_lowercase().as_str() {
        // Over UDP, its default, a lost packet is a damaged picture.
        "rtsp" | "rtsps" => "-rtsp_transport tcp ",
        _ => "",
    };
    let ffmpeg = decoding(&format!(
        "-nostdin -loglevel error {options}-i {}",
        quoted(spec)
    ));
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" => format!(
            "for a Motion JPEG camera `curl -sSNf {} | igpt-cam --source -`, for anything else `{ffmpeg}`",
            quoted(spec)
        ),
        _ => format!("this does: `{ffmpeg}`"),
    }
}

/// The command that decodes the file `path`.
pub(super) fn decoding_file(path: &str) -> String {
    // What looks like an option is none behind a directory.
    let path = match path.starts_with('-') {
        true => format!("./{path}"),
        false => path.to_owned(),
    };
    decoding(&format!("-nostdin -loglevel error -i {}", quoted(&path)))
}

/// The command that decodes what comes on standard input.
pub(super) fn decoding_stdin() -> String {
    format!("... | {}", decoding("-loglevel error -i -"))
}

/// Y4M cannot say which matrix its colours were made with, and ffmpeg leaves the film's, in high definition
/// BT.709: it must be told to convert to the one that Y4M's readers assume.
fn decoding(input: &str) -> String {
    format!(
        "ffmpeg {input} -vf scale=out_color_matrix=bt601,format=yuv420p -f yuv4mpegpipe - | igpt-cam --source -"
    )
}

/// `word` as a shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,=".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests;
