//! The arithmetic of the Mix Transformers, MiT-b0 to b5, as the second table in docs/sizes.md.

use igpt_runtime::SegformerConfig;

use super::{bytes, compare};
use crate::onnx::{Design as _, Dtype, Form, Task};
use crate::segformer::{SizedModel, cost};

const BEGIN: &str = "<!-- mix transformers: begin -->\n";
const END: &str = "<!-- mix transformers: end -->";

fn all() -> [(&'static str, SegformerConfig); 6] {
    let sizes = [
        ("b0", SegformerConfig::b0()),
        ("b1", SegformerConfig::b1()),
        ("b2", SegformerConfig::b2()),
        ("b3", SegformerConfig::b3()),
        ("b4", SegformerConfig::b4()),
        ("b5", SegformerConfig::b5()),
    ];
    sizes.map(|(name, mut config)| {
        config.id2label = (0..1000).map(|class| class.to_string()).collect();
        (name, config)
    })
}

fn file(config: &SegformerConfig, dtype: Dtype) -> u64 {
    let form = Form {
        task: Task::Classify,
        dtype,
        panels: None,
        inline: false,
    };
    let model = SizedModel::new(config, (224, 224)).unwrap();
    let initializers = model.initializers(form, true);
    initializers.iter().map(|i| i.byte_len() as u64).sum()
}

/// Head included.
fn parameters(config: &SegformerConfig) -> f64 {
    let width = config.hidden_sizes.last().unwrap();
    let head = (width + 1) * config.num_labels();
    (config.num_parameters() + head as u64) as f64 / 1e6
}

fn gmac(config: &SegformerConfig, side: usize) -> String {
    let task = Task::Classify.name();
    let (linear, attention) = cost::macs(config, task, (side, side)).unwrap();
    let (linear, attention) = (linear as f64 / 1e9, attention as f64 / 1e9);
    format!("{linear:.2} + {attention:.2}")
}

/// The largest map: what the MLP of the first stage has between its layers, in f32.
fn map(config: &SegformerConfig, side: usize) -> u64 {
    let (rows, columns) = config.grids(side, side).unwrap()[0];
    4 * (rows * columns * config.inner_dim(0)) as u64
}

fn list(numbers: &[usize]) -> String {
    let words: Vec<String> = numbers.iter().map(usize::to_string).collect();
    words.join(" ")
}

fn table() -> String {
    let row = |name: &str, cell: &dyn Fn(&SegformerConfig) -> String| {
        let cells = all().map(|(_, config)| cell(&config));
        format!("| {name} | {} |\n", cells.join(" | "))
    };
    let names = all().map(|(name, _)| name);
    let mut table = format!(
        "|  | {} |\n|---|---|---|---|---|---|---|\n",
        names.join(" | ")
    );
    table += &row("blocks of each stage", &|c| list(&c.depths));
    table += &row("widths", &|c| list(&c.hidden_sizes));
    table += &row("parameters, with a head of 1000 labels", &|c| {
        format!("{:.2} M", parameters(c))
    });
    table += &row("weights in f32", &|c| bytes(file(c, Dtype::F32)));
    table += &row("file in int8", &|c| bytes(file(c, Dtype::Int8)));
    table += &row(
        "GMAC a frame at 224 x 224: linear layers and convolutions + attention",
        &|c| gmac(c, 224),
    );
    table += &row("the same at 512 x 512", &|c| gmac(c, 512));
    table += &row("largest map at 224 x 224, f32", &|c| bytes(map(c, 224)));
    table + &row("the same at 512 x 512", &|c| bytes(map(c, 512)))
}

/// With IGPT_WRITE_DOCS set it writes the table instead of comparing it.
#[test]
fn the_documented_mix_transformers_are_the_computed_ones() {
    compare(BEGIN, END, &table());
}

/// Counted in transformers' models with a head of 1000 labels.
#[test]
fn the_parameters_are_those_of_transformers() {
    let expected = [3.58, 13.66, 24.71, 44.59, 61.36, 81.96];
    for ((name, config), expected) in all().iter().zip(expected) {
        let found = parameters(config);
        assert!((found - expected).abs() < 0.01, "{name}: {found} M");
    }
}
