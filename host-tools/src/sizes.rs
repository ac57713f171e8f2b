//! The arithmetic of ImageGPT's four sizes, as the table in docs/sizes.md: computed here, compared there.

mod segformer;

use std::path::Path;

use igpt_runtime::ImageGptConfig;

use crate::boards::{BOARDS, REACHED};
use crate::imagegpt::cost::macs;
use crate::onnx::{Design as _, Dtype, Form, Task};

const BEGIN: &str = "<!-- sizes: begin -->\n";
const END: &str = "<!-- sizes: end -->";

/// Tokens that pass through a block together.
const TILE: u64 = 64;

/// What a size needs, in bytes unless said otherwise.
struct Size {
    name: &'static str,
    config: ImageGptConfig,
}

impl Size {
    fn all() -> [Self; 4] {
        [
            ("S", ImageGptConfig::small()),
            ("M", ImageGptConfig::medium()),
            ("L", ImageGptConfig::large()),
            ("XL", ImageGptConfig::xl()),
        ]
        .map(|(name, config)| Self { name, config })
    }

    fn file(&self, dtype: Dtype) -> u64 {
        let form = Form {
            task: Task::Features,
            dtype,
            panels: None,
            inline: false,
        };
        let initializers = self.config.initializers(form, false);
        initializers.iter().map(|i| i.byte_len() as u64).sum()
    }

    /// Linear layers and attention of one frame.
    fn macs(&self) -> (u64, u64) {
        macs(&self.config, Task::Features.name(), self.config.n_positions)
    }

    /// int8 keys and values of every block, with a scale for each token and head.
    fn keys_and_values(&self) -> u64 {
        let ImageGptConfig {
            n_layer,
            n_embd,
            n_head,
            n_positions,
            ..
        } = self.config;
        2 * (n_layer * n_positions * (n_embd + 4 * n_head)) as u64
    }

    /// The residual stream of a frame.
    fn stream(&self) -> u64 {
        4 * (self.config.n_positions * self.config.n_embd) as u64
    }

    /// A thread's scratch: the widest intermediate in f32, rows of the stream's width in f32, and quantised
    /// rows.
    fn tile(&self) -> u64 {
        let (c, i) = (self.config.n_embd, self.config.inner_dim());
        TILE * (4 * i.max(3 * c) + 4 * c + i.max(c)) as u64
    }

    /// Weights, keys and values, the stream before and after a block, and scratch for four threads.
    fn resident(&self, weights: u64) -> u64 {
        weights + self.keys_and_values() + 2 * self.stream() + 4 * self.tile()
    }
}

fn row(name: &str, cell: impl Fn(&Size) -> String) -> String {
    let cells: Vec<String> = Size::all().iter().map(cell).collect();
    format!("| {name} | {} |\n", cells.join(" | "))
}

fn bytes(bytes: u64) -> String {
    match bytes {
        0..10_000_000 => format!("{:.2} MB", bytes as f64 / 1e6),
        10_000_000..1_000_000_000 => format!("{:.0} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}

fn seconds(seconds: f64) -> String {
    match seconds {
        ..1.0 => format!("{seconds:.2} s"),
        ..100.0 => format!("{seconds:.1} s"),
        _ => format!("{:.0} min", seconds / 60.0),
    }
}

fn table() -> String {
    let mut table = row("", |size| size.name.to_owned()) + "|---|---|---|---|---|\n";
    table += &row("blocks x width, heads", |Size { config, .. }| {
        format!("{} x {}, {}", config.n_layer, config.n_embd, config.n_head)
    });
    table += &row("tokens", |size| size.config.n_positions.to_string());
    table += &row("parameters, without a head", |size| {
        format!("{:.1} M", size.config.num_parameters() as f64 / 1e6)
    });
    table += &row("weights in f32", |size| bytes(size.file(Dtype::F32)));
    table += &row("file in int8", |size| bytes(size.file(Dtype::Int8)));
    table += &row("file in int4, groups of 32", |size| {
        bytes(size.file(Dtype::Int4))
    });
    table += &row("GMAC a frame: linear + attention", |size| {
        let (linear, attention) = size.macs();
        format!("{:.1} + {:.1}", linear as f64 / 1e9, attention as f64 / 1e9)
    });
    table += &row("keys and values, int8", |size| {
        bytes(size.keys_and_values())
    });
    table += &row("residual stream, f32", |size| bytes(size.stream()));
    table += &row("activations of a tile, each thread", |size| {
        bytes(size.tile())
    });
    table += &row("resident in int8", |size| {
        bytes(size.resident(size.file(Dtype::Int8)))
    });
    table += &row("resident in int4", |size| {
        bytes(size.resident(size.file(Dtype::Int4)))
    });
    for board in &BOARDS {
        let name = format!("{}, up to {} GB", board.name, board.memory_gb);
        table += &row(&name, |size| {
            let (linear, attention) = size.macs();
            let frame = board.estimate(linear + attention, size.file(Dtype::Int8), REACHED);
            let memory = board.memory_gb * 1e9 * 0.8;
            let fits = |weights| size.resident(weights) as f64 <= memory;
            let time = seconds(frame.forecast);
            match (fits(size.file(Dtype::Int8)), fits(size.file(Dtype::Int4))) {
                (true, _) => time,
                (false, true) => format!("{time}, int4 only"),
                (false, false) => "too large".into(),
            }
        });
    }
    table
}

/// Compares what docs/sizes.md has between two marks with what was computed; with IGPT_WRITE_DOCS set it writes it
/// there instead.
fn compare(begin: &str, end: &str, computed: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/sizes.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(begin).unwrap();
    let (documented, after) = rest.split_once(end).unwrap();
    if std::env::var_os("IGPT_WRITE_DOCS").is_some() {
        std::fs::write(&path, [before, begin, computed, end, after].concat()).unwrap();
        return;
    }
    assert_eq!(
        documented, computed,
        "docs/sizes.md: run this test with IGPT_WRITE_DOCS=1 --test-threads=1"
    );
}

#[test]
fn the_documented_sizes_are_the_computed_ones() {
    compare(BEGIN, END, &table());
}

/// The paper says 76 M, 455 M, 1362 M and, of XL, 6801 M: it does not tell all of XL's shapes, and these
/// have 0.15 % more.
#[test]
fn the_parameters_are_the_papers() {
    let [s, m, l, xl] = Size::all();
    let millions = |size: &Size| (size.config.num_parameters() as f64 / 1e6).round();
    let counts = [s, m, l, xl].each_ref().map(millions);
    assert_eq!(counts, [76.0, 455.0, 1362.0, 6811.0]);
}
