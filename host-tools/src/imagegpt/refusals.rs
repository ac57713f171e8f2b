//! Checkpoints that lack what is asked for, and what to do about each.

use anyhow::anyhow;
use igpt_runtime::ImageGptConfig;

use crate::checkpoint::Checkpoint;
use crate::checkpoint::expected::{self, Head};
use crate::conversion::request::Request;
use crate::failure::{Blame as _, Failure, say};
use crate::onnx::Task;

/// A file that takes no images is no use to a camera: it is made when asked for, and for features with a
/// warning, as tokens may be all that is wanted of those.
pub(super) fn without_processor(request: &Request, task: Task) -> Result<(), Failure> {
    let checkpoint = request.checkpoint.display();
    let found = format!("{checkpoint}: no preprocessor_config.json in it");
    let remedy = "--processor-config FILE.json takes it from elsewhere, such as the checkpoint that this one \
                  was fine-tuned from";
    if task == Task::Features {
        say(&format!(
            "{found}: the file takes tokens and no images; {remedy}"
        ));
        return Ok(());
    }
    Err(anyhow!(
        "{found}, which says how an image becomes tokens; {remedy}, and --tokens-only makes a file that \
         takes no images"
    ))
    .bad_input()
}

/// What to do about a checkpoint that has everything but the head, if that is what is wrong with it.
pub(super) fn head_is_missing(
    request: &Request,
    task: Task,
    checkpoint: &Checkpoint,
    config: &ImageGptConfig,
) -> Option<anyhow::Error> {
    // With tensors that nobody expects, one of them may be the head under another name: that is told instead.
    expected::check(checkpoint, config, Head::Any).ok()?;
    let path = request.checkpoint.display();
    let lacks = |tensor: &str| checkpoint.shape(tensor).is_none();
    match task {
        Task::Classify if lacks("score.weight") => Some(anyhow!(
            "{path}: no score.weight in it, so it is no classifier; `igpt probe {path} --data IMAGES -o \
             classifier.onnx` makes one of it, from a folder of images for each class"
        )),
        Task::Causal if lacks("lm_head.weight") => Some(anyhow!(
            "{path}: no lm_head.weight in it, so it predicts no pixels; --task causal needs a checkpoint \
             saved from ImageGPTForCausalImageModeling, such as openai/imagegpt-small"
        )),
        _ => None,
    }
}
