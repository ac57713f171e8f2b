//! The trait of everything that shows or keeps pictures.

use super::error::SinkError;

/// Something that shows or keeps pictures.
pub trait FrameSink: Send {
    /// Shows one picture: `rgb` is `height * width * 3` bytes, rows from the top. `label` is the
    /// verdict's; it comes from a model file and may hold anything.
    ///
    /// # Errors
    /// See [`SinkError`]. The sink stays usable: the next picture may succeed.
    fn show(&mut self, rgb: &[u8], width: u32, height: u32, label: &str) -> Result<(), SinkError>;

    /// One line for the log.
    fn describe(&self) -> String;

    /// The size in pixels at which pictures are shown as they are. Others are fitted, and their
    /// small type suffers. `None` where any size will do.
    fn size(&self) -> Option<(u32, u32)> {
        None
    }
}

/// Holds a picture's length against its size.
pub(super) fn check(rgb: &[u8], width: u32, height: u32) -> Result<(), SinkError> {
    let expected = u64::from(width) * u64::from(height) * 3;
    if expected == 0 || rgb.len() as u64 != expected {
        return Err(SinkError::Picture {
            width,
            height,
            bytes: rgb.len(),
        });
    }
    Ok(())
}
