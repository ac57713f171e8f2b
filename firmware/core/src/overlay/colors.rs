//! The colours of the overlay.

use embedded_graphics::pixelcolor::Rgb888;

pub(super) const BACKGROUND: Rgb888 = Rgb888::new(11, 13, 18);
pub(super) const PANEL: Rgb888 = Rgb888::new(22, 26, 35);
pub(super) const TRACK: Rgb888 = Rgb888::new(42, 48, 62);
pub(super) const BRIGHT: Rgb888 = Rgb888::new(240, 244, 250);
pub(super) const MUTED: Rgb888 = Rgb888::new(146, 156, 174);
pub(super) const QUIET_BAR: Rgb888 = Rgb888::new(92, 104, 128);
pub(super) const SURE: Rgb888 = Rgb888::new(64, 212, 168);
pub(super) const UNSURE: Rgb888 = Rgb888::new(245, 178, 66);
pub(super) const LOST: Rgb888 = Rgb888::new(244, 96, 90);
