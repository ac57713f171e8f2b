//! int4 files: they compute what the int8 file of the same integers computes, bit for bit; onnxruntime makes the same integers of
//! them; what is not such a file is refused.
//!
//! The golden files come from tests/golden/int4.py.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use igpt_kernels::{Int4Matrix, pack_nibbles};
use igpt_runtime::tools::pb;
use igpt_runtime::{Error, ImageGptModel, Isa, LoadOptions};
use igpt_tools::onnx::Dtype;
use igpt_tools::verbs::inspect::{self, inspect};
use igpt_tools::verbs::quantize::{Args, Report, quantize};
use npyz::npz::NpzArchive;
use prost::Message as _;
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn golden(name: &str) -> PathBuf {
    root().join("tests/golden").join(name)
}

fn convert(checkpoint: &Path, dtype: Dtype) -> (Vec<u8>, Report) {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let report = quantize(&Args {
        dtype,
        ..Args::new(checkpoint, file.path())
    });
    let report = report.unwrap_or_else(|failure| panic!("{failure}"));
    (fs::read(file.path()).expect("the file"), report)
}

fn decode(bytes: &[u8]) -> pb::ModelProto {
    pb::ModelProto::decode(bytes).expect("a model")
}

/// As a file, with the right checksum.
fn sealed(mut proto: pb::ModelProto) -> Vec<u8> {
    let seal = proto.metadata_props.pop().expect("the checksum");
    let mut bytes = proto.encode_to_vec();
    let body = bytes.len();
    let entry = pb::ModelProto {
        metadata_props: vec![seal],
        ..Default::default()
    };
    bytes.extend(entry.encode_to_vec());
    let sum = format!("{:08x}", crc32fast::hash(&bytes[..body]));
    let value = bytes.len() - sum.len();
    bytes[value..].copy_from_slice(sum.as_bytes());
    bytes
}

/// Name, shape and int8 values of every int4 matrix of a graph.
fn matrices(graph: &pb::GraphProto) -> Vec<(String, [usize; 2], Vec<i8>)> {
    let tensor = |name: &str| graph.initializer.iter().find(|t| t.name == name);
    let int4 = i32::from(pb::tensor_proto::DataType::Int4);
    let stored = graph.initializer.iter().filter(|t| t.data_type == int4);
    stored
        .map(|t| {
            let multiplier = tensor(&format!("{}_multiplier", t.name)).expect("its multipliers");
            let [k, n] = [t.dims[0] as usize, t.dims[1] as usize];
            let matrix = Int4Matrix::new(&t.raw_data, &multiplier.raw_data, k, n);
            (t.name.clone(), [k, n], matrix.expect("a matrix").to_int8())
        })
        .collect()
}

/// The int8 file of the same integers.
fn as_int8(mut proto: pb::ModelProto) -> pb::ModelProto {
    let graph = proto.graph.as_mut().expect("a graph");
    for (name, _, values) in matrices(graph) {
        let mut tensors = graph.initializer.iter_mut();
        let tensor = tensors.find(|t| t.name == name).expect("the matrix");
        tensor.data_type = pb::tensor_proto::DataType::Int8.into();
        tensor.raw_data = values.iter().map(|v| *v as u8).collect();
    }
    let is_multiplier = |name: &str| name.ends_with("_multiplier");
    graph.initializer.retain(|t| !is_multiplier(&t.name));
    for node in &mut graph.node {
        node.input.retain(|name| !is_multiplier(name));
        node.op_type = node.op_type.replace("BlockInt4", "BlockInt8");
    }
    let mut entries = proto.metadata_props.iter_mut();
    entries
        .find(|e| e.key == "igpt.dtype")
        .expect("dtype")
        .value = "int8".into();
    proto
}

fn logits(bytes: &[u8], tokens: &[u16], cpu: Isa) -> Vec<u32> {
    let options = LoadOptions::new().with_threads(2).with_cpu(Some(cpu));
    let model = ImageGptModel::from_bytes(bytes.to_vec(), &options).expect("a model");
    let logits = model.logits(tokens).expect("logits");
    logits.into_iter().map(f32::to_bits).collect()
}

#[test]
fn an_int4_file_computes_what_the_int8_file_of_the_same_integers_does() {
    // Widths that 32 divides, and widths that it does not, with a head and without.
    let random = ["odd-heads", "inner-epsilon", "aligned"].map(|case| golden("model").join(case));
    let shipped = root().join("models/fashion-mnist/clf");
    for checkpoint in random.into_iter().chain([shipped]) {
        let (bytes, _) = convert(&checkpoint, Dtype::Int4);
        let proto = decode(&bytes);
        let int8 = sealed(as_int8(proto));
        let tokens: Vec<u16> = (0..11).map(|i| i * 7 % 16).collect();
        for isa in Isa::available() {
            assert_eq!(
                logits(&bytes, &tokens, isa),
                logits(&int8, &tokens, isa),
                "{} on {isa}",
                checkpoint.display()
            );
        }
    }
}

#[test]
fn onnxruntime_makes_the_same_int8_matrices_of_int4_ones() {
    let file = File::open(golden("int4/weights.npz")).expect("the golden file");
    let mut npz = NpzArchive::new(BufReader::new(file)).expect("an npz");
    let bodies: Value =
        serde_json::from_slice(&fs::read(golden("int4/bodies.json")).unwrap()).unwrap();
    for (case, crc) in bodies.as_object().unwrap() {
        let (bytes, _) = convert(&golden("model").join(case), Dtype::Int4);
        let find = |text: &str| {
            let mut windows = bytes.windows(text.len());
            windows
                .position(|window| window == text.as_bytes())
                .unwrap()
        };
        let body = &bytes[find("transformer.embed")..find("igpt.format")];
        let found = u64::from(crc32fast::hash(body));
        assert_eq!(
            Some(found),
            crc.as_u64(),
            "{case}: run tests/golden/int4.py"
        );
        let found = matrices(decode(&bytes).graph.as_ref().expect("a graph"));
        assert!(!found.is_empty());
        for (name, shape, values) in found {
            let array = npz.by_name(&format!("{case}.{name}")).expect("an npy");
            let array = array.unwrap_or_else(|| panic!("no {case}.{name}"));
            assert_eq!(array.shape(), shape.map(|d| d as u64), "{case}.{name}");
            assert_eq!(array.into_vec::<i8>().unwrap(), values, "{case}.{name}");
        }
    }
}

#[test]
fn inspect_counts_the_bits_of_a_weight_with_its_share_of_a_multiplier() {
    let matrices = |checkpoint: &Path| {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("int4.onnx");
        fs::write(&file, convert(checkpoint, Dtype::Int4).0).expect("a file");
        let report = inspect(&inspect::Args {
            file,
            plots: None,
            png: None,
            json: false,
        });
        report
            .unwrap_or_else(|failure| panic!("{failure}"))
            .matrices
    };
    // 6 blocks of 128: whole groups of 32.
    let found = matrices(&root().join("models/fashion-mnist/lm"));
    assert_eq!(found.values, 6 * 12 * 128 * 128);
    assert_eq!(found.bits_per_weight, 4.125);
    // 2 blocks of 21: 21 x 63, 21 x 21 and 21 x 84 of one short group, 84 x 21 of three, every tensor in whole bytes.
    let found = matrices(&golden("model/odd-heads"));
    assert_eq!(found.values, 2 * (1323 + 441 + 2 * 1764));
    let bytes = 2 * (662 + 32 + 221 + 11 + 882 + 42 + 882 + 32);
    assert_eq!(found.bytes, bytes);
}

#[test]
fn int4_halves_the_file_and_the_report_says_what_it_lost() {
    let checkpoint = root().join("models/fashion-mnist/lm");
    let (int8, _) = convert(&checkpoint, Dtype::Int8);
    let (int4, report) = convert(&checkpoint, Dtype::Int4);
    assert_eq!(report.file_bytes, int4.len() as u64);
    assert!(5 * int4.len() < 3 * int8.len());
    let stored = |kind| report.tensors.iter().filter(move |t| t.stored_as == kind);
    assert_eq!((stored("int4").count(), stored("int8").count()), (24, 1));
    // A random matrix of one width gets 20 dB out of 15 levels.
    assert!(stored("int4").all(|t| t.error.snr_db.is_some_and(|db| (15.0..40.0).contains(&db))));
}

fn refusal(proto: pb::ModelProto) -> String {
    let error = ImageGptModel::from_bytes(sealed(proto), &LoadOptions::default());
    let error: Error = error.expect_err("a wrong file");
    error.to_string()
}

#[test]
fn what_is_not_an_int4_file_is_refused_by_name() {
    const WEIGHT: &str = "transformer.h.1.mlp.c_fc.weight";
    let (bytes, _) = convert(&root().join("models/fashion-mnist/clf"), Dtype::Int4);
    let changed = |name: &str, change: &dyn Fn(&mut pb::TensorProto)| {
        let mut proto = decode(&bytes);
        let graph = proto.graph.as_mut().expect("a graph");
        let mut tensors = graph.initializer.iter_mut();
        change(tensors.find(|t| t.name == name).expect("the tensor"));
        refusal(proto)
    };
    let multiplier = format!("{WEIGHT}_multiplier");
    type Change = dyn Fn(&mut pb::TensorProto);
    let cases: [(&str, &Change, &str); 5] = [
        // -8, whose sixteenfold no kernel computes with.
        (WEIGHT, &|t| t.raw_data[3] = 0x81, "byte 3"),
        (WEIGHT, &|t| t.data_type = 3, "data type 3"),
        (WEIGHT, &|t| t.raw_data.truncate(9), "9 bytes"),
        (&multiplier, &|t| t.dims[0] += 1, "shape"),
        (
            &multiplier,
            &|t| t.raw_data = pack_nibbles(&[1; 6]),
            "3 bytes",
        ),
    ];
    for (name, change, expected) in cases {
        let error = changed(name, change);
        assert!(error.contains(name) && error.contains(expected), "{error}");
    }
    let mut proto = decode(&bytes);
    let mut entries = proto.metadata_props.iter_mut();
    entries
        .find(|e| e.key == "igpt.dtype")
        .expect("dtype")
        .value = "int8".into();
    let error = refusal(proto);
    assert!(error.contains("BlockInt4"), "{error}");
}
