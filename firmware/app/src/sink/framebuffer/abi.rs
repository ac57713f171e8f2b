//! The part of linux/fb.h that drawing needs. Layouts are those of 64-bit kernels.

use std::ffi::c_ulong;
use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use rustix::ioctl::{self, Opcode};

pub(super) const TYPE_PACKED_PIXELS: u32 = 0;
pub(super) const VISUAL_TRUECOLOR: u32 = 2;
pub(super) const VISUAL_DIRECTCOLOR: u32 = 4;

/// struct fb_bitfield: where one channel is in a pixel.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bitfield {
    pub(super) offset: u32,
    pub(super) length: u32,
    pub(super) msb_right: u32,
}

/// struct fb_var_screeninfo
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct VarScreenInfo {
    pub(super) xres: u32,
    pub(super) yres: u32,
    pub(super) xres_virtual: u32,
    pub(super) yres_virtual: u32,
    pub(super) xoffset: u32,
    pub(super) yoffset: u32,
    pub(super) bits_per_pixel: u32,
    pub(super) grayscale: u32,
    pub(super) red: Bitfield,
    pub(super) green: Bitfield,
    pub(super) blue: Bitfield,
    pub(super) transp: Bitfield,
    pub(super) rest: [u32; 20],
}

/// struct fb_fix_screeninfo
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FixScreenInfo {
    pub(super) id: [u8; 16],
    pub(super) smem_start: c_ulong,
    pub(super) smem_len: u32,
    pub(super) kind: u32,
    pub(super) type_aux: u32,
    pub(super) visual: u32,
    pub(super) steps: [u16; 3],
    pub(super) line_length: u32,
    pub(super) mmio_start: c_ulong,
    pub(super) mmio_len: u32,
    pub(super) accel: u32,
    pub(super) capabilities: u16,
    pub(super) reserved: [u16; 2],
}

#[cfg(target_pointer_width = "64")]
const _: () = {
    use std::mem::{offset_of, size_of};
    assert!(size_of::<VarScreenInfo>() == 160 && offset_of!(VarScreenInfo, red) == 32);
    assert!(size_of::<FixScreenInfo>() == 80 && offset_of!(FixScreenInfo, line_length) == 48);
};

const FBIOGET_VSCREENINFO: Opcode = 0x4600;
const FBIOGET_FSCREENINFO: Opcode = 0x4602;

/// Resolution and pixel layout.
pub(super) fn var_screen_info(fd: BorrowedFd<'_>) -> Result<VarScreenInfo, Errno> {
    // SAFETY: the kernel fills an fb_var_screeninfo, which `VarScreenInfo` mirrors (asserted above);
    // every bit pattern is a valid one. The caller made sure that the device is a framebuffer.
    unsafe {
        ioctl::ioctl(
            fd,
            ioctl::Getter::<FBIOGET_VSCREENINFO, VarScreenInfo>::new(),
        )
    }
}

/// Memory layout.
pub(super) fn fix_screen_info(fd: BorrowedFd<'_>) -> Result<FixScreenInfo, Errno> {
    // SAFETY: as above, with fb_fix_screeninfo.
    unsafe {
        ioctl::ioctl(
            fd,
            ioctl::Getter::<FBIOGET_FSCREENINFO, FixScreenInfo>::new(),
        )
    }
}
