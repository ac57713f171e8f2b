//! Layers of int4 weights: the bits of the same layer with the int8 matrix that they stand for, whatever the number of rows.

use igpt_kernels::{
    Activation, INT4_GROUP, Int4Matrix, Isa, Kernels, Linear, LinearScratch, PackedInt8,
    PackedRows, Prepare, RowsF32, pack_nibbles,
};

/// Numbers in (-1, 1), the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    fn rows(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| self.next()).collect()
    }
}

/// Bits of the layer's output, its panels computed in two shares, as two threads would.
fn layer(kernels: Kernels, a: &PackedRows, w: &PackedInt8, constants: &[f32]) -> Vec<u32> {
    let (n, nr) = (w.n(), kernels.layout().nr);
    let (scale, bias) = constants.split_at(n);
    let mut out = vec![0.5; a.rows() * n];
    let mut scratch = LinearScratch::default();
    let middle = w.panels() / 2;
    for panels in [0..middle, middle..w.panels()] {
        kernels.linear(Linear {
            a,
            w,
            w_scale: scale,
            bias,
            out: &mut out[panels.start * nr..],
            ldo: n,
            add: true,
            panels,
            scratch: &mut scratch,
        });
    }
    out.into_iter().map(f32::to_bits).collect()
}

#[test]
fn an_int4_layer_gives_the_bits_of_the_int8_layer() {
    for isa in Isa::available() {
        let kernels = Kernels::for_isa(isa).expect("an available instruction set has kernels");
        let mr = kernels.layout().mr;
        for rows in [1, 2, mr - 1, mr, mr + 1, 5 * mr] {
            // Groups that are whole, a last one that is not, and columns that end within a panel.
            for (k, n) in [(64, 64), (33, 1), (130, 77), (512, 96)] {
                let mut random = Random((rows * 7 + k) as u64);
                let q: Vec<i8> = (0..k * n).map(|_| (random.next() * 8.0) as i8).collect();
                let groups = k.div_ceil(INT4_GROUP) * n;
                let m: Vec<i8> = (0..groups).map(|i| (i * 5 % 16) as i8).collect();
                let (q, m) = (pack_nibbles(&q), pack_nibbles(&m));
                let matrix = Int4Matrix::new(&q, &m, k, n).expect("a matrix");
                let int4 = kernels.pack_int4(&matrix);
                let int8 = kernels.pack(&matrix.to_int8(), k, n);
                assert_eq!((int4.k(), int4.n(), int4.panels()), (k, n, int8.panels()));
                let (x, constants) = (random.rows(rows * k), random.rows(2 * n));
                for how in [
                    Prepare::Plain,
                    // Its rows are one-sided, so that the sums of columns count.
                    Prepare::Activate(Activation::QuickGelu),
                ] {
                    let mut a = PackedRows::default();
                    kernels
                        .prepare(RowsF32::dense(&x, rows, k), how, &mut a)
                        .expect("finite rows");
                    assert_eq!(
                        layer(kernels, &a, &int4, &constants),
                        layer(kernels, &a, &int8, &constants),
                        "{rows} rows, {k} x {n}, {how:?} on {isa}"
                    );
                }
            }
        }
    }
}
