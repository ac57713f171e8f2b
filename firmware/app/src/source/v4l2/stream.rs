//! Buffers shared with the camera's driver: mapped once, filled by the camera, handed back after use.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::super::error::SourceError;
use super::abi;

/// Four: one being filled, one full, one being read, one to spare.
const BUFFERS: u32 = 4;

/// One buffer of the driver's, mapped for reading.
struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: a mapping belongs to the process, not to a thread, and `Mapping` shares it with nobody.
unsafe impl Send for Mapping {}

impl Mapping {
    fn new(fd: BorrowedFd<'_>, offset: u32, length: usize) -> Result<Self, Errno> {
        // SAFETY: a fresh mapping at an address of the kernel's choice touches no memory of ours.
        let start = unsafe {
            mmap(
                std::ptr::null_mut(),
                length,
                ProtFlags::READ,
                MapFlags::SHARED,
                fd,
                offset.into(),
            )
        }?;
        let start = NonNull::new(start.cast()).ok_or(Errno::NOMEM)?;
        Ok(Self { start, length })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `start` and `length` are a mapping that `new` made, and no slice of it is left:
        // they borrow the `Stream` that owns this. Failing is impossible for such a range.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
    }
}

/// What a filled buffer is.
pub(super) struct Filled {
    pub(super) index: u32,
    /// The driver's number of the frame.
    pub(super) sequence: u32,
    /// Bytes that hold data.
    pub(super) bytes: usize,
    /// The driver found the data damaged.
    pub(super) damaged: bool,
}

/// A capture that runs until it is dropped.
pub(super) struct Stream {
    // Unmapped before the device is closed: fields drop in this order.
    mappings: Vec<Mapping>,
    device: File,
}

impl Stream {
    /// Maps buffers, queues all of them and starts the camera, whose format is set already.
    pub(super) fn start(device: File, path: &Path) -> Result<Self, SourceError> {
        let failed = |call| move |errno| camera_error(path, call, errno);
        let fd = device.as_fd();
        let count = abi::reqbufs(fd, BUFFERS).map_err(failed("VIDIOC_REQBUFS"))?;
        if count < 2 {
            return Err(failed("VIDIOC_REQBUFS")(Errno::NOMEM));
        }
        let mut mappings = Vec::new();
        for index in 0..count {
            let buffer = abi::querybuf(fd, index).map_err(failed("VIDIOC_QUERYBUF"))?;
            let mapping = Mapping::new(fd, buffer.offset, buffer.length as usize);
            mappings.push(mapping.map_err(failed("mmap"))?);
            abi::qbuf(fd, index).map_err(failed("VIDIOC_QBUF"))?;
        }
        abi::streamon(fd).map_err(failed("VIDIOC_STREAMON"))?;
        Ok(Self { mappings, device })
    }

    /// Waits for a filled buffer and takes it.
    ///
    /// # Errors
    /// [`SourceError::Timeout`] if none comes for as long as `timeout`; what the driver says otherwise.
    pub(super) fn take(&self, path: &Path, timeout: Duration) -> Result<Filled, SourceError> {
        let started = Instant::now();
        loop {
            if let Some(filled) = self.try_take(path)? {
                return Ok(filled);
            }
            let left = timeout.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Err(SourceError::Timeout {
                    path: path.to_owned(),
                    after: timeout,
                });
            }
            let mut fds = [PollFd::new(&self.device, PollFlags::IN)];
            // A configured timeout may be any number of seconds; poll's may not.
            let left = Timespec::try_from(left.min(Duration::from_secs(3600)))
                .map_err(|_| camera_error(path, "poll", Errno::INVAL))?;
            match poll(&mut fds, Some(&left)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(camera_error(path, "poll", errno)),
            }
            let [fd] = &fds;
            // A camera that is gone reports an error and never a buffer; asking once more tells why.
            if fd
                .revents()
                .intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL)
            {
                return match self.try_take(path)? {
                    Some(filled) => Ok(filled),
                    None => Err(camera_error(path, "poll", Errno::IO)),
                };
            }
        }
    }

    /// Takes a filled buffer if there is one.
    pub(super) fn try_take(&self, path: &Path) -> Result<Option<Filled>, SourceError> {
        match abi::dqbuf(self.device.as_fd()) {
            Ok(buffer) => Ok(Some(Filled {
                index: buffer.index,
                sequence: buffer.sequence,
                bytes: buffer.bytesused as usize,
                damaged: buffer.flags & abi::BUF_FLAG_ERROR != 0,
            })),
            Err(Errno::AGAIN) => Ok(None),
            Err(errno) => Err(camera_error(path, "VIDIOC_DQBUF", errno)),
        }
    }

    /// The data of a buffer that was taken and not given back.
    pub(super) fn data(&self, filled: &Filled) -> &[u8] {
        let Some(mapping) = self.mappings.get(filled.index as usize) else {
            return &[];
        };
        // SAFETY: the mapping is `length` bytes, readable, and lives as long as `self`. The driver does
        // not write to a buffer between DQBUF and QBUF: `give_back` consumes the `Filled` that was taken,
        // and a `Filled` is made by `try_take` alone.
        unsafe {
            std::slice::from_raw_parts(mapping.start.as_ptr(), filled.bytes.min(mapping.length))
        }
    }

    /// Returns a buffer to the camera.
    pub(super) fn give_back(&mut self, filled: Filled, path: &Path) -> Result<(), SourceError> {
        abi::qbuf(self.device.as_fd(), filled.index)
            .map_err(|e| camera_error(path, "VIDIOC_QBUF", e))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // It may be gone; there is nobody left to tell.
        let _ = abi::streamoff(self.device.as_fd());
    }
}

/// What a failed call means.
pub(super) fn camera_error(path: &Path, call: &'static str, errno: Errno) -> SourceError {
    let path = path.to_owned();
    match errno {
        Errno::NODEV | Errno::NXIO => SourceError::Disconnected { path },
        errno => SourceError::Camera {
            path,
            call,
            source: errno.into(),
        },
    }
}
