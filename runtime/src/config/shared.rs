//! The fields of a `config.json` that every family has: labels, what logits mean, the classes it was saved from.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

use super::fields::Fields;
use super::{Activation, ConfigError, FieldError, MAX_LABELS, ProblemType};

/// `model_type`, which has to be this family's.
pub(crate) fn model_type(fields: &Fields<'_>, expected: &str) -> Result<(), FieldError> {
    let found = match fields.str("model_type")? {
        Some(found) if found == expected => return Ok(()),
        Some(other) => format!("{other:?}"),
        None => "absent".to_owned(),
    };
    Err(FieldError::new(
        "model_type",
        found,
        format!("{expected:?}"),
    ))
}

/// Hugging Face's names for `n` labels that nobody named.
pub(crate) fn default_labels(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("LABEL_{i}")).collect()
}

/// A field under its own name or Hugging Face's alias; both may be present if they agree.
pub(crate) fn aliased(
    fields: &Fields<'_>,
    name: &'static str,
    alias: &'static str,
) -> Result<Option<usize>, FieldError> {
    match (fields.usize(name)?, fields.usize(alias)?) {
        (Some(a), Some(b)) if a != b => Err(FieldError::new(
            alias,
            b,
            format!("the same as {name} = {a}"),
        )),
        (a, b) => Ok(a.or(b)),
    }
}

/// The activation that `field` names.
pub(crate) fn activation(
    fields: &Fields<'_>,
    field: &'static str,
) -> Result<Option<Activation>, ConfigError> {
    let Some(name) = fields.str(field)? else {
        return Ok(None);
    };
    Activation::from_name(name).map(Some).ok_or_else(|| {
        ConfigError::unsupported(
            field,
            format!("{name:?}"),
            "the kernels have quick_gelu, gelu, gelu_new, relu and silu",
        )
    })
}

/// An unknown name is refused: transformers takes it silently, for a softmax.
pub(crate) fn problem_type(fields: &Fields<'_>) -> Result<Option<ProblemType>, FieldError> {
    let Some(name) = fields.str("problem_type")? else {
        return Ok(None);
    };
    ProblemType::from_name(name).map(Some).ok_or_else(|| {
        let names = ProblemType::ALL.map(|kind| format!("{:?}", kind.name()));
        FieldError::new("problem_type", format!("{name:?}"), names.join(", "))
    })
}

/// Keys of other Hugging Face configs that mean other tensors or another computation than the rest of the
/// file says.
pub(crate) fn refuse_what_changes_the_weights(fields: &Fields<'_>) -> Result<(), ConfigError> {
    if let Some(pruned) = fields.object("pruned_heads")?
        && !pruned.is_empty()
    {
        let found = Value::Object(pruned.clone()).to_string();
        let why = "blocks of unequal head counts have no kernel; save the checkpoint unpruned";
        return Err(ConfigError::unsupported("pruned_heads", found, why));
    }
    // Written as an object with a key for each block.
    if let Some(layers) = fields.get("per_layer_config")
        && layers.as_object().is_none_or(|layers| !layers.is_empty())
    {
        return Err(ConfigError::unsupported(
            "per_layer_config",
            "set",
            "every block has the configuration that the other fields give it",
        ));
    }
    if fields.get("quantization_config").is_some() {
        return Err(ConfigError::unsupported(
            "quantization_config",
            "set",
            "its weights are quantised already; start from the floating-point checkpoint",
        ));
    }
    Ok(())
}

/// `id2label` with keys `"0".."n-1"` in any order, or `num_labels` unnamed ones.
///
/// A number as a label is its digits. `label2id` is not read beside it: it is the inverse of `id2label`,
/// and lossy where two classes share a name, as in ImageNet.
pub(crate) fn labels(fields: &Fields<'_>) -> Result<Vec<String>, FieldError> {
    let num_labels = fields.usize("num_labels")?;
    let within = |field, n: usize| {
        if (1..=MAX_LABELS).contains(&n) {
            return Ok(n);
        }
        Err(FieldError::new(
            field,
            n,
            format!("1 to {MAX_LABELS} labels"),
        ))
    };
    let Some(map) = fields.object("id2label")? else {
        let labels = default_labels(within("num_labels", num_labels.unwrap_or(2))?);
        refuse_lone_label2id(fields, &labels)?;
        return Ok(labels);
    };
    let n = within("id2label", map.len())?;
    if let Some(declared) = num_labels
        && declared != n
    {
        return Err(FieldError::new(
            "num_labels",
            declared,
            format!("{n}, as in id2label"),
        ));
    }
    let mut labels: Vec<Option<String>> = vec![None; n];
    for (key, label) in map {
        // "007" and "+7" parse as 7 too: taking them would let two keys name one label.
        let slot = key
            .parse::<usize>()
            .ok()
            .filter(|i| i.to_string() == *key)
            .and_then(|i| labels.get_mut(i))
            .ok_or_else(|| {
                FieldError::new(
                    "id2label",
                    format!("keyed {key:?}"),
                    format!("keys 0 to {}", n - 1),
                )
            })?;
        let name = match label {
            Value::String(name) => name.clone(),
            Value::Number(number) => number.to_string(),
            _ => {
                let field = format!("id2label[{key:?}]");
                return Err(FieldError::of_value(field, label, "a string or a number"));
            }
        };
        *slot = Some(name);
    }
    // n distinct keys below n fill every slot; `flatten` drops nothing.
    Ok(labels.into_iter().flatten().collect())
}

/// transformers takes names from `id2label` alone; without it those of `label2id` would be lost silently.
fn refuse_lone_label2id(fields: &Fields<'_>, labels: &[String]) -> Result<(), FieldError> {
    let Some(map) = fields.object("label2id")? else {
        return Ok(());
    };
    if map.keys().all(|name| labels.contains(name)) {
        return Ok(());
    }
    let expected = "id2label beside it, from which alone transformers takes the labels";
    Err(FieldError::new(
        "label2id",
        "set without id2label",
        expected,
    ))
}

pub(crate) fn architectures(fields: &Fields<'_>) -> Result<Vec<String>, FieldError> {
    let list = fields.array("architectures")?.unwrap_or_default();
    list.iter()
        .map(|v| {
            let name = v.as_str().map(str::to_owned);
            name.ok_or_else(|| FieldError::of_value("architectures", v, "a list of strings"))
        })
        .collect()
}

/// What every family writes of a classifier: `id2label` and its inverse, and `problem_type` only where the checkpoint
/// says it, as Hugging Face does.
pub(crate) fn write_labels(
    value: &mut Value,
    labels: &[String],
    problem_type: Option<ProblemType>,
) {
    let Some(map) = value.as_object_mut() else {
        return;
    };
    let numbered = || labels.iter().enumerate();
    let id2label: Map<String, Value> = numbered()
        .map(|(i, label)| (i.to_string(), Value::from(label.as_str())))
        .collect();
    let label2id: Map<String, Value> = numbered()
        .map(|(i, label)| (label.clone(), Value::from(i)))
        .collect();
    map.insert("id2label".to_owned(), id2label.into());
    map.insert("label2id".to_owned(), label2id.into());
    if let Some(kind) = problem_type {
        map.insert("problem_type".to_owned(), kind.name().into());
    }
    // As Hugging Face writes them. Whether serde_json's maps sort by themselves depends on another crate's features.
    let sorted: BTreeMap<String, Value> = std::mem::take(map).into_iter().collect();
    map.extend(sorted);
}

/// Checks an integer against a field's range.
pub(crate) fn range(
    field: impl Into<String>,
    found: usize,
    least: usize,
    most: usize,
) -> Result<(), FieldError> {
    if (least..=most).contains(&found) {
        return Ok(());
    }
    Err(FieldError::new(
        field,
        found,
        format!("an integer in {least}..={most}"),
    ))
}

/// Checks the number of labels, and that `problem_type` fits it.
pub(crate) fn check_labels(
    labels: &[String],
    problem_type: Option<ProblemType>,
) -> Result<(), FieldError> {
    range("id2label", labels.len(), 1, MAX_LABELS)?;
    if problem_type == Some(ProblemType::SingleLabel) && labels.len() == 1 {
        return Err(FieldError::new(
            "problem_type",
            "\"single_label_classification\" of one label",
            "two labels at least, as in transformers: a yes or no is \
             \"multi_label_classification\", a number \"regression\"",
        ));
    }
    Ok(())
}

/// Reads the file at `path` and has `parse` make a config of its text.
pub(crate) fn read<T>(
    path: &Path,
    parse: impl FnOnce(&str) -> Result<T, ConfigError>,
) -> Result<T, ConfigError> {
    let at = |source: ConfigError| ConfigError::File {
        path: path.to_path_buf(),
        source: Box::new(source),
    };
    let text = std::fs::read_to_string(path).map_err(|e| at(e.into()))?;
    if crate::lfs::is_pointer(text.as_bytes()) {
        return Err(at(ConfigError::LfsPointer));
    }
    parse(&text).map_err(at)
}
