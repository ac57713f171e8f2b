//! What is no SegFormer classifier, and what to do about each.

use anyhow::anyhow;
use igpt_runtime::SegformerConfig;

use crate::checkpoint::expected::{self, Head};
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::conversion::request::Request;
use crate::failure::{Blame as _, Failure};
use crate::onnx::{Dtype, Task};

/// A published classifier, for those who have something else.
const CLASSIFIER: &str = "nvidia/mit-b0";

/// Options that mean nothing for this family.
pub(super) fn check_options(request: &Request, has_processor: bool) -> Result<(), Failure> {
    let checkpoint = request.checkpoint.display();
    let refused = if request.dtype == Dtype::Int4 {
        "--dtype int4 is for ImageGPT: files of a SegFormer are int8 or f32; take int8"
    } else if request.task == Some(Task::Causal) {
        "it predicts no pixels, so that nothing can be completed or painted, and --task causal is for ImageGPT: take \
         classify or features"
    } else if request.tokens_only && has_processor {
        "--tokens-only is for ImageGPT: a SegFormer reads pixels, not tokens; leave it out"
    } else {
        return Ok(());
    };
    Err(anyhow!("{checkpoint}: a SegFormer: {refused}")).misused()
}

/// Refuses classes that are saved under the same `model_type` and are no classifier.
pub(super) fn check_class(request: &Request, config: &SegformerConfig) -> Result<(), Failure> {
    let checkpoint = request.checkpoint.display();
    let is = |class: &str| config.architectures.iter().any(|name| name == class);
    if is("SegformerForSemanticSegmentation") {
        return Err(segmentation(&checkpoint.to_string())).bad_input();
    }
    if request.task.is_none() && is("SegformerModel") {
        return Err(bare(&checkpoint.to_string())).bad_input();
    }
    Ok(())
}

/// What is wrong with tensors that are not the expected ones: by name, where it is known what they are.
pub(super) fn explain(
    request: &Request,
    task: Task,
    checkpoint: &Checkpoint,
    config: &SegformerConfig,
    error: CheckpointError,
) -> anyhow::Error {
    let path = request.checkpoint.display().to_string();
    let mut names = checkpoint.names();
    if names.any(|name| name.starts_with("decode_head.")) {
        return segmentation(&path);
    }
    let mut names = checkpoint.names();
    if names.any(|name| name.ends_with("patch_embed1.proj.weight")) {
        return anyhow!(
            "{path}: the names of NVIDIA's own code (`patch_embed1.proj.weight`): convert it with transformers' \
             convert_segformer_original_to_pytorch.py, or take the converted one from the hub: {CLASSIFIER}"
        );
    }
    let lacks = |tensor: &str| checkpoint.shape(tensor).is_none();
    let headless = task == Task::Classify && lacks("classifier.weight") && lacks("classifier.bias");
    // With tensors that nobody expects, one of them may be the head under another name: that is told instead.
    if headless && expected::check(checkpoint, config, Head::Any).is_ok() {
        return bare(&path);
    }
    error.into()
}

fn segmentation(checkpoint: &str) -> anyhow::Error {
    anyhow!(
        "{checkpoint}: a segmentation model (decode_head.*, no classifier), which marks every pixel: igpt converts \
         classifiers, such as {CLASSIFIER}"
    )
}

fn bare(checkpoint: &str) -> anyhow::Error {
    anyhow!(
        "{checkpoint}: a bare encoder, without a classifier: `igpt probe {checkpoint} --data IMAGES -o classifier.onnx` \
         makes a classifier of it, from a folder of images for each class; `--task features` makes a file that gives \
         the hidden states of its stages; {CLASSIFIER} has a classifier"
    )
}

/// What is wrong with a checkpoint that does not say how large its pictures are.
pub(super) fn without_processor(request: &Request) -> Failure {
    Failure::BadInput(anyhow!(
        "{}: no preprocessor_config.json in it, which says how a picture becomes pixel values; --processor-config \
         FILE.json takes it from elsewhere, such as the checkpoint that this one was fine-tuned from (a SegFormer reads \
         no tokens: --tokens-only is no way around it)",
        request.checkpoint.display()
    ))
}
