//! What tensors are called: what training tools put before and between Hugging Face's names is taken off.

use std::collections::BTreeSet;

/// Parts that wrappers of modules put into names: `torch.compile`, FSDP, activation checkpointing.
const WRAPPERS: [&str; 3] = [
    "_orig_mod",
    "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
];
/// The tensor by which the model's own prefix is known: every ImageGPT has it.
const MARK: &str = "wte.weight";
/// What the heads' checkpoints have before the body's names and a bare `ImageGPTModel`'s has not.
const BODY: &str = "transformer.";

/// Hugging Face's name without `transformer.` of each of a checkpoint's tensors.
///
/// Before it may be whatever the model was an attribute of (`module.` of DataParallel and DDP, `model.` of a
/// Lightning module): it is taken off wherever it is.
///
/// # Errors
/// More than one such prefix: weights of several models.
pub(super) fn short(names: &[String]) -> Result<Vec<String>, String> {
    let plain: Vec<String> = names.iter().map(|name| without_wrappers(name)).collect();
    let prefixes: BTreeSet<&str> = plain.iter().filter_map(|name| prefix(name)).collect();
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
        name.strip_prefix(BODY).unwrap_or(name).to_owned()
    };
    Ok(plain.iter().map(short).collect())
}

fn without_wrappers(name: &str) -> String {
    let parts: Vec<&str> = name
        .split('.')
        .filter(|part| !WRAPPERS.contains(part))
        .collect();
    parts.join(".")
}

/// What is before the model's names, if `name` is the tensor that shows it.
fn prefix(name: &str) -> Option<&str> {
    let before = name.strip_suffix(MARK)?;
    let prefix = before.strip_suffix(BODY).unwrap_or(before);
    (prefix.is_empty() || prefix.ends_with('.')).then_some(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shortened(names: &[&str]) -> Result<Vec<String>, String> {
        short(
            &names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>(),
        )
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
            let found = short(&names).unwrap();
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
