//! The part of linux/videodev2.h that capturing needs: structures, numbers and the calls themselves.
//! Layouts are those of 64-bit kernels.

use std::ffi::c_int;
use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use rustix::ioctl::{self, Opcode, opcode};

pub(super) const BUF_TYPE_VIDEO_CAPTURE: u32 = 1;
pub(super) const MEMORY_MMAP: u32 = 1;

pub(super) const CAP_VIDEO_CAPTURE: u32 = 0x0000_0001;
pub(super) const CAP_VIDEO_CAPTURE_MPLANE: u32 = 0x0000_1000;
pub(super) const CAP_STREAMING: u32 = 0x0400_0000;
pub(super) const CAP_DEVICE_CAPS: u32 = 0x8000_0000;

pub(super) const BUF_FLAG_ERROR: u32 = 0x0000_0040;

pub(super) const FIELD_NONE: u32 = 1;
pub(super) const FIELD_SEQ_TB: u32 = 5;
pub(super) const FIELD_SEQ_BT: u32 = 6;
pub(super) const FIELD_ALTERNATE: u32 = 7;

/// In `PixFormat::private`: the fields behind it are filled in.
pub(super) const PIX_FMT_PRIV_MAGIC: u32 = 0xfeed_cafe;

pub(super) const COLORSPACE_DEFAULT: u32 = 0;
pub(super) const COLORSPACE_SMPTE240M: u32 = 2;
pub(super) const COLORSPACE_REC709: u32 = 3;
pub(super) const COLORSPACE_JPEG: u32 = 7;
pub(super) const COLORSPACE_SRGB: u32 = 8;
pub(super) const COLORSPACE_BT2020: u32 = 10;
pub(super) const COLORSPACE_DCI_P3: u32 = 12;

pub(super) const YCBCR_ENC_DEFAULT: u32 = 0;
pub(super) const YCBCR_ENC_601: u32 = 1;
pub(super) const YCBCR_ENC_709: u32 = 2;
pub(super) const YCBCR_ENC_XV601: u32 = 3;
pub(super) const YCBCR_ENC_XV709: u32 = 4;
pub(super) const YCBCR_ENC_SYCC: u32 = 5;
pub(super) const YCBCR_ENC_BT2020: u32 = 6;
pub(super) const YCBCR_ENC_BT2020_CONST_LUM: u32 = 7;
pub(super) const YCBCR_ENC_SMPTE240M: u32 = 8;

pub(super) const QUANTIZATION_DEFAULT: u32 = 0;
pub(super) const QUANTIZATION_FULL_RANGE: u32 = 1;
pub(super) const QUANTIZATION_LIM_RANGE: u32 = 2;

/// struct v4l2_capability
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct Capability {
    pub(super) driver: [u8; 16],
    pub(super) card: [u8; 32],
    pub(super) bus_info: [u8; 32],
    pub(super) version: u32,
    /// Of the whole physical device.
    pub(super) capabilities: u32,
    /// Of this node, where `CAP_DEVICE_CAPS` is set.
    pub(super) device_caps: u32,
    reserved: [u32; 3],
}

/// struct v4l2_fmtdesc
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct FormatDescription {
    pub(super) index: u32,
    pub(super) kind: u32,
    pub(super) flags: u32,
    pub(super) description: [u8; 32],
    pub(super) pixelformat: u32,
    pub(super) mbus_code: u32,
    pub(super) reserved: [u32; 3],
}

/// struct v4l2_pix_format
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PixFormat {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) pixelformat: u32,
    pub(super) field: u32,
    pub(super) bytesperline: u32,
    pub(super) sizeimage: u32,
    pub(super) colorspace: u32,
    pub(super) private: u32,
    pub(super) flags: u32,
    pub(super) ycbcr_enc: u32,
    pub(super) quantization: u32,
    pub(super) xfer_func: u32,
}

/// struct v4l2_format: a union of 200 bytes, aligned for the pointers in other members.
#[repr(C, align(8))]
#[derive(Debug, Clone, Copy)]
pub(super) struct Format {
    pub(super) kind: u32,
    padding: u32,
    pub(super) pix: PixFormat,
    rest: [u8; 152],
}

impl Format {
    pub(super) fn capture(pix: PixFormat) -> Self {
        Self {
            kind: BUF_TYPE_VIDEO_CAPTURE,
            padding: 0,
            pix,
            rest: [0; 152],
        }
    }
}

/// struct v4l2_requestbuffers
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestBuffers {
    pub(super) count: u32,
    pub(super) kind: u32,
    pub(super) memory: u32,
    pub(super) capabilities: u32,
    pub(super) flags: u8,
    pub(super) reserved: [u8; 3],
}

/// struct v4l2_timecode
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Timecode {
    kind: u32,
    flags: u32,
    rest: [u8; 8],
}

/// struct v4l2_buffer
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Buffer {
    pub(super) index: u32,
    pub(super) kind: u32,
    pub(super) bytesused: u32,
    pub(super) flags: u32,
    pub(super) field: u32,
    padding: u32,
    timestamp: [i64; 2],
    timecode: Timecode,
    pub(super) sequence: u32,
    pub(super) memory: u32,
    /// The union `m`: for `MEMORY_MMAP` the offset to map, in its first 32 bits.
    pub(super) offset: u32,
    m_rest: u32,
    pub(super) length: u32,
    reserved: [u32; 2],
    tail: u32,
}

impl Buffer {
    pub(super) fn mmap(index: u32) -> Self {
        Self {
            index,
            kind: BUF_TYPE_VIDEO_CAPTURE,
            memory: MEMORY_MMAP,
            ..Self::default()
        }
    }
}

const _: () = {
    use std::mem::{offset_of, size_of};
    assert!(size_of::<Capability>() == 104);
    assert!(size_of::<FormatDescription>() == 64);
    assert!(size_of::<PixFormat>() == 48);
    assert!(size_of::<Format>() == 208 && offset_of!(Format, pix) == 8);
    assert!(size_of::<RequestBuffers>() == 20);
    assert!(size_of::<Buffer>() == 88);
    assert!(offset_of!(Buffer, timestamp) == 24 && offset_of!(Buffer, sequence) == 56);
    assert!(offset_of!(Buffer, offset) == 64 && offset_of!(Buffer, length) == 72);
};

const QUERYCAP: Opcode = opcode::read::<Capability>(b'V', 0);
const ENUM_FMT: Opcode = opcode::read_write::<FormatDescription>(b'V', 2);
const S_FMT: Opcode = opcode::read_write::<Format>(b'V', 5);
const REQBUFS: Opcode = opcode::read_write::<RequestBuffers>(b'V', 8);
const QUERYBUF: Opcode = opcode::read_write::<Buffer>(b'V', 9);
const QBUF: Opcode = opcode::read_write::<Buffer>(b'V', 15);
const DQBUF: Opcode = opcode::read_write::<Buffer>(b'V', 17);
const STREAMON: Opcode = opcode::write::<c_int>(b'V', 18);
const STREAMOFF: Opcode = opcode::write::<c_int>(b'V', 19);

/// What this node is and can do.
pub(super) fn querycap(fd: BorrowedFd<'_>) -> Result<Capability, Errno> {
    // SAFETY: the kernel fills a v4l2_capability, which `Capability` mirrors (asserted above); every
    // bit pattern is a valid one. A device that is no V4L2 one answers ENOTTY.
    unsafe { ioctl::ioctl(fd, ioctl::Getter::<QUERYCAP, Capability>::new()) }
}

/// The `index`th format that the camera offers; `EINVAL` past the last.
pub(super) fn enum_fmt(fd: BorrowedFd<'_>, index: u32) -> Result<FormatDescription, Errno> {
    let mut description = FormatDescription {
        index,
        kind: BUF_TYPE_VIDEO_CAPTURE,
        flags: 0,
        description: [0; 32],
        pixelformat: 0,
        mbus_code: 0,
        reserved: [0; 3],
    };
    // SAFETY: ENUM_FMT reads and fills a v4l2_fmtdesc, which `FormatDescription` mirrors, and keeps
    // no pointer to it.
    unsafe { update::<ENUM_FMT, _>(fd, &mut description) }?;
    Ok(description)
}

/// Asks for a format; `format` then holds what the camera chose.
pub(super) fn s_fmt(fd: BorrowedFd<'_>, format: &mut Format) -> Result<(), Errno> {
    // SAFETY: S_FMT reads and fills a v4l2_format, which `Format` mirrors; the member of its union
    // for BUF_TYPE_VIDEO_CAPTURE (`Format::capture` sets it) holds no pointers.
    unsafe { update::<S_FMT, _>(fd, format) }
}

/// Asks for `count` buffers to map, or frees them with 0. How many there are now.
pub(super) fn reqbufs(fd: BorrowedFd<'_>, count: u32) -> Result<u32, Errno> {
    let mut request = RequestBuffers {
        count,
        kind: BUF_TYPE_VIDEO_CAPTURE,
        memory: MEMORY_MMAP,
        capabilities: 0,
        flags: 0,
        reserved: [0; 3],
    };
    // SAFETY: REQBUFS reads and fills a v4l2_requestbuffers, which `RequestBuffers` mirrors. Mapped
    // buffers stay valid when freed: the kernel refuses (EBUSY) or keeps the memory until munmap.
    unsafe { update::<REQBUFS, _>(fd, &mut request) }?;
    Ok(request.count)
}

/// Where the `index`th buffer can be mapped.
pub(super) fn querybuf(fd: BorrowedFd<'_>, index: u32) -> Result<Buffer, Errno> {
    let mut buffer = Buffer::mmap(index);
    // SAFETY: QUERYBUF reads and fills a v4l2_buffer, which `Buffer` mirrors; with MEMORY_MMAP its
    // union holds an offset, not a pointer.
    unsafe { update::<QUERYBUF, _>(fd, &mut buffer) }?;
    Ok(buffer)
}

/// Gives the `index`th buffer to the camera.
pub(super) fn qbuf(fd: BorrowedFd<'_>, index: u32) -> Result<(), Errno> {
    let mut buffer = Buffer::mmap(index);
    // SAFETY: as for QUERYBUF. The camera then writes the mapped memory; `Stream` hands out no
    // reference into a buffer that is queued.
    unsafe { update::<QBUF, _>(fd, &mut buffer) }
}

/// Takes the oldest filled buffer; `EAGAIN` if there is none.
pub(super) fn dqbuf(fd: BorrowedFd<'_>) -> Result<Buffer, Errno> {
    let mut buffer = Buffer::mmap(0);
    // SAFETY: as for QUERYBUF.
    unsafe { update::<DQBUF, _>(fd, &mut buffer) }?;
    Ok(buffer)
}

/// Starts capturing.
pub(super) fn streamon(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: STREAMON reads an int, the buffer type.
    unsafe {
        ioctl::ioctl(
            fd,
            ioctl::Setter::<STREAMON, c_int>::new(BUF_TYPE_VIDEO_CAPTURE as c_int),
        )
    }
}

/// Stops capturing and takes every buffer back.
pub(super) fn streamoff(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: STREAMOFF reads an int, the buffer type.
    unsafe {
        ioctl::ioctl(
            fd,
            ioctl::Setter::<STREAMOFF, c_int>::new(BUF_TYPE_VIDEO_CAPTURE as c_int),
        )
    }
}

/// A call that reads and writes `value`; once more for every signal that interrupts it.
///
/// # Safety
/// `T` must be the structure that the call `OPCODE` takes, with every pointer in it valid.
unsafe fn update<const OPCODE: Opcode, T>(fd: BorrowedFd<'_>, value: &mut T) -> Result<(), Errno> {
    loop {
        // SAFETY: the caller's promise.
        match unsafe { ioctl::ioctl(fd, ioctl::Updater::<OPCODE, T>::new(value)) } {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_kernels() {
        for (ours, kernels) in [
            (QUERYCAP, 0x8068_5600),
            (ENUM_FMT, 0xc040_5602),
            (S_FMT, 0xc0d0_5605),
            (REQBUFS, 0xc014_5608),
            (QUERYBUF, 0xc058_5609),
            (QBUF, 0xc058_560f),
            (DQBUF, 0xc058_5611),
            (STREAMON, 0x4004_5612),
            (STREAMOFF, 0x4004_5613),
        ] {
            assert_eq!(ours, kernels, "{ours:#x}");
        }
    }
}
