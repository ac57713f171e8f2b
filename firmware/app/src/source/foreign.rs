//! Video that this app does not decode, known by its name or its address (by its content: [`Video::of`]), and the command
//! that turns it into what the app reads.

use std::path::Path;

use igpt_runtime::tools::Video;

/// The video that a file of this name should be.
pub(super) fn by_name(path: &Path) -> Option<Video> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    Some(match extension.as_str() {
        "mp4" | "m4v" | "mov" | "3gp" | "qt" => Video::Mp4,
        "avi" => Video::Avi,
        "mkv" | "webm" => Video::Matroska,
        "h264" | "264" | "avc" => Video::H264,
        "h265" | "265" | "hevc" => Video::Hevc,
        "mpg" | "mpeg" | "vob" | "m2v" => Video::Mpeg,
        "ts" | "m2ts" | "mts" => Video::MpegTs,
        "flv" => Video::Flv,
        "ogv" | "ogg" => Video::Ogg,
        "wmv" | "asf" => Video::Asf,
        "ivf" => Video::Ivf,
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
