//! A V4L2 camera: finds out what it offers, agrees on a format and streams through mapped buffers.
//!
//! Of the frames that are ready the newest is delivered; older ones are given back unread and counted
//! as dropped, so that a reader that was held up never looks at the past.

mod abi;
mod colour;
mod pixels;
mod stream;

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::error::SourceError;
use super::frame::{FrameBuffer, FrameSource, ReadOutcome};
use super::jpeg::Decoder;
use super::jpeg_range;
use super::options::SourceOptions;
use super::skip::Skips;
use super::yuv::Matrix;
use abi::PixFormat;
use pixels::{PixelFormat, fourcc_name};
use stream::{Filled, Stream, camera_error};

/// The device number that Linux gives to all of V4L2.
const VIDEO_MAJOR: u32 = 81;

/// Damaged frames in a row after which the camera counts as silent.
const MAX_DAMAGED: u32 = 100;

/// Frames from a camera.
pub struct V4l2Source {
    path: PathBuf,
    card: String,
    format: PixelFormat,
    pix: PixFormat,
    matrix: Matrix,
    stream: Stream,
    decoder: Decoder,
    timeout: Duration,
    skips: Skips,
    gaps: Gaps,
    next: u64,
    opened: Instant,
}

impl V4l2Source {
    /// Opens and starts the camera at `path`, at a size near `options.size`.
    ///
    /// # Errors
    /// [`SourceError::NoCamera`], [`SourceError::CameraPermission`] or [`SourceError::NotACamera`] if
    /// it cannot be one; [`SourceError::Camera`] if its driver refuses, [`SourceError::Size`] if it
    /// insists on pictures over the limit.
    pub fn open(path: &Path, options: &SourceOptions) -> Result<Self, SourceError> {
        let device = open_device(path)?;
        let card = check_capabilities(&device, path)?;
        let (format, pix, matrix) = negotiate(&device, path, options)?;
        Ok(Self {
            path: path.to_owned(),
            card,
            format,
            pix,
            matrix,
            stream: Stream::start(device, path)?,
            decoder: Decoder::new(options.max_pixels),
            timeout: options.timeout,
            skips: Skips::new(options),
            gaps: Gaps::default(),
            next: 0,
            opened: Instant::now(),
        })
    }

    /// Takes the newest of the frames that are ready, waiting for one if need be. Also how many
    /// frames were lost since the last call.
    fn newest(&mut self) -> Result<(Filled, u64), SourceError> {
        let mut filled = self.stream.take(&self.path, self.timeout)?;
        let mut dropped = self.gaps.before(filled.sequence);
        while let Some(newer) = self.stream.try_take(&self.path)? {
            let stale = std::mem::replace(&mut filled, newer);
            self.stream.give_back(stale, &self.path)?;
            dropped += 1 + self.gaps.before(filled.sequence);
        }
        Ok((filled, dropped))
    }

    /// Turns a buffer's data into the frame's picture.
    fn convert(&mut self, filled: &Filled, frame: &mut FrameBuffer) -> Result<(), String> {
        let data = self.stream.data(filled);
        if filled.damaged {
            return Err("the driver marks it as damaged".to_owned());
        }
        let begun = Instant::now();
        if self.format == PixelFormat::Mjpg {
            self.decoder.decode(data, frame)?;
            jpeg_range::apply(data, &mut frame.rgb);
        } else {
            frame.resize(self.pix.width, self.pix.height);
            pixels::convert(self.format, &self.pix, self.matrix, data, &mut frame.rgb)?;
        }
        frame.decode = begun.elapsed();
        Ok(())
    }
}

impl FrameSource for V4l2Source {
    fn read(&mut self, frame: &mut FrameBuffer) -> Result<ReadOutcome, SourceError> {
        let mut dropped = 0;
        for _ in 0..MAX_DAMAGED {
            let (filled, lost) = self.newest()?;
            dropped += lost;
            let captured = self.opened.elapsed();
            let converted = self.convert(&filled, frame);
            let sequence = filled.sequence;
            self.stream.give_back(filled, &self.path)?;
            match converted {
                Ok(()) => {
                    frame.seq = self.next + dropped;
                    frame.name = None;
                    frame.captured = captured;
                    frame.dropped_before = dropped;
                    self.next = frame.seq + 1;
                    return Ok(ReadOutcome::Frame);
                }
                Err(reason) => {
                    let name = format!("{}, frame {sequence}", self.path.display());
                    self.skips.add(name, reason);
                }
            }
        }
        Err(camera_error(&self.path, "VIDIOC_DQBUF", Errno::IO))
    }

    fn describe(&self) -> String {
        format!(
            "{}: {}, {} {}x{}",
            self.path.display(),
            self.card,
            fourcc_name(self.pix.pixelformat),
            self.pix.width,
            self.pix.height
        )
    }

    fn is_live(&self) -> bool {
        true
    }

    fn skipped(&self) -> u64 {
        self.skips.count()
    }
}

/// Opens the device file, once it is known to be V4L2's: opening may have effects (a watchdog starts).
fn open_device(path: &Path) -> Result<File, SourceError> {
    let refused = |errno| match errno {
        Errno::NOENT | Errno::NODEV | Errno::NXIO => SourceError::NoCamera {
            path: path.to_owned(),
        },
        Errno::ACCESS | Errno::PERM => SourceError::CameraPermission {
            path: path.to_owned(),
        },
        errno => SourceError::Open {
            path: path.to_owned(),
            source: errno.into(),
        },
    };
    let number = rustix::fs::stat(path).map_err(refused)?.st_rdev;
    let major = rustix::fs::major(number);
    if major != VIDEO_MAJOR {
        return Err(SourceError::NotACamera {
            path: path.to_owned(),
            reason: format!(
                "its device number is {major}:{}, expected one of V4L2's, {VIDEO_MAJOR}:N",
                rustix::fs::minor(number)
            ),
        });
    }
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let device = File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(refused)?);
    // The name may have come to mean another device in between.
    match device.metadata() {
        Ok(metadata) if rustix::fs::major(metadata.rdev()) == VIDEO_MAJOR => Ok(device),
        _ => Err(refused(Errno::NODEV)),
    }
}

/// Makes sure that the device captures video and streams it. Returns its name.
fn check_capabilities(device: &File, path: &Path) -> Result<String, SourceError> {
    let not = |reason: String| SourceError::NotACamera {
        path: path.to_owned(),
        reason,
    };
    let capability = abi::querycap(device.as_fd()).map_err(|errno| match errno {
        Errno::NOTTY | Errno::INVAL => not(format!("VIDIOC_QUERYCAP failed: {errno}")),
        errno => camera_error(path, "VIDIOC_QUERYCAP", errno),
    })?;
    let name = text(&capability.card);
    let caps = match capability.capabilities & abi::CAP_DEVICE_CAPS {
        0 => capability.capabilities,
        _ => capability.device_caps,
    };
    if caps & abi::CAP_VIDEO_CAPTURE == 0 {
        return Err(not(match caps & abi::CAP_VIDEO_CAPTURE_MPLANE {
            0 => format!(
                "{name} does not capture video; a camera's second node often carries only metadata"
            ),
            _ => format!(
                "{name} has only the multi-planar interface; use `rpicam-vid` or ffmpeg and a pipe"
            ),
        }));
    }
    if caps & abi::CAP_STREAMING == 0 {
        return Err(not(format!("{name} cannot stream")));
    }
    Ok(name)
}

/// Picks the best format on offer and sets it. What the camera made of the wish comes back.
fn negotiate(
    device: &File,
    path: &Path,
    options: &SourceOptions,
) -> Result<(PixelFormat, PixFormat, Matrix), SourceError> {
    let not = |reason: String| SourceError::NotACamera {
        path: path.to_owned(),
        reason,
    };
    let mut offered = Vec::new();
    // No camera has as many; a driver that never says EINVAL shall not hold us.
    for index in 0..256 {
        match abi::enum_fmt(device.as_fd(), index) {
            Ok(description) => offered.push(description.pixelformat),
            Err(Errno::INVAL) => break,
            Err(errno) => return Err(camera_error(path, "VIDIOC_ENUM_FMT", errno)),
        }
    }
    let format = choose(&offered).ok_or_else(|| {
        not(format!(
            "it offers {}, none of which this app reads: {}",
            list(offered.iter().copied()),
            list(PixelFormat::ALL.map(PixelFormat::fourcc))
        ))
    })?;
    let (width, height) = options.size;
    let mut wish = abi::Format::capture(PixFormat {
        width,
        height,
        pixelformat: format.fourcc(),
        field: abi::FIELD_NONE,
        ..PixFormat::default()
    });
    abi::s_fmt(device.as_fd(), &mut wish).map_err(|e| camera_error(path, "VIDIOC_S_FMT", e))?;
    let pix = wish.pix;
    if pix.pixelformat != format.fourcc() {
        return Err(not(format!(
            "it offers {} and then sets {}",
            fourcc_name(format.fourcc()),
            fourcc_name(pix.pixelformat)
        )));
    }
    if matches!(
        pix.field,
        abi::FIELD_SEQ_TB | abi::FIELD_SEQ_BT | abi::FIELD_ALTERNATE
    ) {
        return Err(not(
            "it delivers the two fields of an interlaced picture apart".to_owned(),
        ));
    }
    let pixels = u64::from(pix.width) * u64::from(pix.height);
    if pixels == 0 || pixels > u64::from(options.max_pixels) {
        return Err(SourceError::Size {
            name: path.display().to_string(),
            width: pix.width.into(),
            height: pix.height.into(),
            max_pixels: options.max_pixels,
        });
    }
    pixels::layout(format, &pix).map_err(not)?;
    // A JPEG's colours are JFIF's, whatever the driver fills in: uvcvideo says sRGB and no range for
    // JPEG and YUYV alike.
    let matrix = match format {
        PixelFormat::Mjpg => Matrix::BT601_FULL,
        _ => colour::matrix(format.samples(), &pix).map_err(not)?,
    };
    Ok((format, pix, matrix))
}

/// The format of ours that comes first in the order of preference.
fn choose(offered: &[u32]) -> Option<PixelFormat> {
    PixelFormat::ALL
        .into_iter()
        .find(|format| offered.contains(&format.fourcc()))
}

fn list(codes: impl IntoIterator<Item = u32>) -> String {
    let names: Vec<_> = codes.into_iter().map(fourcc_name).collect();
    match names.is_empty() {
        true => "no format at all".to_owned(),
        false => names.join(", "),
    }
}

/// A string of the kernel's, up to its NUL.
fn text(bytes: &[u8]) -> String {
    let length = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..length).unwrap_or_default()).into_owned()
}

/// Finds frames that the driver never delivered by the holes in its numbering.
#[derive(Debug, Default)]
struct Gaps {
    last: Option<u32>,
}

impl Gaps {
    /// Frames missing between the previous frame and the one numbered `sequence`.
    fn before(&mut self, sequence: u32) -> u64 {
        let missing = match self.last.replace(sequence) {
            // The first frame's number is where the camera happens to stand.
            None => 0,
            Some(last) => sequence.wrapping_sub(last).wrapping_sub(1),
        };
        // The number wraps; one that stands still or goes back (some drivers) is no loss.
        if missing > u32::MAX / 2 {
            0
        } else {
            missing.into()
        }
    }
}

#[cfg(test)]
mod tests;
