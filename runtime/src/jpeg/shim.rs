//! The Rust side of `shim.c`: a safe handle on one picture's decoder.

use std::ffi::{CStr, c_char, c_int, c_long};
use std::marker::PhantomData;
use std::ptr::NonNull;

// The shim calls the libjpeg in there; naming it links it.
use mozjpeg_sys as _;

use super::error::JpegError;

/// Most memory for the coefficients of a picture in several scans: what 48 megapixels of progressive
/// JPEG without subsampling take, and a little more.
const MAX_MEMORY: c_long = 320 << 20;

/// `struct igpt_jpeg`, which only C looks into.
#[repr(C)]
struct Raw {
    opaque: [u8; 0],
}

/// `struct igpt_jpeg_header`.
#[repr(C)]
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Header {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) components: u32,
}

unsafe extern "C" {
    fn igpt_jpeg_new(bytes: *const u8, length: usize, max_memory: c_long) -> *mut Raw;
    fn igpt_jpeg_free(raw: *mut Raw);
    fn igpt_jpeg_message(raw: *const Raw) -> *const c_char;
    fn igpt_jpeg_read_header(raw: *mut Raw, header: *mut Header) -> c_int;
    fn igpt_jpeg_start(raw: *mut Raw) -> c_int;
    fn igpt_jpeg_read_row(raw: *mut Raw, row: *mut u8) -> c_int;
    fn igpt_jpeg_end(raw: *mut Raw, ended: *mut c_int) -> c_int;
}

/// One JPEG, its headers read.
pub(super) struct Picture<'a> {
    raw: NonNull<Raw>,
    pub(super) header: Header,
    /// The decoder reads from there.
    bytes: PhantomData<&'a [u8]>,
}

impl<'a> Picture<'a> {
    pub(super) fn open(jpeg: &'a [u8]) -> Result<Self, JpegError> {
        // SAFETY: the slice outlives the decoder, by this type's lifetime.
        let raw = unsafe { igpt_jpeg_new(jpeg.as_ptr(), jpeg.len(), MAX_MEMORY) };
        let mut picture = Self {
            raw: NonNull::new(raw).ok_or(JpegError::Memory)?,
            header: Header::default(),
            bytes: PhantomData,
        };
        // SAFETY: `raw` is live, and the header is of the type that C declares.
        let status = unsafe { igpt_jpeg_read_header(picture.raw.as_ptr(), &mut picture.header) };
        picture.check(status)?;
        Ok(picture)
    }

    /// The rows, for whoever then reads every one of them.
    pub(super) fn start(self) -> Result<Rows<'a>, JpegError> {
        // SAFETY: `raw` is live, and its header was read without an error.
        let status = unsafe { igpt_jpeg_start(self.raw.as_ptr()) };
        self.check(status)?;
        let bytes = match self.header.components {
            4 => 4,
            _ => 3,
        };
        Ok(Rows {
            row_bytes: bytes * self.header.width as usize,
            left: self.header.height,
            picture: self,
        })
    }

    fn check(&self, status: c_int) -> Result<(), JpegError> {
        let message = || {
            // SAFETY: `raw` is live, and the message a string that ends within it.
            let message = unsafe { CStr::from_ptr(igpt_jpeg_message(self.raw.as_ptr())) };
            message.to_string_lossy().into_owned()
        };
        match status {
            0 => Ok(()),
            2 => Err(JpegError::Truncated),
            3 => Err(JpegError::Memory),
            _ => Err(JpegError::Broken(message())),
        }
    }
}

impl Drop for Picture<'_> {
    fn drop(&mut self) {
        // SAFETY: `raw` came from igpt_jpeg_new and is freed only here.
        unsafe { igpt_jpeg_free(self.raw.as_ptr()) };
    }
}

/// A picture being decoded, row by row from the top.
pub(super) struct Rows<'a> {
    picture: Picture<'a>,
    row_bytes: usize,
    left: u32,
}

impl Rows<'_> {
    /// Decodes the next row into `row`, which is as long as a row is.
    pub(super) fn read(&mut self, row: &mut [u8]) -> Result<(), JpegError> {
        assert!(row.len() == self.row_bytes && self.left > 0);
        self.left -= 1;
        // SAFETY: the decoder was started, a row is left, and `row` has room for it.
        let status = unsafe { igpt_jpeg_read_row(self.picture.raw.as_ptr(), row.as_mut_ptr()) };
        self.picture.check(status)
    }

    /// After the last row: whether the data had an end-of-image marker. Without one the picture is known to be
    /// complete all the same.
    pub(super) fn finish(self) -> Result<bool, JpegError> {
        assert!(self.left == 0);
        let mut ended = 0;
        // SAFETY: every row was read without an error.
        let status = unsafe { igpt_jpeg_end(self.picture.raw.as_ptr(), &mut ended) };
        self.picture.check(status)?;
        Ok(ended != 0)
    }
}
