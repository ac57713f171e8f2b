//! What tensors are called: what training tools put before and between Hugging Face's names is taken off.

use std::collections::BTreeSet;

use super::spelling::Spelling;
use crate::imagegpt::names as imagegpt;
use crate::segformer::names as segformer;

/// Parts that wrappers of modules put into names: `torch.compile`, FSDP, activation checkpointing.
const WRAPPERS: [&str; 3] = [
    "_orig_mod",
    "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
];
/// Of every family, its names.
const FAMILIES: [Spelling; 2] = [imagegpt::SPELLING, segformer::SPELLING];

/// A tensor's name in use here, or none for what is no weight; of each of a checkpoint's tensors.
///
/// Before Hugging Face's names may be whatever the model was an attribute of (`module.` of DataParallel and DDP,
/// `model.` of a Lightning module): it is taken off wherever it is, and so is the prefix of the family's body.
///
/// # Errors
/// More than one such prefix: weights of several models.
pub(super) fn short(names: &[String]) -> Result<Vec<Option<String>>, String> {
    let plain: Vec<String> = names.iter().map(|name| without_wrappers(name)).collect();
    // Without a tensor of any mark its names are as good as another's: none will be the expected ones.
    let known = |family: &&Spelling| plain.iter().any(|name| prefix(family, name).is_some());
    let family = FAMILIES.iter().find(known).unwrap_or(&FAMILIES[0]);
    let prefixes: BTreeSet<&str> = plain
        .iter()
        .filter_map(|name| prefix(family, name))
        .collect();
    let mut prefixes = prefixes.into_iter();
    let prefix = prefixes.next().unwrap_or("");
    if let Some(other) = prefixes.next() {
        let of = |prefix: &str| match prefix {
            "" => "no prefix".to_owned(),
            prefix => format!("`{prefix}`"),
        };
        return Err(format!(
            "the weights of several models, with {} and with {} before their names; expected one: save its \
             state_dict() alone",
            of(prefix),
            of(other)
        ));
    }
    let short = |name: &String| {
        let name = name.strip_prefix(prefix).unwrap_or(name);
        let name = (family.rename)(name.strip_prefix(family.body).unwrap_or(name));
        (!(family.is_buffer)(&name)).then_some(name)
    };
    Ok(plain.iter().map(short).collect())
}

/// What is wrong with two names of one tensor.
pub(super) fn twice(one: &str, other: &str) -> String {
    let taken_out = "take one of them out of the dict and save it again";
    if one == other {
        format!("tensor `{one}` is there twice")
    } else if without_wrappers(one) == without_wrappers(other) {
        format!(
            "tensors `{one}` and `{other}` are the same one, once what torch.compile and the like put into names is \
             taken off: {taken_out}"
        )
    } else {
        format!(
            "tensors `{one}` and `{other}` are the same one, in an older and a newer spelling: {taken_out}"
        )
    }
}

fn without_wrappers(name: &str) -> String {
    let parts: Vec<&str> = name
        .split('.')
        .filter(|part| !WRAPPERS.contains(part))
        .collect();
    parts.join(".")
}

/// What is before the family's names, if `name` is a tensor that shows it.
fn prefix<'a>(family: &Spelling, name: &'a str) -> Option<&'a str> {
    let mut marks = family.marks.iter();
    let before = marks.find_map(|mark| name.strip_suffix(mark))?;
    let prefix = before.strip_suffix(family.body).unwrap_or(before);
    (prefix.is_empty() || prefix.ends_with('.')).then_some(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shortened(names: &[&str]) -> Result<Vec<String>, String> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        short(&names).map(|names| names.into_iter().flatten().collect())
    }

    #[test]
    fn prefixes_of_training_tools_are_taken_off() {
        for prefix in [
            "",
            "module.",
            "_orig_mod.",
            "_orig_mod.module.",
            "module._orig_mod.",
            "model.",
            "net.backbone.",
            "_fsdp_wrapped_module.",
        ] {
            let names = [
                "transformer.wte.weight",
                "transformer.h.0.ln_1.weight",
                "score.weight",
            ]
            .map(|name| format!("{prefix}{name}"));
            let found: Vec<String> = short(&names).unwrap().into_iter().flatten().collect();
            assert_eq!(
                found,
                ["wte.weight", "h.0.ln_1.weight", "score.weight"],
                "{prefix}"
            );
        }
        assert_eq!(
            shortened(&["m.wte.weight", "m.h.0._orig_mod.ln_1.weight"]).unwrap(),
            ["wte.weight", "h.0.ln_1.weight"]
        );
        // A shard without the tensor that shows a prefix has none of its own.
        assert_eq!(
            shortened(&["transformer.ln_f.weight"]).unwrap(),
            ["ln_f.weight"]
        );
    }

    #[test]
    fn prefixes_come_off_every_family_s_names() {
        for prefix in ["", "module.", "model._orig_mod."] {
            let names = [
                "segformer.encoder.patch_embeddings.0.proj.weight",
                "segformer.stages.0.blocks.0.mlp.fc1.bias",
                "classifier.bias",
            ]
            .map(|name| format!("{prefix}{name}"));
            let found: Vec<String> = short(&names).unwrap().into_iter().flatten().collect();
            assert_eq!(
                found,
                [
                    "stages.0.patch_embeddings.proj.weight",
                    "stages.0.blocks.0.mlp.fc1.bias",
                    "classifier.bias"
                ],
                "{prefix}"
            );
        }
    }

    #[test]
    fn masks_are_no_weights() {
        let names = ["wte.weight", "h.0.attn.bias", "h.0.attn.c_attn.bias"];
        assert_eq!(
            shortened(&names).unwrap(),
            ["wte.weight", "h.0.attn.c_attn.bias"]
        );
    }

    #[test]
    fn what_is_beside_the_model_keeps_its_name() {
        assert_eq!(
            shortened(&["model.wte.weight", "criterion.weight"]).unwrap(),
            ["wte.weight", "criterion.weight"]
        );
        let error =
            shortened(&["student.wte.weight", "teacher.transformer.wte.weight"]).unwrap_err();
        assert!(error.contains("`student.` and with `teacher.`"), "{error}");
        let error = shortened(&["wte.weight", "ema.wte.weight"]).unwrap_err();
        assert!(error.contains("no prefix and with `ema.`"), "{error}");
    }
}
