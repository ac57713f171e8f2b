//! Where annotated pictures go: the trait every sink implements, and `open`, which picks one from a spec.

mod error;
mod framebuffer;
mod png_dir;
mod target;

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

pub use error::SinkError;
pub use framebuffer::FramebufferSink;
pub use png_dir::PngDirSink;
pub use target::FrameSink;
use target::check;

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

/// Opens the sink that `spec` names:
///
/// | spec | sink |
/// |---|---|
/// | `none` | nothing is shown |
/// | a character device, such as `/dev/fb0` | a framebuffer |
/// | anything else | a directory for PNG files, created if need be |
///
/// # Errors
/// [`SinkError::UnknownSpec`] for an empty spec, and whatever opening finds.
pub fn open(spec: &str) -> Result<Box<dyn FrameSink>, SinkError> {
    let path = Path::new(spec);
    let device = fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_char_device());
    match spec {
        "none" => Ok(Box::new(NullSink)),
        "" => Err(SinkError::UnknownSpec {
            spec: spec.to_owned(),
        }),
        // A framebuffer that is not there is an error, not a directory to be created.
        _ if device || spec.starts_with("/dev/fb") => Ok(Box::new(FramebufferSink::open(path)?)),
        _ => Ok(Box::new(PngDirSink::new(path)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spec_decides() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("new/out");
        let mut sink = open(out.to_str().unwrap()).unwrap();
        assert!(sink.describe().starts_with("PNG files in"));
        sink.show(&[1, 2, 3], 1, 1, "x").unwrap();
        let mut none = open("none").unwrap();
        none.show(&[1, 2, 3], 1, 1, "x").unwrap();
        assert!(matches!(
            none.show(&[1, 2], 1, 1, "x"),
            Err(SinkError::Picture { .. })
        ));
        assert!(matches!(open(""), Err(SinkError::UnknownSpec { .. })));
        assert!(matches!(
            open("/dev/null"),
            Err(SinkError::Framebuffer { .. })
        ));
        assert!(matches!(open("/dev/fb987"), Err(SinkError::Open { .. })));
        assert!(!Path::new("/dev/fb987").exists());
    }
}
