//! SegFormer's names in a checkpoint: two spellings, of which the newer is used here.
//!
//! The hub's checkpoints have the older one, and transformers 5 still saves it; its models in memory have the
//! newer one, and so has what is saved of them by other means. Both are read, and any mixture.

use crate::checkpoint::spelling::Spelling;

/// Hugging Face's names.
pub(crate) const SPELLING: Spelling = Spelling {
    marks: &[
        "encoder.patch_embeddings.0.proj.weight",
        "stages.0.patch_embeddings.proj.weight",
    ],
    body: "segformer.",
    rename,
    is_buffer: |_| false,
};

/// Parts of a block's names, older and newer.
const PARTS: [(&str, &str); 10] = [
    ("attention.self.query", "attention.q_proj"),
    ("attention.self.key", "attention.k_proj"),
    ("attention.self.value", "attention.v_proj"),
    (
        "attention.self.sr",
        "attention.sequence_reduction.sequence_reduction",
    ),
    (
        "attention.self.layer_norm",
        "attention.sequence_reduction.layer_norm",
    ),
    ("attention.output.dense", "attention.o_proj"),
    ("mlp.dense1", "mlp.fc1"),
    ("mlp.dense2", "mlp.fc2"),
    ("layer_norm_1", "layernorm_before"),
    ("layer_norm_2", "layernorm_after"),
];

/// The newer name of a tensor; of one that has it, or that no rule knows, its own.
fn rename(name: &str) -> String {
    let Some(name) = staged(name) else {
        return name.to_owned();
    };
    let renamed = PARTS.iter().find_map(|(old, new)| {
        let (before, after) = name.split_once(old)?;
        // Whole parts between dots: `layer_norm_1` is no part of `layer_norm_12`.
        let whole = before.ends_with('.') && after.starts_with('.');
        whole.then(|| format!("{before}{new}{after}"))
    });
    renamed.unwrap_or(name)
}

/// `encoder.block.0.1.` and its like as `stages.0.blocks.1.`; the name itself if it begins with `stages.`,
/// nothing for one of neither kind.
fn staged(name: &str) -> Option<String> {
    let Some(rest) = name.strip_prefix("encoder.") else {
        return name.starts_with("stages.").then(|| name.to_owned());
    };
    let (part, rest) = rest.split_once('.')?;
    let (stage, rest) = rest.split_once('.')?;
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !number(stage) {
        return None;
    }
    match part {
        "patch_embeddings" | "layer_norm" => Some(format!("stages.{stage}.{part}.{rest}")),
        "block" => Some(format!("stages.{stage}.blocks.{rest}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_older_name_has_its_newer_one() {
        for (old, new) in [
            (
                "encoder.patch_embeddings.2.proj.weight",
                "stages.2.patch_embeddings.proj.weight",
            ),
            (
                "encoder.patch_embeddings.0.layer_norm.bias",
                "stages.0.patch_embeddings.layer_norm.bias",
            ),
            ("encoder.layer_norm.3.weight", "stages.3.layer_norm.weight"),
            (
                "encoder.block.1.12.layer_norm_1.bias",
                "stages.1.blocks.12.layernorm_before.bias",
            ),
            (
                "encoder.block.1.0.layer_norm_2.weight",
                "stages.1.blocks.0.layernorm_after.weight",
            ),
            (
                "encoder.block.0.0.attention.self.query.weight",
                "stages.0.blocks.0.attention.q_proj.weight",
            ),
            (
                "encoder.block.0.0.attention.self.key.bias",
                "stages.0.blocks.0.attention.k_proj.bias",
            ),
            (
                "encoder.block.0.0.attention.self.value.bias",
                "stages.0.blocks.0.attention.v_proj.bias",
            ),
            (
                "encoder.block.0.0.attention.self.sr.weight",
                "stages.0.blocks.0.attention.sequence_reduction.sequence_reduction.weight",
            ),
            (
                "encoder.block.0.0.attention.self.layer_norm.weight",
                "stages.0.blocks.0.attention.sequence_reduction.layer_norm.weight",
            ),
            (
                "encoder.block.0.0.attention.output.dense.bias",
                "stages.0.blocks.0.attention.o_proj.bias",
            ),
            (
                "encoder.block.0.0.mlp.dense1.weight",
                "stages.0.blocks.0.mlp.fc1.weight",
            ),
            (
                "encoder.block.0.0.mlp.dense2.weight",
                "stages.0.blocks.0.mlp.fc2.weight",
            ),
            (
                "encoder.block.0.0.mlp.dwconv.dwconv.weight",
                "stages.0.blocks.0.mlp.dwconv.dwconv.weight",
            ),
            (
                "stages.0.blocks.0.mlp.dense1.weight",
                "stages.0.blocks.0.mlp.fc1.weight",
            ),
        ] {
            assert_eq!(rename(old), new);
            assert_eq!(rename(new), new);
        }
        for other in [
            "classifier.weight",
            "encoder.head.weight",
            "decode_head.classifier.weight",
            "encoder.block.x.0.a",
        ] {
            assert_eq!(rename(other), other);
        }
    }
}
