//! Known boards: what their processor and memory can do at most, the least time that a model then takes, and a forecast.
//!
//! | board | cores | int8 products a cycle and core | memory | most |
//! |---|---|---|---|---|
//! | Pi Zero 2 W | 4 Cortex-A53, 1.0 GHz | 8 (`smull`, `sadalp`) | LPDDR2-900, 32 bit | 512 MB |
//! | Pi 3 B | 4 Cortex-A53, 1.2 GHz | 8 | LPDDR2-900, 32 bit | 1 GB |
//! | Pi 4 B | 4 Cortex-A72, 1.8 GHz | 8 | LPDDR4-3200, 32 bit | 8 GB |
//! | Pi 5 | 4 Cortex-A76, 2.4 GHz | 32 (two `sdot`) | LPDDR4X-4267, 32 bit | 16 GB |
//! | Orin Nano 8 GB | 6 Cortex-A78AE, 1.5 GHz | 32 | LPDDR5, 68 GB/s | 8 GB |
//!
//! From the product briefs of the [Zero 2 W][zero2] (BCM2710A1), [Pi 4][pi4] (BCM2711) and [Pi 5][pi5]
//! (BCM2712), the product page of the [Pi 3][pi3] (BCM2837) and NVIDIA's [specifications][orin], without the
//! Super mode; its GPU is not used. Transfers a second of the Pis up to 4 are those of the Raspberry Pi
//! Beginner's Guide, appendix F.
//!
//! The products a cycle are our kernels' (Arm's optimisation guides of the cores give the pipes). All of it
//! is what the hardware could do if nothing ever waited: a bound from below. The forecast takes the share of it
//! that a PC reached, [`REACHED`]. The processors are described in [Raspberry Pi's documentation][soc].
//!
//! [zero2]: https://datasheets.raspberrypi.com/rpizero2/raspberry-pi-zero-2-w-product-brief.pdf
//! [pi3]: https://www.raspberrypi.com/products/raspberry-pi-3-model-b/
//! [pi4]: https://datasheets.raspberrypi.com/rpi4/raspberry-pi-4-product-brief.pdf
//! [pi5]: https://datasheets.raspberrypi.com/rpi5/raspberry-pi-5-product-brief.pdf
//! [orin]: https://www.nvidia.com/en-us/autonomous-machines/embedded-systems/jetson-orin/
//! [soc]: https://www.raspberrypi.com/documentation/computers/processors.html

use serde::Serialize;

/// How much of the integer peak a whole pass reaches: what ImageGPT-small did on the worse of two PCs,
/// docs/performance-xeon.md (the other, docs/performance.md, 0.74). No board was measured.
pub const REACHED: f64 = 0.57;

/// The same of a Mix Transformer, much of whose time goes into f32 between the integers: what MiT-b0 at 224 x 224 did on
/// one thread of a Xeon with AVX-512 VNNI (`igpt bench --size mit-b0 --threads 1`); larger ones reach more.
pub const REACHED_BY_MIT: f64 = 0.16;

/// A board's peaks.
#[derive(Clone, Copy, Debug)]
pub struct Board {
    /// Its name.
    pub name: &'static str,
    /// 10^9 int8 multiply-accumulates a second, all cores.
    pub gmac_per_s: f64,
    /// 10^9 bytes a second from memory.
    pub gb_per_s: f64,
    /// The largest memory it is sold with, 10^9 bytes.
    pub memory_gb: f64,
}

/// The boards of the table above.
pub const BOARDS: [Board; 5] = [
    Board {
        name: "Pi Zero 2 W",
        gmac_per_s: 4.0 * 1.0 * 8.0,
        gb_per_s: 3.6,
        memory_gb: 0.5,
    },
    Board {
        name: "Pi 3 B",
        gmac_per_s: 4.0 * 1.2 * 8.0,
        gb_per_s: 3.6,
        memory_gb: 1.0,
    },
    Board {
        name: "Pi 4 B",
        gmac_per_s: 4.0 * 1.8 * 8.0,
        gb_per_s: 12.8,
        memory_gb: 8.0,
    },
    Board {
        name: "Pi 5",
        gmac_per_s: 4.0 * 2.4 * 32.0,
        gb_per_s: 17.1,
        memory_gb: 16.0,
    },
    Board {
        name: "Orin Nano",
        gmac_per_s: 6.0 * 1.5 * 32.0,
        gb_per_s: 68.0,
        memory_gb: 8.0,
    },
];

/// The least time of some work on a board, and the time to expect.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The board.
    pub board: &'static str,
    /// Seconds that the arithmetic takes.
    pub compute: f64,
    /// Seconds that the memory takes.
    pub bandwidth: f64,
    /// `compute` or `bandwidth`: the longer one.
    pub bound_by: &'static str,
    /// Seconds to expect: the arithmetic at [`REACHED`] or [`REACHED_BY_MIT`] of the peak, or the memory's time if
    /// that is longer.
    pub forecast: f64,
}

impl Board {
    /// The least time for that many multiply-accumulates and bytes read; the forecast is for this share of the
    /// arithmetic's peak.
    pub fn estimate(&self, macs: u64, bytes: u64, reached: f64) -> Estimate {
        let compute = macs as f64 / (self.gmac_per_s * 1e9);
        let bandwidth = bytes as f64 / (self.gb_per_s * 1e9);
        Estimate {
            board: self.name,
            compute,
            bandwidth,
            bound_by: if compute >= bandwidth {
                "compute"
            } else {
                "bandwidth"
            },
            forecast: (compute / reached).max(bandwidth),
        }
    }
}

impl Estimate {
    /// The bound in seconds: the longer of the two terms.
    pub fn bound(&self) -> f64 {
        self.compute.max(self.bandwidth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_term_binds() {
        let board = Board {
            name: "board",
            gmac_per_s: 10.0,
            gb_per_s: 1.0,
            memory_gb: 1.0,
        };
        let frame = board.estimate(20_000_000_000, 1_000_000_000, REACHED);
        assert_eq!((frame.bound(), frame.bound_by), (2.0, "compute"));
        assert_eq!(frame.forecast, 2.0 / REACHED);
        let token = board.estimate(1_000_000_000, 1_000_000_000, REACHED);
        assert_eq!((token.bound(), token.bound_by), (1.0, "bandwidth"));
        assert_eq!(token.forecast, 1.0);
    }
}
