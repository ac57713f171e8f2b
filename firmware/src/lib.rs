//! igpt-cam: classifies what a camera sees with ImageGPT, on the device.

#[cfg(feature = "linux")]
pub mod linux;
