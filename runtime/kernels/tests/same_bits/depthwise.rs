//! The depthwise convolution, LayerNorm, and what the contract says of their order, their edges, and of numbers that are none.

use igpt_kernels::{Activation, Depthwise, Kernels, Linear, LinearScratch, Map, PackedRows};

use crate::quantise::{coarse, skewed_linear};
use crate::{ACTIVATIONS, Random, all, same_bits};

const CHANNELS: [usize; 7] = [1, 3, 18, 20, 33, 147, 160];
const GRIDS: [(usize, usize); 5] = [(1, 1), (1, 7), (7, 1), (7, 5), (2, 9)];

/// A depthwise convolution's operands.
struct Layer {
    map: Vec<f32>,
    shape: [usize; 3],
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Layer {
    fn random(height: usize, width: usize, channels: usize) -> Self {
        let mut random = Random((height * 1000 + width * 100 + channels) as u64);
        let mut sized =
            |len, size: f32| -> Vec<f32> { random.rows(len).iter().map(|x| x * size).collect() };
        Self {
            map: sized(height * width * channels, 3.0),
            shape: [height, width, channels],
            weight: sized(9 * channels, 1.0),
            bias: sized(channels, 1.0),
        }
    }

    fn job(&self, activation: Activation, tokens: core::ops::Range<usize>) -> Depthwise<'_> {
        let [height, width, channels] = self.shape;
        Depthwise {
            map: Map {
                values: &self.map,
                height,
                width,
                channels,
            },
            weight: &self.weight,
            bias: &self.bias,
            activation,
            tokens,
        }
    }

    /// The contract's convolution, spelled out: the bias, then the taps in order, those outside skipped.
    fn convolved(&self) -> Vec<f32> {
        let [height, width, channels] = self.shape;
        let mut out = Vec::new();
        for (y, x) in (0..height * width).map(|token| (token / width, token % width)) {
            for c in 0..channels {
                let mut sum = self.bias[c];
                for tap in 0..9 {
                    let (y, x) = ((y + tap / 3).wrapping_sub(1), (x + tap % 3).wrapping_sub(1));
                    if y < height && x < width {
                        let pixel = self.map[(y * width + x) * channels + c];
                        sum = pixel.mul_add(self.weight[tap * channels + c], sum);
                    }
                }
                out.push(sum);
            }
        }
        out
    }
}

#[test]
fn depthwise_convolutions_are_as_the_contract_says_in_f32_and_in_bytes() {
    let n = 5;
    for (height, width) in GRIDS {
        for channels in CHANNELS {
            let layer = Layer::random(height, width, channels);
            let convolved = layer.convolved();
            let mut random = Random(7);
            let w: Vec<i8> = (0..channels * n)
                .map(|_| (random.next() * 127.0) as i8)
                .collect();
            let (w_scale, bias) = ([0.01, 0.02, 0.03, 0.04, 0.05], random.rows(n));
            for kind in ACTIVATIONS {
                let count = height * width;
                for tokens in [0..count, count / 3..count, count / 2..count / 2] {
                    let what = format!("{height}x{width}x{channels} {kind:?} {tokens:?}");
                    let sums = &convolved[tokens.start * channels..tokens.end * channels];
                    let got = same_bits(&what, |kernels| {
                        let mut out = vec![f32::NAN; sums.len()];
                        kernels.depthwise_f32(layer.job(kind, tokens.clone()), &mut out);
                        out
                    });
                    let mut want = sums.to_vec();
                    Kernels::best().activate(kind, &mut want);
                    assert_eq!(got, want, "{what}");

                    let got = same_bits(&what, |kernels| {
                        let mut a = PackedRows::default();
                        kernels
                            .depthwise(layer.job(kind, tokens.clone()), &mut a)
                            .expect("finite pixels");
                        assert_eq!((a.rows(), a.k()), (tokens.len(), channels));
                        let w = kernels.pack(&w, channels, n);
                        let mut out = vec![0.0; tokens.len() * n];
                        kernels.linear(Linear {
                            a: &a,
                            w: &w,
                            w_scale: &w_scale,
                            bias: &bias,
                            out: &mut out,
                            ldo: n,
                            add: false,
                            panels: 0..w.panels(),
                            scratch: &mut LinearScratch::default(),
                        });
                        out
                    });
                    for (sums, got) in sums.chunks_exact(channels).zip(got.chunks_exact(n)) {
                        let want = skewed_linear(&coarse(kind, sums), &w, &w_scale, &bias);
                        assert_eq!(got, want, "{what}");
                    }
                }
            }
        }
    }
}

/// A tap outside the map adds nothing. A zero times its weight would make 0 of -0, and NaN of a weight that is no number.
#[test]
fn taps_outside_the_map_are_skipped() {
    let mut layer = Layer::random(1, 1, 20);
    for (tap, weight) in layer.weight.chunks_exact_mut(20).enumerate() {
        weight.fill(if tap == 4 { 1.0 } else { f32::NAN });
    }
    layer.map.fill(-0.0);
    layer.bias.fill(-0.0);
    let got = same_bits("-0", |kernels| {
        let mut out = vec![f32::NAN; 20];
        kernels.depthwise_f32(layer.job(Activation::Gelu, 0..1), &mut out);
        let mut a = PackedRows::default();
        kernels
            .depthwise(layer.job(Activation::Gelu, 0..1), &mut a)
            .expect("no tap that is no number");
        out
    });
    assert!(got.iter().all(|x| x.to_bits() == (-0.0f32).to_bits()));
}

/// The same where pixels beside each other are computed together, of a map of one row.
#[test]
fn rows_of_taps_outside_the_map_are_skipped() {
    for width in 1..12 {
        let mut layer = Layer::random(1, width, 20);
        for (tap, weight) in layer.weight.chunks_exact_mut(20).enumerate() {
            if tap / 3 != 1 {
                weight.fill(f32::NAN);
            }
        }
        for kernels in all() {
            let done = kernels.depthwise(
                layer.job(Activation::Gelu, 0..width),
                &mut PackedRows::default(),
            );
            assert_eq!(done, Ok(()), "{} at {width}", kernels.isa());
        }
    }
}

#[test]
fn pixels_that_are_not_finite_are_refused_by_number() {
    for channels in [20, 64] {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut layer = Layer::random(7, 5, channels);
            // Row 3, column 2: the first pixel that it is a tap of is one up and one left.
            layer.map[(3 * 5 + 2) * channels + channels - 3] = bad;
            for kernels in all() {
                let refused = |tokens| {
                    let job = layer.job(Activation::Silu, tokens);
                    let refused = kernels.depthwise(job, &mut PackedRows::default());
                    refused.map_err(|e| (e.row, e.found.is_finite()))
                };
                assert_eq!(refused(0..35), Err((11, false)), "{}", kernels.isa());
                assert_eq!(refused(10..35), Err((1, false)), "{}", kernels.isa());
                assert_eq!(refused(14..35), Err((2, false)), "{}", kernels.isa());
                assert_eq!(refused(0..11), Ok(()), "{}", kernels.isa());
                assert_eq!(refused(24..35), Ok(()), "{}", kernels.isa());
            }
        }
    }
}

#[test]
fn layer_norm_keeps_its_precision_where_rows_have_an_offset() {
    // The largest error of a row; a mean of squares less the square of the mean is off by 0.4 at the last offset.
    for (offset, limit) in [(0.0, 1.5e-6), (10.0, 4e-6), (100.0, 3e-5), (1000.0, 2e-4)] {
        for n in [1, 3, 18, 20, 33, 147, 160, 256, 512] {
            let mut random = Random(n as u64);
            let mut rows = random.rows(9 * n);
            rows.iter_mut().for_each(|x| *x = *x * 3f32.sqrt() + offset);
            let (gain, bias) = (random.rows(n), random.rows(n));
            let got = same_bits("LayerNorm", |kernels| {
                let mut out = vec![f32::NAN; rows.len()];
                kernels.layer_norm(&rows, &gain, &bias, 1e-5, &mut out);
                out
            });
            for (row, got) in rows.chunks_exact(n).zip(got.chunks_exact(n)) {
                let x: Vec<f64> = row.iter().map(|x| f64::from(*x)).collect();
                let mean = x.iter().sum::<f64>() / n as f64;
                let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64;
                let inverse = 1.0 / (variance + 1e-5).sqrt();
                for c in 0..n {
                    let y = (x[c] - mean) * inverse;
                    let want = y.mul_add(f64::from(gain[c]), f64::from(bias[c]));
                    let error = (f64::from(got[c]) - want).abs();
                    // Few channels may have a small variance by chance, which enlarges what rounding the mean costs.
                    let limit = limit * f64::max(1.0, inverse);
                    assert!(error < limit, "{error} at {offset} of {n} channels");
                }
            }
        }
    }
}
