//! Where the log's bytes leave the machine: the board's serial port, or a PC's file.

#[cfg(not(target_os = "none"))]
pub(crate) use file::{open, send};
#[cfg(target_os = "none")]
pub(crate) use uart::send;

/// The PL011 of QEMU's `virt`. A real one would want its baud rate first.
#[cfg(all(target_os = "none", target_arch = "aarch64"))]
mod uart {
    const DATA: *mut u32 = 0x0900_0000 as *mut u32;
    const FLAGS: *const u32 = 0x0900_0018 as *const u32;
    const TRANSMIT_FULL: u32 = 1 << 5;

    pub(crate) fn send(bytes: &[u8]) {
        for byte in bytes {
            // SAFETY: the registers of a device that this machine has at these addresses, mapped as device memory.
            unsafe {
                while FLAGS.read_volatile() & TRANSMIT_FULL != 0 {}
                DATA.write_volatile(u32::from(*byte));
            }
        }
    }
}

/// The first CMSDK UART of the MPS2 boards.
#[cfg(all(target_os = "none", target_arch = "arm"))]
mod uart {
    const DATA: *mut u32 = 0x4000_4000 as *mut u32;
    const STATE: *const u32 = 0x4000_4004 as *const u32;
    const CONTROL: *mut u32 = 0x4000_4008 as *mut u32;
    const BAUD_DIVIDER: *mut u32 = 0x4000_4010 as *mut u32;
    const TRANSMIT_FULL: u32 = 1;
    const TRANSMIT_ENABLE: u32 = 1;
    /// The least that the device takes.
    const FASTEST: u32 = 16;

    pub(crate) fn send(bytes: &[u8]) {
        // SAFETY: the registers of a device that this machine has at these addresses; enabling it again does nothing.
        unsafe {
            BAUD_DIVIDER.write_volatile(FASTEST);
            CONTROL.write_volatile(TRANSMIT_ENABLE);
            for byte in bytes {
                while STATE.read_volatile() & TRANSMIT_FULL != 0 {}
                DATA.write_volatile(u32::from(*byte));
            }
        }
    }
}

#[cfg(not(target_os = "none"))]
mod file {
    use std::fs::File;
    use std::io::{self, Write};
    use std::path::Path;
    use std::sync::OnceLock;

    static LOG: OnceLock<File> = OnceLock::new();

    /// Sends go to this file from now on; before, they go nowhere.
    pub(crate) fn open(path: &Path) -> io::Result<()> {
        let file = File::create(path)?;
        // Opened once: `main` does it.
        let _ = LOG.set(file);
        Ok(())
    }

    pub(crate) fn send(bytes: &[u8]) {
        if let Some(mut file) = LOG.get() {
            // A log that ends early does not decode to what the boards sent, and the comparison fails.
            let _ = file.write_all(bytes);
        }
    }
}
