//! Where annotated pictures go: the trait every sink implements, and `open`, which picks one from a spec.

mod error;

pub use error::SinkError;

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

/// Shows nothing.
#[derive(Debug, Default)]
pub struct NullSink;

impl FrameSink for NullSink {
    fn show(&mut self, rgb: &[u8], width: u32, height: u32, _label: &str) -> Result<(), SinkError> {
        check(rgb, width, height)
    }

    fn describe(&self) -> String {
        "none".to_owned()
    }
}

/// Opens the sink that `spec` names: `none`.
///
/// # Errors
/// [`SinkError::UnknownSpec`] for a spec that is none of these, and whatever opening finds.
pub fn open(spec: &str) -> Result<Box<dyn FrameSink>, SinkError> {
    match spec {
        "none" => Ok(Box::new(NullSink)),
        _ => Err(SinkError::UnknownSpec {
            spec: spec.to_owned(),
        }),
    }
}

/// Holds a picture's length against its size.
fn check(rgb: &[u8], width: u32, height: u32) -> Result<(), SinkError> {
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
