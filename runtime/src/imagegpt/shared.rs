//! What a classifier and its sessions have in common.

use std::sync::Arc;

use super::model::ImageGptModel;
use crate::classification::Meaning;
use crate::processor::ImageGptImageProcessor;

/// What a classifier and its sessions have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) model: ImageGptModel,
    pub(super) processor: Arc<ImageGptImageProcessor>,
    pub(super) meaning: Meaning,
}
