//! A directory of PNG files, one a picture, named by its number and its verdict.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use image::ExtendedColorType;
use image::ImageEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use rustix::io::Errno;

use super::error::SinkError;
use super::target::{FrameSink, check};
use crate::folder;

/// The longest label in a file name, in bytes.
const MAX_LABEL: usize = 64;

/// Writes `NNNNNN-label.png` files. Numbers go on from the largest in the directory, so that a restarted
/// service overwrites nothing.
///
/// A file appears whole or not at all to whoever watches the directory: it is written under a hidden
/// name and then renamed. It is not forced onto the disk, so the last ones may be lost with the power.
#[derive(Debug)]
pub struct PngDirSink {
    directory: PathBuf,
    next: u64,
    png: Vec<u8>,
}

impl PngDirSink {
    /// Writes into `directory`, which is created if need be.
    ///
    /// # Errors
    /// [`SinkError::Open`] if it cannot be created or listed.
    pub fn new(directory: &Path) -> Result<Self, SinkError> {
        let open = |source| SinkError::Open {
            path: directory.to_owned(),
            source,
        };
        folder::create(directory).map_err(open)?;
        let mut next = 0;
        for entry in fs::read_dir(directory).map_err(open)? {
            let name = entry.map_err(open)?.file_name();
            if let Some(number) = number_of(&name.to_string_lossy()) {
                next = next.max(number.saturating_add(1));
            }
        }
        Ok(Self {
            directory: directory.to_owned(),
            next,
            png: Vec::new(),
        })
    }
}

impl FrameSink for PngDirSink {
    fn show(&mut self, rgb: &[u8], width: u32, height: u32, label: &str) -> Result<(), SinkError> {
        check(rgb, width, height)?;
        let path = self
            .directory
            .join(format!("{:06}-{}.png", self.next, sanitised(label)));
        self.png.clear();
        PngEncoder::new_with_quality(&mut self.png, CompressionType::Fast, FilterType::Adaptive)
            .write_image(rgb, width, height, ExtendedColorType::Rgb8)
            .map_err(|error| write_error(&path, io::Error::other(error)))?;
        let hidden = self.directory.join(format!(".{:06}.png.part", self.next));
        let written = fs::write(&hidden, &self.png).and_then(|()| fs::rename(&hidden, &path));
        if let Err(error) = written {
            // Half a file takes room on a full disk. If this fails too, the first error says enough.
            let _ = fs::remove_file(&hidden);
            return Err(write_error(&path, error));
        }
        self.next = self.next.saturating_add(1);
        Ok(())
    }

    fn describe(&self) -> String {
        format!("PNG files in {}", self.directory.display())
    }
}

/// The number that a file name of ours starts with.
fn number_of(name: &str) -> Option<u64> {
    let (number, _) = name.strip_suffix(".png")?.split_once('-')?;
    match number.len() >= 6 && number.bytes().all(|b| b.is_ascii_digit()) {
        true => number.parse().ok(),
        false => None,
    }
}

/// A label as part of a file name: letters and digits of any script stay, everything else becomes one
/// dash. What is left can be no path, no option and no hidden file.
fn sanitised(label: &str) -> String {
    let mut name = String::new();
    for c in label.chars() {
        let c = if c.is_alphanumeric() { c } else { '-' };
        if c == '-' && (name.is_empty() || name.ends_with('-')) {
            continue;
        }
        if name.len() + c.len_utf8() > MAX_LABEL {
            break;
        }
        name.push(c);
    }
    let name = name.trim_end_matches('-');
    if name.is_empty() {
        "unnamed".to_owned()
    } else {
        name.to_owned()
    }
}

fn write_error(path: &Path, source: io::Error) -> SinkError {
    let path = path.to_owned();
    match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => SinkError::Full { path },
        // Quotas have no stable kind on every toolchain that builds this.
        _ if source.raw_os_error() == Some(Errno::DQUOT.raw_os_error()) => SinkError::Full { path },
        _ => SinkError::Write { path, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn pictures_come_back_as_they_were_and_numbers_go_on() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("a/b");
        let rgb: Vec<u8> = (0..5 * 4 * 3).collect();
        let mut sink = PngDirSink::new(&out).unwrap();
        sink.show(&rgb, 5, 4, "Ankle boot").unwrap();
        sink.show(&rgb, 5, 4, "bag").unwrap();
        let back = image::open(out.join("000000-Ankle-boot.png"))
            .unwrap()
            .into_rgb8();
        assert_eq!((back.dimensions(), back.as_raw()), ((5, 4), &rgb));

        fs::write(out.join("notes-1.png"), b"").unwrap();
        fs::write(out.join("000041-coat.png"), b"").unwrap();
        PngDirSink::new(&out)
            .unwrap()
            .show(&rgb, 5, 4, "coat")
            .unwrap();
        assert_eq!(
            names(&out),
            [
                "000000-Ankle-boot.png",
                "000001-bag.png",
                "000041-coat.png",
                "000042-coat.png",
                "notes-1.png"
            ]
        );
    }

    #[test]
    fn no_label_leaves_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let mut sink = PngDirSink::new(&out).unwrap();
        let long = "é".repeat(500);
        let labels = [
            "../../etc/passwd",
            "/etc/passwd",
            "..",
            ".",
            "",
            "a\0b",
            "-rf",
            "T-shirt/top",
            "\u{202e}gnp",
            "猫 & 狗",
            &long,
        ];
        for label in labels {
            sink.show(&[0; 3], 1, 1, label).unwrap();
        }
        assert_eq!(names(dir.path()), ["out"]);
        let names = names(&out);
        let tails: Vec<_> = names.iter().map(|n| &n[7..n.len() - 4]).collect();
        let cut = "é".repeat(32);
        assert_eq!(
            tails,
            [
                "etc-passwd",
                "etc-passwd",
                "unnamed",
                "unnamed",
                "unnamed",
                "a-b",
                "rf",
                "T-shirt-top",
                "gnp",
                "猫-狗",
                &cut
            ]
        );
    }

    #[test]
    fn a_lost_directory_is_an_error_and_its_return_is_a_cure() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let mut sink = PngDirSink::new(&out).unwrap();
        fs::remove_dir(&out).unwrap();
        let error = sink.show(&[0; 3], 1, 1, "x").unwrap_err();
        assert!(
            matches!(&error, SinkError::Write { path, .. } if path.ends_with("000000-x.png")),
            "{error}"
        );
        fs::create_dir(&out).unwrap();
        sink.show(&[0; 3], 1, 1, "x").unwrap();
        assert_eq!(names(&out), ["000000-x.png"]);
    }

    #[test]
    fn a_failed_write_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let mut sink = PngDirSink::new(dir.path()).unwrap();
        // The rename fails: its target is a directory.
        fs::create_dir(dir.path().join("000000-x.png")).unwrap();
        sink.next = 0;
        assert!(sink.show(&[0; 3], 1, 1, "x").is_err());
        assert_eq!(names(dir.path()), ["000000-x.png"]);
    }

    #[test]
    fn a_full_disk_is_told_from_other_failures() {
        for (errno, full) in [
            (Errno::NOSPC, true),
            (Errno::DQUOT, true),
            (Errno::IO, false),
        ] {
            let error = write_error(Path::new("/out/000000-x.png"), errno.into());
            assert_eq!(matches!(error, SinkError::Full { .. }), full, "{error}");
            assert!(error.to_string().contains("/out/000000-x.png"));
        }
    }

    #[test]
    fn pictures_of_the_wrong_size_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut sink = PngDirSink::new(dir.path()).unwrap();
        for (bytes, width, height) in [(3, 1, 2), (0, 0, 0), (0, 5, 0), (3, u32::MAX, u32::MAX)] {
            let error = sink.show(&vec![0; bytes], width, height, "x").unwrap_err();
            assert!(matches!(error, SinkError::Picture { .. }), "{error}");
        }
        assert!(names(dir.path()).is_empty());
        fs::write(dir.path().join("file"), b"").unwrap();
        let error = PngDirSink::new(&dir.path().join("file")).unwrap_err();
        assert!(matches!(error, SinkError::Open { .. }), "{error}");
    }
}
