//! The int8 linear layers against onnxruntime, one node at a time: the functions' bodies spell the integer arithmetic out, so
//! both compute the same integers and differ by float rounding alone.
//!
//! The golden files come from tests/golden/linear.py.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use igpt_kernels::{Activation, Isa, Kernels, Linear, LinearScratch, PackedRows, Prepare, RowsF32};
use npyz::npz::NpzArchive;
use serde_json::Value;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("golden")
        .join(name)
}

/// One call of a function: operands and what onnxruntime made of them.
struct Case {
    x: Vec<f32>,
    w: Vec<i8>,
    w_scale: Vec<f32>,
    bias: Vec<f32>,
    y: Vec<f32>,
}

impl Case {
    fn open(name: &str) -> Self {
        let mut npz: NpzArchive<BufReader<File>> =
            NpzArchive::open(golden("linear/linear.npz")).unwrap();
        fn get<T: npyz::Deserialize>(npz: &mut NpzArchive<BufReader<File>>, array: &str) -> Vec<T> {
            let npy = npz.by_name(array).unwrap();
            npy.unwrap_or_else(|| panic!("no {array}"))
                .into_vec()
                .unwrap()
        }
        Self {
            x: get(&mut npz, &format!("{name}.x")),
            w: get(&mut npz, &format!("{name}.w")),
            w_scale: get(&mut npz, &format!("{name}.w_scale")),
            bias: get(&mut npz, &format!("{name}.bias")),
            y: get(&mut npz, &format!("{name}.y")),
        }
    }

    fn compute(&self, kernels: Kernels, how: Prepare<'_>) -> Vec<f32> {
        let n = self.bias.len();
        let k = self.w.len() / n;
        let rows = self.x.len() / k;
        let (mut a, w) = (PackedRows::default(), kernels.pack(&self.w, k, n));
        kernels
            .prepare(RowsF32::dense(&self.x, rows, k), how, &mut a)
            .expect("finite rows");
        let mut out = vec![0.0; rows * n];
        kernels.linear(Linear {
            a: &a,
            w: &w,
            w_scale: &self.w_scale,
            bias: &self.bias,
            out: &mut out,
            ldo: n,
            add: false,
            panels: 0..w.panels(),
            scratch: &mut LinearScratch::default(),
        });
        out
    }
}

/// The kernels round the product of the scales, and once more after the bias; onnxruntime rounds two or three times besides (it
/// regroups the factors). Four half units in the last place of product and sum cover that (measured: 2.6). One step of one
/// quantised number is a thousand times as much.
fn assert_rounding_alone(name: &str, how: Prepare<'_>) {
    let case = Case::open(name);
    let n = case.bias.len();
    for isa in Isa::available() {
        let kernels = Kernels::for_isa(isa).expect("an available instruction set has kernels");
        let found = case.compute(kernels, how);
        assert_eq!(found.len(), case.y.len());
        for (i, (found, want)) in found.iter().zip(&case.y).enumerate() {
            let (row, column) = (i / n, i % n);
            let product = want - case.bias[column];
            let allowed = (product.abs() + want.abs()) * (2.0 * f32::EPSILON);
            assert!(
                (found - want).abs() <= allowed,
                "{name} on {isa}: {found} at row {row}, column {column}, onnxruntime has {want}"
            );
        }
    }
}

#[test]
fn symmetric_rows_are_onnxruntimes_but_for_rounding() {
    for name in ["c_attn", "odd"] {
        assert_rounding_alone(name, Prepare::Plain);
    }
}

/// Our quick_gelu of what becomes a byte is off by up to 7.5e-5: now and then that is a step of a byte, and the scale of a row moves
/// by 1e-5. A zero point that is off by one would be a hundred times as much.
#[test]
fn one_sided_rows_are_onnxruntimes_but_for_a_step_now_and_then() {
    for name in ["c_proj", "odd_one_sided"] {
        let case = Case::open(name);
        let n = case.bias.len();
        let how = Prepare::Activate(Activation::QuickGelu);
        for isa in Isa::available() {
            let kernels = Kernels::for_isa(isa).expect("an available instruction set has kernels");
            let found = case.compute(kernels, how);
            assert_eq!(found.len(), case.y.len());
            let rows = found.chunks_exact(n).zip(case.y.chunks_exact(n));
            for (row, (found, want)) in rows.enumerate() {
                let (mut error, mut size) = (0.0f64, 0.0f64);
                for ((found, want), bias) in found.iter().zip(want).zip(&case.bias) {
                    error += f64::from(found - want).powi(2);
                    size += f64::from(want - bias).powi(2);
                }
                assert!(
                    error <= 1e-6 * size,
                    "{name} on {isa}: row {row} is off by {:.1e} of its size",
                    (error / size).sqrt()
                );
            }
        }
    }
}

/// The whole language model's head, given onnxruntime's own last hidden state: its logits.
#[test]
fn logits_from_the_same_hidden_state_are_onnxruntimes_but_for_rounding() {
    assert_rounding_alone("head", Prepare::Plain);
}

/// The functions and weights that onnxruntime ran are those of the other golden files, which a test holds against the writer's.
#[test]
fn the_golden_files_were_made_together() {
    let read =
        |name| -> Value { serde_json::from_slice(&fs::read(golden(name)).unwrap()).unwrap() };
    let bodies = read("model/bodies.json");
    for (case, crc) in read("linear/bodies.json").as_object().unwrap() {
        assert_eq!(bodies[case], *crc, "{case}: run tests/golden/linear.py");
    }
}
