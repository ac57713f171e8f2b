//! Writes the file front to back, one tensor in memory at a time.

use std::io::{self, Write};

use half::f16;
use half::slice::HalfFloatSliceExt;
use igpt_runtime::processor::Backend;
use igpt_runtime::tools::{INT4_GROUP, pack_nibbles};
use prost::Message;
use serde::Serialize;
use thiserror::Error;

use super::design::Design;
use super::pb::{GraphProto, ModelProto, StringStringEntryProto};
use super::plan::{Form, Initializer, Role};
use super::wire::WireWriter;
use super::{alignment, inline, nodes};
use crate::checkpoint::{CheckpointError, Weights, beyond_f16};
use crate::quantization::{Grid, QuantizationError, QuantizedMatrix, transpose};

/// Field numbers of onnx.proto that are written by hand.
mod field {
    pub(super) const MODEL_DOC_STRING: u32 = 6;
    pub(super) const MODEL_GRAPH: u32 = 7;
    pub(super) const MODEL_METADATA: u32 = 14;
    pub(super) const MODEL_FUNCTIONS: u32 = 25;
}

/// Why a file could not be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The checkpoint is at fault.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The output cannot be written.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// How an image becomes tokens, as the metadata has it.
#[derive(Clone, Debug)]
pub struct Preprocessor {
    /// `preprocessor_config.json`.
    pub json: String,
    /// Whose arithmetic it is.
    pub backend: Backend,
}

/// What the metadata says about the file's origin. All but the first are JSON texts.
#[derive(Clone, Debug, Default)]
pub struct Provenance {
    /// How an image becomes tokens, if the checkpoint says it.
    pub preprocessor: Option<Preprocessor>,
    /// Producer and quantisation recipe.
    pub recipe: String,
    /// Checkpoint name and checksums.
    pub source: String,
}

/// What became of one tensor.
#[derive(Clone, Debug, Serialize)]
pub struct TensorReport {
    /// Name in the graph.
    pub name: String,
    /// Shape in the graph.
    pub shape: Vec<usize>,
    /// `int8`, `int4`, `f16` or `f32`.
    pub stored_as: &'static str,
    /// The loss against the checkpoint.
    #[serde(flatten)]
    pub error: QuantizationError,
}

/// Writes the model to `out` and returns a report per tensor, and the number of bytes written.
///
/// `weights` must have every tensor in the shape that `design` gives it: a checkpoint must have passed
/// [`crate::checkpoint::expected::check`]. `progress` is told the bytes of
/// each initializer as it is written, out of the total that its first call announces as `(0, total)`.
///
/// # Errors
/// A tensor that cannot be read or is not finite; an output that cannot be written.
pub fn write<W: Write>(
    out: W,
    weights: &impl Weights,
    design: &impl Design,
    form: Form,
    provenance: &Provenance,
    mut progress: impl FnMut(u64, u64),
) -> Result<(Vec<TensorReport>, u64), WriteError> {
    let mut out = WireWriter::new(out);
    let head = ModelProto {
        ir_version: 10,
        opset_import: if form.inline {
            nodes::standard_opsets()
        } else {
            nodes::opsets()
        },
        producer_name: "igpt".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        ..ModelProto::default()
    };
    out.raw(&head.encode_to_vec())?;
    let head_bias = weights.head_bias();
    let plan = design.initializers(form, head_bias);
    let graph = design.graph(form, head_bias);
    let functions = design.functions(form, head_bias);
    let (graph, functions) = if form.inline {
        (inline::inlined(graph, &functions), Vec::new())
    } else {
        (graph, functions)
    };
    let total = plan.iter().map(|i| i.byte_len() as u64).sum();
    progress(0, total);
    let reports = write_graph(&mut out, &graph, &plan, weights, |bytes| {
        progress(bytes, total)
    })?;
    for function in &functions {
        out.message(field::MODEL_FUNCTIONS, function)?;
    }
    for (key, value) in metadata(design, form, provenance) {
        out.message(
            field::MODEL_METADATA,
            &StringStringEntryProto {
                key: key.into(),
                value,
            },
        )?;
    }
    // The reader takes the last 24 bytes: this entry, whose length is fixed by its two strings.
    let value = format!("{:08x}", out.crc32());
    out.message(
        field::MODEL_METADATA,
        &StringStringEntryProto {
            key: "igpt.crc32".into(),
            value,
        },
    )?;
    let written = out.written();
    Ok((reports, written))
}

fn metadata(
    design: &impl Design,
    form: Form,
    provenance: &Provenance,
) -> Vec<(&'static str, String)> {
    let backend = provenance.preprocessor.as_ref().map(|p| p.backend);
    let format = match form.inline {
        true => "inline",
        false => design.format(form, backend),
    };
    let mut entries = vec![("igpt.format", format.to_owned())];
    entries.extend(
        form.panels
            .map(|panels| ("igpt.panels", panels.to_string())),
    );
    entries.extend([
        ("igpt.task", form.task.name().to_owned()),
        ("igpt.dtype", form.dtype.name().to_owned()),
        ("igpt.config", design.config()),
    ]);
    entries.extend(design.metadata());
    if let Some(Preprocessor { json, backend }) = &provenance.preprocessor {
        entries.push(("igpt.processor", backend.name().to_owned()));
        entries.push(("igpt.preprocessor", json.clone()));
    }
    entries.push(("igpt.recipe", provenance.recipe.clone()));
    entries.push(("igpt.source", provenance.source.clone()));
    entries
}

/// The graph as one length-delimited field: its length is known from the plan before any weight is read.
fn write_graph<W: Write>(
    out: &mut WireWriter<W>,
    graph: &GraphProto,
    plan: &[Initializer],
    weights: &impl Weights,
    mut progress: impl FnMut(u64),
) -> Result<Vec<TensorReport>, WriteError> {
    let rest = graph.encode_to_vec();
    let mut length = rest.len();
    let mut heads = Vec::with_capacity(plan.len());
    for initializer in plan {
        let head = alignment::head(initializer, length);
        length += head.len() + initializer.byte_len();
        heads.push(head);
    }
    if plan.iter().any(|initializer| initializer.panels.is_some()) {
        let (text, graph) = (field::MODEL_DOC_STRING, field::MODEL_GRAPH);
        out.raw(&alignment::before(text, out.written(), graph, length))?;
    }
    out.begin(field::MODEL_GRAPH, length)?;
    out.raw(&rest)?;
    let mut reports = Vec::new();
    let mut carried = Carried::default();
    for (initializer, head) in plan.iter().zip(&heads) {
        out.raw(head)?;
        if let Some(report) = write_values(out, initializer, weights, &mut carried)? {
            reports.push(report);
        }
        progress(initializer.byte_len() as u64);
    }
    Ok(reports)
}

/// What the initializers after a matrix hold.
#[derive(Default)]
struct Carried {
    multipliers: Vec<u8>,
    scales: Vec<f32>,
}

/// Writes one initializer's values, and leaves to the initializers after it what belongs there.
fn write_values<W: Write>(
    out: &mut WireWriter<W>,
    initializer: &Initializer,
    weights: &impl Weights,
    carried: &mut Carried,
) -> Result<Option<TensorReport>, WriteError> {
    let read = || weights.to_f32(&initializer.tensor);
    let (stored_as, error) = match initializer.role {
        Role::F32 | Role::TransposedF32 => {
            let values = read()?;
            let values = if initializer.role == Role::F32 {
                values
            } else {
                transpose(
                    &values,
                    initializer.dims.first().copied().unwrap_or_default(),
                )
            };
            write_f32(out, &values)?;
            (
                "f32",
                QuantizationError::measure(&values, values.iter().copied()),
            )
        }
        Role::F16 => {
            let values = read()?;
            let mut halves = vec![f16::ZERO; values.len()];
            halves.convert_from_f32_slice(&values);
            // An embedding beyond float16's range would become infinite: the board would refuse it.
            if let Some(index) = halves.iter().position(|half| !half.is_finite()) {
                return Err(beyond_f16(weights, &initializer.tensor, index, &values).into());
            }
            out.raw(
                &halves
                    .iter()
                    .flat_map(|half| half.to_le_bytes())
                    .collect::<Vec<u8>>(),
            )?;
            (
                "f16",
                QuantizationError::measure(&values, halves.iter().map(|half| half.to_f32())),
            )
        }
        Role::Int8 { transposed } => {
            let quantized = quantized(initializer, weights, Grid::Int8, transposed)?;
            match (initializer.panels, initializer.dims.as_slice()) {
                (Some(panels), [k, n]) => out.raw(&panels.pack(&quantized.values, *k, *n))?,
                _ => out.raw(bytemuck::cast_slice(&quantized.values))?,
            }
            carried.scales = quantized.scales;
            ("int8", quantized.error)
        }
        Role::Int4 => {
            let quantized = quantized(initializer, weights, Grid::Int4, false)?;
            carried.multipliers = quantized.multipliers.unwrap_or_default();
            let outputs = quantized.scales.len().max(1);
            let rows = quantized.values.chunks(outputs).enumerate();
            let int4: Vec<i8> = rows
                .flat_map(|(row, values)| {
                    let group = carried.multipliers.iter().skip(row / INT4_GROUP * outputs);
                    values.iter().zip(group).map(|(value, m)| value / *m as i8)
                })
                .collect();
            out.raw(&pack_nibbles(&int4))?;
            carried.scales = quantized.scales;
            ("int4", quantized.error)
        }
        Role::Multipliers => {
            let less_one: Vec<i8> = carried.multipliers.iter().map(|m| *m as i8 - 1).collect();
            out.raw(&pack_nibbles(&less_one))?;
            return Ok(None);
        }
        Role::Scales => {
            write_f32(out, &carried.scales)?;
            return Ok(None);
        }
        Role::Zeros => {
            write_f32(out, &vec![0.0; initializer.dims.iter().product()])?;
            return Ok(None);
        }
    };
    let (name, shape) = (initializer.name.clone(), initializer.dims.clone());
    Ok(Some(TensorReport {
        name,
        shape,
        stored_as,
        error,
    }))
}

/// A matrix on its grid: as it was prepared, or else each weight to the nearest. `transposed` if the tensor
/// is `[out, in]`.
fn quantized(
    initializer: &Initializer,
    weights: &impl Weights,
    grid: Grid,
    transposed: bool,
) -> Result<QuantizedMatrix, CheckpointError> {
    if let Some(quantized) = weights.quantized(&initializer.tensor)? {
        return Ok(quantized);
    }
    let values = weights.to_f32(&initializer.tensor)?;
    let outputs = initializer.dims.last().copied().unwrap_or_default();
    let inputs = initializer.dims.first().copied().unwrap_or_default();
    let values = if transposed {
        transpose(&values, inputs)
    } else {
        values
    };
    Ok(grid.quantize(&values, outputs))
}

/// Little-endian, whatever the machine's order.
fn write_f32<W: Write>(out: &mut WireWriter<W>, values: &[f32]) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(values.len() * 4);
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    out.raw(&bytes)
}
