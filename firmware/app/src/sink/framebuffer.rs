//! A Linux framebuffer such as /dev/fb0: the picture centred on the screen, enlarged by a whole factor
//! or reduced to fit, written with `pwrite`.

mod abi;
mod screen;

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::error::SinkError;
use super::target::{FrameSink, check};
use screen::Screen;

/// The device number that Linux gives to framebuffers.
const FB_MAJOR: u32 = 29;

/// Draws on a framebuffer.
#[derive(Debug)]
pub struct FramebufferSink {
    canvas: Canvas<File>,
    path: PathBuf,
    name: String,
}

impl FramebufferSink {
    /// Opens the framebuffer at `path` and blanks it.
    ///
    /// # Errors
    /// [`SinkError::Open`] if it cannot be opened, [`SinkError::Framebuffer`] if it is none or its
    /// pixels are of a kind this sink does not draw, [`SinkError::Write`].
    pub fn open(path: &Path) -> Result<Self, SinkError> {
        let open = |errno: Errno| SinkError::Open {
            path: path.to_owned(),
            source: errno.into(),
        };
        let not = |reason| SinkError::Framebuffer {
            path: path.to_owned(),
            reason,
        };
        // Asked before it is opened: opening another device may have effects.
        let number = rustix::fs::stat(path).map_err(open)?.st_rdev;
        let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
        if major != FB_MAJOR {
            return Err(not(format!(
                "not a framebuffer: its device number is {major}:{minor}, expected {FB_MAJOR}:N"
            )));
        }
        let device =
            rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).map_err(open)?;
        let asked = |call| move |errno: Errno| not(format!("{call} failed: {errno}"));
        let var = abi::var_screen_info(device.as_fd()).map_err(asked("FBIOGET_VSCREENINFO"))?;
        let fix = abi::fix_screen_info(device.as_fd()).map_err(asked("FBIOGET_FSCREENINFO"))?;
        let id = fix.id.split(|&b| b == 0).next().unwrap_or_default();
        let name = format!(
            "{}, {}x{} pixels of {} bits",
            String::from_utf8_lossy(id),
            var.xres,
            var.yres,
            var.bits_per_pixel
        );
        let screen = Screen::new(&var, &fix).map_err(not)?;
        let canvas = Canvas::new(screen, File::from(device));
        Ok(Self {
            canvas,
            path: path.to_owned(),
            name,
        })
    }
}

impl FrameSink for FramebufferSink {
    fn show(&mut self, rgb: &[u8], width: u32, height: u32, _label: &str) -> Result<(), SinkError> {
        check(rgb, width, height)?;
        let drawn = self.canvas.draw(rgb, width, height);
        drawn.map_err(|source| SinkError::Write {
            path: self.path.clone(),
            source,
        })
    }

    fn describe(&self) -> String {
        format!("{}: {}", self.path.display(), self.name)
    }

    fn size(&self) -> Option<(u32, u32)> {
        // They came as 32-bit numbers.
        Some((
            self.canvas.screen.width as u32,
            self.canvas.screen.height as u32,
        ))
    }
}

/// A screen on something that can be written at an offset.
#[derive(Debug)]
struct Canvas<T> {
    screen: Screen,
    target: T,
    rows: Vec<u8>,
    /// The size of the last picture; around it the screen is black.
    last: Option<(u32, u32)>,
}

impl<T: FileExt> Canvas<T> {
    fn new(screen: Screen, target: T) -> Self {
        Self {
            screen,
            target,
            rows: Vec::new(),
            last: None,
        }
    }

    fn draw(&mut self, rgb: &[u8], width: u32, height: u32) -> std::io::Result<()> {
        if self.last != Some((width, height)) {
            // Whatever another picture, or the console, left around this one.
            self.last = None;
            self.write_at(0, &self.screen.black_row().repeat(self.screen.height))?;
        }
        let mut rows = std::mem::take(&mut self.rows);
        let first_row = self
            .screen
            .compose(rgb, width as usize, height as usize, &mut rows);
        let written = self.write_at(first_row, &rows);
        self.rows = rows;
        written?;
        self.last = Some((width, height));
        Ok(())
    }

    /// Writes whole rows from the given one.
    fn write_at(&self, row: usize, bytes: &[u8]) -> std::io::Result<()> {
        let offset = self.screen.start + row as u64 * self.screen.stride as u64;
        self.target.write_all_at(bytes, offset)
    }
}

#[cfg(test)]
mod tests {
    use super::screen::tests::info;
    use super::*;

    #[test]
    fn a_picture_lands_where_the_screen_begins_and_clears_what_was_there() {
        let (var, fix) = info(8, 6, 32);
        let screen = Screen::new(&var, &fix).unwrap();
        let stride = screen.stride;
        let file = tempfile::tempfile().unwrap();
        let before = vec![0x77; stride * 8];
        file.write_all_at(&before, 0).unwrap();
        let mut canvas = Canvas::new(screen, file.try_clone().unwrap());
        let red = |count: usize| [255, 0, 0].repeat(count);
        let lit = || {
            let mut memory = vec![0; stride * 8];
            file.read_exact_at(&mut memory, 0).unwrap();
            assert_eq!(file.metadata().unwrap().len(), memory.len() as u64);
            assert_eq!(
                memory[..2 * stride],
                before[..2 * stride],
                "above the visible part"
            );
            let rows = memory[2 * stride..].chunks_exact(stride);
            rows.map(|row| {
                row.chunks_exact(4)
                    .take(8)
                    .filter(|p| *p == [0, 0, 255, 0])
                    .count()
            })
            .collect::<Vec<_>>()
        };
        canvas.draw(&red(48), 8, 6).unwrap();
        assert_eq!(lit(), [8; 6]);
        canvas.draw(&red(8), 4, 2).unwrap();
        assert_eq!(lit(), [0, 8, 8, 8, 8, 0]);
        canvas.draw(&red(15), 3, 5).unwrap();
        assert_eq!(lit(), [3, 3, 3, 3, 3, 0]);
    }

    #[test]
    fn what_is_no_framebuffer_is_left_alone_and_named() {
        let error = FramebufferSink::open(Path::new("/dev/null")).unwrap_err();
        assert!(matches!(error, SinkError::Framebuffer { .. }), "{error}");
        assert!(
            error
                .to_string()
                .starts_with("/dev/null: not a framebuffer"),
            "{error}"
        );
        let error = FramebufferSink::open(Path::new("/dev/fb987")).unwrap_err();
        assert!(matches!(error, SinkError::Open { .. }), "{error}");
        assert!(error.to_string().starts_with("/dev/fb987"), "{error}");
    }
}
