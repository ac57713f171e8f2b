//! Pictures on screens that are only memory.

use super::*;

fn field(offset: u32, length: u32) -> Bitfield {
    Bitfield {
        offset,
        length,
        msb_right: 0,
    }
}

/// A screen as the kernel describes it, with 12 bytes behind each line and two lines above.
pub(in crate::sink::framebuffer) fn info(
    width: u32,
    height: u32,
    bits: u32,
) -> (VarScreenInfo, FixScreenInfo) {
    let (red, green, blue) = match bits {
        16 => (field(11, 5), field(5, 6), field(0, 5)),
        _ => (field(16, 8), field(8, 8), field(0, 8)),
    };
    let line_length = width * bits / 8 + 12;
    let var = VarScreenInfo {
        xres: width,
        yres: height,
        xres_virtual: width,
        yres_virtual: height + 2,
        yoffset: 2,
        bits_per_pixel: bits,
        red,
        green,
        blue,
        ..VarScreenInfo::default()
    };
    let fix = FixScreenInfo {
        smem_len: line_length * (height + 2),
        visual: VISUAL_TRUECOLOR,
        line_length,
        ..FixScreenInfo::default()
    };
    (var, fix)
}

fn screen(width: u32, height: u32, bits: u32) -> Screen {
    let (var, fix) = info(width, height, bits);
    Screen::new(&var, &fix).unwrap()
}

/// The whole screen as (r, g, b), black where nothing was drawn.
fn shown(screen: &Screen, rgb: &[u8], width: usize, height: usize) -> Vec<[u8; 3]> {
    let mut rows = Vec::new();
    let first_row = screen.compose(rgb, width, height, &mut rows);
    assert_eq!(rows.len() % screen.stride, 0);
    assert!(first_row + rows.len() / screen.stride <= screen.height);
    let mut memory = screen.black_row().repeat(screen.height);
    memory[first_row * screen.stride..][..rows.len()].copy_from_slice(&rows);
    memory
        .chunks_exact(screen.stride)
        .flat_map(|row| row.chunks_exact(screen.pixel_bytes).take(screen.width))
        .map(|p| match *p {
            [low, high] => {
                let v = u16::from_le_bytes([low, high]);
                [(v >> 11 << 3) as u8, (v >> 5 << 2) as u8, (v << 3) as u8]
            }
            [b, g, r, ..] => [r, g, b],
            _ => panic!(),
        })
        .collect()
}

const RED: [u8; 3] = [248, 0, 0];
const GREEN: [u8; 3] = [0, 252, 0];
const BLUE: [u8; 3] = [0, 0, 248];
const WHITE: [u8; 3] = [248, 252, 248];
const BLACK: [u8; 3] = [0, 0, 0];

#[test]
fn a_small_picture_is_enlarged_by_a_whole_factor_and_centred() {
    let picture = [RED, GREEN, BLUE, WHITE].concat();
    for bits in [16, 24, 32] {
        let screen = screen(7, 5, bits);
        let got = shown(&screen, &picture, 2, 2);
        // Twice as large, one column left and two right, no row above and one below.
        let want: Vec<[u8; 3]> = (0..5)
            .flat_map(|y| (0..7).map(move |x| (x, y)))
            .map(
                |(x, y): (usize, usize)| match (x.wrapping_sub(1) / 2, y / 2) {
                    (0, 0) => RED,
                    (1, 0) => GREEN,
                    (0, 1) => BLUE,
                    (1, 1) => WHITE,
                    _ => BLACK,
                },
            )
            .collect();
        assert_eq!(got, want, "{bits} bits");
    }
}

#[test]
fn a_large_picture_is_reduced_and_keeps_its_shape() {
    let screen = screen(8, 6, 32);
    for (width, height, fit) in [
        (80, 60, (8, 6)),
        (160, 60, (8, 3)),
        (60, 600, (1, 6)),
        (10_000, 3, (8, 1)),
        (3, 10_000, (1, 6)),
        (9, 6, (8, 5)),
        (8, 7, (6, 6)),
        (8, 6, (8, 6)),
    ] {
        assert_eq!(screen.fitted(width, height), fit, "{width}x{height}");
        let picture = [RED, GREEN].concat().repeat(width * height / 2 + 1);
        let got = shown(&screen, &picture[..width * height * 3], width, height);
        assert_eq!(got.iter().filter(|&&p| p != BLACK).count(), fit.0 * fit.1);
    }
}

#[test]
fn pixels_are_the_kernels_bits() {
    let (mut var, fix) = info(4, 4, 32);
    var.transp = field(24, 8);
    let argb = Screen::new(&var, &fix).unwrap();
    assert_eq!(argb.pack(1, 2, 3), [3, 2, 1, 255]);
    assert_eq!(argb.black_row()[..4], [0, 0, 0, 255]);
    assert_eq!(screen(4, 4, 32).pack(1, 2, 3), [3, 2, 1, 0]);
    assert_eq!(screen(4, 4, 16).pack(0xff, 0, 0x08)[..2], [0x01, 0xf8]);
    // Red and blue change places.
    (var.red, var.blue) = (var.blue, var.red);
    assert_eq!(
        Screen::new(&var, &fix).unwrap().pack(1, 2, 3),
        [1, 2, 3, 255]
    );
}

#[test]
fn panning_moves_the_start() {
    let (mut var, fix) = info(4, 4, 16);
    (var.xoffset, var.yoffset) = (1, 1);
    assert_eq!(
        Screen::new(&var, &fix).unwrap().start,
        u64::from(fix.line_length) + 2
    );
}

#[test]
fn screens_that_make_no_sense_are_refused() {
    type Spoil = fn(&mut VarScreenInfo, &mut FixScreenInfo);
    let spoilt: [(Spoil, &str); 12] = [
        (|v, _| v.bits_per_pixel = 8, "8 bits"),
        (|v, _| v.bits_per_pixel = 0, "0 bits"),
        (|v, _| v.grayscale = 1, "grayscale"),
        (|_, f| f.visual = 3, "visual 3"),
        (|_, f| f.kind = 1, "type 1"),
        (|v, _| v.red = field(28, 8), "red"),
        (|v, _| v.green = field(0, 10), "green"),
        (|v, _| v.blue = field(u32::MAX, 8), "blue"),
        (|v, _| v.transp.msb_right = 1, "transparency"),
        (|v, _| v.xres = 0, "0x6"),
        (|_, f| f.line_length = 31, "31 bytes"),
        (|v, _| v.yres = u32::MAX, "memory"),
    ];
    for (spoil, hint) in spoilt {
        let (mut var, mut fix) = info(8, 6, 32);
        spoil(&mut var, &mut fix);
        let reason = Screen::new(&var, &fix).unwrap_err();
        assert!(reason.contains(hint), "{reason}");
    }
}
