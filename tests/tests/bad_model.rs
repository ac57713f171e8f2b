//! Model files that are damaged or wrong: an error that names the culprit, never a panic, never a verdict from altered weights.

use std::path::{Path, PathBuf};

use igpt_runtime::tools::pb;
use igpt_runtime::tools::{Kernels, Packing, Panels};
use igpt_runtime::{Error, ImageGptForImageClassification, ImageGptModel, Isa, LoadOptions};
use igpt_tools::verbs::quantize::{Args, quantize};
use prost::Message as _;

/// Bytes of the checksum's entry, the last of a file.
const ENTRY: usize = 24;

const SHIPPED: &str = "igpt-fashion-mnist-int8.onnx";

fn models() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    root.expect("the tests lie in the workspace")
        .join("models/fashion-mnist")
}

fn shipped() -> Vec<u8> {
    std::fs::read(models().join(SHIPPED)).expect("the shipped model")
}

fn load(bytes: &[u8]) -> Result<ImageGptForImageClassification, Error> {
    ImageGptForImageClassification::from_bytes(bytes.to_vec(), &LoadOptions::new().with_threads(1))
}

/// Puts the right checksum on altered bytes, so that the damage reaches what lies behind it.
fn reseal(bytes: &mut [u8]) {
    let body = bytes.len() - ENTRY;
    let sum = format!("{:08x}", crc32fast::hash(&bytes[..body]));
    bytes[body + ENTRY - 8..].copy_from_slice(sum.as_bytes());
}

/// The shipped file after `change`, sealed.
fn changed(change: impl FnOnce(&mut pb::ModelProto)) -> Vec<u8> {
    let mut proto = pb::ModelProto::decode(shipped().as_slice()).expect("the shipped model");
    change(&mut proto);
    sealed(proto)
}

/// A model as a file, its old checksum replaced.
fn sealed(mut proto: pb::ModelProto) -> Vec<u8> {
    // Prost writes the fields in order of their numbers: metadata, then functions. The seal is to be last.
    let seal = proto.metadata_props.pop().expect("the checksum");
    let mut bytes = proto.encode_to_vec();
    bytes.extend(
        pb::ModelProto {
            metadata_props: vec![seal],
            ..Default::default()
        }
        .encode_to_vec(),
    );
    reseal(&mut bytes);
    bytes
}

fn tensor<'a>(proto: &'a mut pb::ModelProto, name: &str) -> &'a mut pb::TensorProto {
    let graph = proto.graph.as_mut().expect("a graph");
    graph
        .initializer
        .iter_mut()
        .find(|t| t.name == name)
        .expect("an initializer")
}

fn node(proto: &mut pb::ModelProto, i: usize) -> &mut pb::NodeProto {
    &mut proto.graph.as_mut().expect("a graph").node[i]
}

#[test]
fn a_truncated_or_flipped_file_is_refused() {
    let good = shipped();
    load(&good).expect("the undamaged file");
    for cut in [
        0,
        1,
        23,
        24,
        25,
        100,
        good.len() / 2,
        good.len() - 25,
        good.len() - 24,
        good.len() - 1,
    ] {
        let error = load(&good[..cut])
            .expect_err("a truncated file")
            .to_string();
        assert!(error.contains("truncated"), "cut to {cut}: {error}");
    }
    let mut bytes = good.clone();
    for i in 0..97 {
        let at = (i * 7_919 * 131) % bytes.len();
        bytes[at] ^= 1 << (i % 8);
        let error = load(&bytes).expect_err("a flipped bit").to_string();
        assert!(
            error.contains("embedded model"),
            "bit {} of byte {at}: {error}",
            i % 8
        );
        bytes[at] ^= 1 << (i % 8);
    }
}

#[test]
fn damage_behind_a_right_checksum_never_panics() {
    let mut bytes = shipped();
    for i in 0..200 {
        let at = (i * 104_729) % (bytes.len() - ENTRY);
        // Half of them in the first bytes, where the structure is dense.
        let at = if i % 2 == 0 { at } else { at % 20_000 };
        bytes[at] ^= 1 << (i % 8);
        reseal(&mut bytes);
        if let Ok(model) = load(&bytes) {
            // A changed weight is another model; it has to run or refuse.
            let _ = model.session().expect("a session").classify(&[3; 196]);
        }
        bytes[at] ^= 1 << (i % 8);
    }
}

/// One way to be wrong, and what the error has to say.
type Case = (
    &'static str,
    fn(&mut pb::ModelProto),
    &'static [&'static str],
);

#[test]
fn a_file_that_is_not_what_its_configuration_says_is_refused_by_name() {
    const WEIGHT: &str = "transformer.h.1.attn.c_attn.weight";
    let cases: [Case; 22] = [
        ("no graph", |p| p.graph = None, &["graph"]),
        (
            "no input",
            |p| p.graph.as_mut().expect("a graph").input.clear(),
            &["input_ids"],
        ),
        (
            "no output",
            |p| p.graph.as_mut().expect("a graph").output.clear(),
            &["graph outputs", "logits"],
        ),
        (
            "another output",
            |p| p.graph.as_mut().expect("a graph").output[0].name = "hidden_states.0".into(),
            &["graph outputs", "hidden_states.0", "logits"],
        ),
        (
            "a node less",
            |p| drop(p.graph.as_mut().expect("a graph").node.pop()),
            &["nodes"],
        ),
        (
            "another operator",
            |p| node(p, 2).op_type = "Relu".into(),
            &["transformer.h.1", "Relu"],
        ),
        (
            "another domain",
            |p| node(p, 2).domain = "com.example".into(),
            &["transformer.h.1", "com.example"],
        ),
        (
            "an input less",
            |p| drop(node(p, 1).input.pop()),
            &["transformer.h.0"],
        ),
        (
            "no inputs at all",
            |p| node(p, 0).input.clear(),
            &["transformer.embed"],
        ),
        (
            "inputs swapped",
            |p| node(p, 1).input.swap(1, 8),
            &["transformer.h.0"],
        ),
        (
            "no heads",
            |p| node(p, 1).attribute[0].i = 0,
            &["num_heads", "0"],
        ),
        (
            "another scale",
            |p| node(p, 1).attribute[2].f = f32::NAN,
            &["scale", "NaN"],
        ),
        (
            "another activation",
            |p| node(p, 1).attribute[3].s = b"tanh".to_vec(),
            &["activation", "tanh"],
        ),
        (
            "rank 0",
            |p| tensor(p, WEIGHT).dims.clear(),
            &[WEIGHT, "[]"],
        ),
        (
            "a zero dimension",
            |p| tensor(p, WEIGHT).dims[1] = 0,
            &[WEIGHT, "[128, 0]"],
        ),
        (
            "a negative dimension",
            |p| tensor(p, WEIGHT).dims[0] = -128,
            &[WEIGHT, "-128"],
        ),
        (
            "another type",
            |p| tensor(p, WEIGHT).data_type = 1,
            &[WEIGHT, "data type 1"],
        ),
        (
            "bytes missing",
            |p| tensor(p, WEIGHT).raw_data.truncate(49_151),
            &[WEIGHT, "49151", "49152"],
        ),
        (
            "a weight of -128",
            |p| tensor(p, WEIGHT).raw_data[7] = 0x80,
            &[WEIGHT, "value 7"],
        ),
        (
            "a scale that is no number",
            |p| {
                tensor(p, "transformer.h.0.mlp.c_fc.weight_scale").raw_data[..4]
                    .copy_from_slice(&f32::NAN.to_le_bytes())
            },
            &["transformer.h.0.mlp.c_fc.weight_scale", "value 0"],
        ),
        (
            "a name unknown",
            |p| tensor(p, WEIGHT).name = "other".into(),
            &["other"],
        ),
        (
            "a palette for another model",
            |p| {
                let config = p
                    .metadata_props
                    .iter_mut()
                    .find(|p| p.key == "igpt.config")
                    .expect("the configuration");
                config.value = config
                    .value
                    .replace("\"vocab_size\":33", "\"vocab_size\":34")
                    .replace("\"vocab_size\": 33", "\"vocab_size\": 34");
            },
            &["32 clusters", "33"],
        ),
    ];
    load(&changed(|_| {})).expect("a file encoded again");
    for (what, change, words) in cases {
        let error = load(&changed(change))
            .map(|_| ())
            .expect_err(what)
            .to_string();
        for word in words {
            assert!(
                error.contains(word),
                "{what}: {error:?} does not say {word:?}"
            );
        }
    }
}

#[test]
fn activations_out_of_range_are_refused_by_layer_and_the_session_recovers() {
    // Gains near the largest f32 in one block: what follows overflows.
    let wild = changed(|p| {
        for value in tensor(p, "transformer.h.2.mlp.c_proj.weight_scale")
            .raw_data
            .chunks_exact_mut(4)
        {
            value.copy_from_slice(&1e38f32.to_le_bytes());
        }
    });
    let model = load(&wild).expect("finite constants");
    let mut session = model.session().expect("a session");
    for _ in 0..2 {
        let error = session.classify(&[5; 196]).expect_err("an overflow");
        let Error::NonFinite { layer, .. } = &error else {
            panic!("{error:?}")
        };
        assert!(
            layer == "transformer.h.2" || layer == "transformer.h.3",
            "{error}"
        );
    }
}

#[test]
fn a_file_that_is_no_model_is_refused() {
    for bytes in [&b""[..], b"GIF89a", &[0; 1000], &[0xff; 5000]] {
        let error = ImageGptModel::from_bytes(bytes.to_vec(), &LoadOptions::default())
            .expect_err("no model")
            .to_string();
        assert!(error.contains("igpt.crc32"), "{error}");
    }
}

/// The shipped checkpoint converted with `--pack`, as a file.
fn packed(panels: Panels) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let checkpoint = models().join("clf");
    quantize(&Args {
        pack: Some(panels),
        ..Args::new(checkpoint, file.path())
    })
    .expect("a packed file");
    file
}

#[test]
fn a_file_packed_for_any_instruction_set_gives_the_same_bits_on_every_one() {
    let tokens: Vec<u16> = (0..196).map(|i| i * 7 % 32).collect();
    let bits = |file: &Path, cpu: Isa| {
        let options = LoadOptions::new().with_threads(2).with_cpu(Some(cpu));
        let model = ImageGptModel::load(file, &options).expect("a model");
        let logits = model.logits(&tokens).expect("logits");
        let bits: Vec<u32> = logits.iter().map(|x| x.to_bits()).collect();
        (bits, model.packing())
    };
    let (want, packing) = bits(&models().join(SHIPPED), Isa::Scalar);
    assert_eq!(packing, Packing::AtLoad { file: None });
    for isa in Isa::ALL {
        let panels = Panels::of(isa);
        let file = packed(panels);
        for cpu in Isa::available() {
            let (found, packing) = bits(file.path(), cpu);
            assert_eq!(found, want, "packed for {isa}, run on {cpu}");
            let expected = if Panels::of(cpu) == panels {
                Packing::InPlace
            } else {
                Packing::AtLoad { file: Some(panels) }
            };
            assert_eq!(packing, expected, "packed for {isa}, run on {cpu}");
        }
    }
}

#[test]
fn packed_weights_begin_at_multiples_of_64_bytes_and_are_refused_if_damaged() {
    // Panels that divide nothing: every matrix has padding.
    let panels = Panels { nr: 48, kr: 20 };
    let bytes = std::fs::read(packed(panels).path()).expect("a packed file");
    let proto = pb::ModelProto::decode(bytes.as_slice()).expect("a packed file");
    let mut matrices = 0;
    for tensor in &proto.graph.as_ref().expect("a graph").initializer {
        if let [columns, rows, nr, kr] = tensor.dims[..] {
            assert_eq!([nr, kr], [48, 20], "{}", tensor.name);
            assert_eq!(tensor.raw_data.len() as i64, columns * rows * nr * kr);
            let start = &tensor.raw_data[..256];
            let at = bytes.windows(start.len()).position(|bytes| bytes == start);
            assert!(
                at.expect("its values").is_multiple_of(64),
                "{}",
                tensor.name
            );
            matrices += 1;
        }
    }
    let layers = load(&bytes).expect("a packed file").config().n_layer;
    assert_eq!(matrices, 4 * layers);

    // Both where they lie and where they are repacked.
    for panels in [panels, Panels::of(Kernels::best().isa())] {
        let bytes = std::fs::read(packed(panels).path()).expect("a packed file");
        let mut damaged = pb::ModelProto::decode(bytes.as_slice()).expect("a packed file");
        let weight = "transformer.h.1.mlp.c_fc.weight";
        tensor(&mut damaged, weight).raw_data[0] = 0x80;
        let error = load(&sealed(damaged)).map(|_| ());
        let error = error.expect_err("a weight of -128").to_string();
        assert!(
            error.contains(weight) && error.contains("value 0"),
            "{error}"
        );
    }
}

/// The value of an entry of the metadata, which is added if it is new, before the seal.
fn entry<'a>(proto: &'a mut pb::ModelProto, key: &str) -> &'a mut String {
    let entries = &mut proto.metadata_props;
    let at = entries.iter().position(|entry| entry.key == key);
    let at = at.unwrap_or_else(|| {
        entries.insert(0, pb::StringStringEntryProto::default());
        entries[0].key = key.into();
        0
    });
    &mut entries[at].value
}

#[test]
fn what_a_file_says_of_its_image_processor_is_obeyed_or_refused() {
    let backend = |change: &dyn Fn(&mut pb::ModelProto)| -> Result<&'static str, String> {
        let model = load(&changed(change)).map_err(|error| error.to_string())?;
        Ok(model.processor().config().backend.name())
    };
    let without = |proto: &mut pb::ModelProto| {
        proto.metadata_props.retain(|e| e.key != "igpt.processor");
    };
    // A file from before there was a choice, whatever class its config names.
    assert_eq!(backend(&without), Ok("pil"));
    let fast = |proto: &mut pb::ModelProto| {
        without(proto);
        let json = entry(proto, "igpt.preprocessor");
        *json = json.replace("ImageGPTImageProcessorPil", "ImageGPTImageProcessorFast");
    };
    assert_eq!(backend(&fast), Ok("pil"));
    let torchvision = |proto: &mut pb::ModelProto| {
        *entry(proto, "igpt.format") = "3".into();
        *entry(proto, "igpt.processor") = "torchvision".into();
    };
    assert_eq!(backend(&torchvision), Ok("torchvision"));
    for (format, processor, words) in [
        (
            "1",
            "opencv",
            ["igpt.processor", "opencv", "pil or torchvision"],
        ),
        ("3", "", ["igpt.processor", "\"\"", "pil or torchvision"]),
        ("6", "pil", ["igpt.format is 6", "1 to 5", ""]),
        // Of a file with exits, which this one has not.
        (
            "5",
            "pil",
            ["igpt.format is 5", "1, 2 or 3", "model_type imagegpt"],
        ),
        // A family's own.
        (
            "4",
            "pil",
            ["igpt.format is 4", "1, 2 or 3", "model_type imagegpt"],
        ),
        (
            "inline",
            "pil",
            [
                "igpt.format is inline",
                "--inline",
                "convert the checkpoint without",
            ],
        ),
    ] {
        let error = backend(&|proto: &mut pb::ModelProto| {
            *entry(proto, "igpt.format") = format.into();
            *entry(proto, "igpt.processor") = processor.into();
        });
        let error = error.expect_err(format);
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    }
    let missing = backend(&|proto: &mut pb::ModelProto| {
        without(proto);
        *entry(proto, "igpt.format") = "3".into();
    });
    let missing = missing.expect_err("format 3 without a processor");
    assert!(
        missing.contains("metadata has no igpt.processor"),
        "{missing}"
    );
}
