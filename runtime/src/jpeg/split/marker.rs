//! JPEG's markers: their codes, and how long the segments are that they begin.

pub(super) const TEM: u8 = 0x01;
const SOF0: u8 = 0xc0;
const SOF2: u8 = 0xc2;
const DHT: u8 = 0xc4;
const SOF15: u8 = 0xcf;
pub(super) const SOI: u8 = 0xd8;
pub(super) const EOI: u8 = 0xd9;
pub(super) const SOS: u8 = 0xda;
const DQT: u8 = 0xdb;
const DNL: u8 = 0xdc;
const DRI: u8 = 0xdd;
const DHP: u8 = 0xde;
const EXP: u8 = 0xdf;
const APP0: u8 = 0xe0;
const APP15: u8 = 0xef;
const COM: u8 = 0xfe;

/// The most that the length of a segment with this code can be; `None` for a code that begins none.
pub(super) fn longest_segment(code: u8) -> Option<usize> {
    Some(match code {
        // Four tables of each of two kinds.
        DHT => 2 + 8 * (1 + 16 + 256),
        // Four tables of two bytes a value.
        DQT => 2 + 4 * (1 + 128),
        SOF0..=SOF15 | DHP => 8 + 3 * 255,
        // Four components.
        SOS => 6 + 2 * 4,
        DNL | DRI => 4,
        EXP => 3,
        APP0..=APP15 | COM => 0xffff,
        _ => return None,
    })
}

/// Whether entropy-coded data ends at a marker of this code. Applications' segments and comments may
/// stand between scans, too, and nobody writes them there: taken for data they are copied all the same,
/// and a damaged scan that seems to hold one swallows nothing.
pub(super) fn ends_scan(code: u8) -> bool {
    matches!(code, DHT | SOI | EOI | SOS | DQT | DNL | DRI)
}

/// Whether a segment of this code may hold anything, even a JPEG.
pub(super) fn holds_anything(code: u8) -> bool {
    matches!(code, APP0..=APP15 | COM)
}

/// Whether a segment of this code, and of a length that fits, is of a JPEG and seen nowhere else.
pub(super) fn begins_picture_data(code: u8) -> bool {
    matches!(code, SOF0..=SOF2 | DHT | SOS | DQT | DRI)
}
