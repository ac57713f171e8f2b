//! `preprocessor_config.json` of this family in each of its forms, and back.
//!
//! The hub's files (transformers 4) say `size: 512`, `feature_extractor_type` and leave rescaling to the code;
//! transformers 5 writes every field. Absent fields take the defaults of `SegformerImageProcessor`. docs/config.md
//! lists the fields and what becomes of them.

use serde_json::{Value, json};

use crate::config::FieldError;
use crate::config::fields::Fields;
use crate::processor::backend::{Class, form_of_5};
use crate::processor::fields::{check_filter, check_size, per_channel, resample, size};
use crate::processor::scaling::Scaling;
use crate::processor::{Backend, BackendChoice, Resample};

/// Most pixels of an input: 2048 x 2048. MiT-b0 then has maps of 128 MiB.
pub(crate) const MAX_PIXELS: usize = 1 << 22;

/// The options of a SegFormer image processor, under Hugging Face's names. There may be more of them later: take the
/// defaults and set what differs.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SegformerProcessorConfig {
    /// Whose arithmetic it is.
    pub backend: Backend,
    /// Height of the resized image in pixels.
    pub height: usize,
    /// Width of the resized image in pixels.
    pub width: usize,
    /// The resampling filter.
    pub resample: Resample,
    /// Multiply by `rescale_factor`.
    pub do_rescale: bool,
    /// 1/255 unless a checkpoint says otherwise.
    pub rescale_factor: f64,
    /// Subtract `image_mean` and divide by `image_std`.
    pub do_normalize: bool,
    /// Per channel.
    pub image_mean: [f64; 3],
    /// Per channel, never zero.
    pub image_std: [f64; 3],
    /// Recorded for round trips: it is of segmentation maps.
    pub do_reduce_labels: Option<bool>,
    /// Recorded for round trips: our images are RGB from the start.
    pub do_convert_rgb: Option<bool>,
}

impl Default for SegformerProcessorConfig {
    /// Hugging Face's defaults: 512 x 512, ImageNet's mean and deviation.
    fn default() -> Self {
        Self {
            backend: Backend::Pil,
            height: 512,
            width: 512,
            resample: Resample::Bilinear,
            do_rescale: true,
            rescale_factor: 1.0 / 255.0,
            do_normalize: true,
            image_mean: [0.485, 0.456, 0.406],
            image_std: [0.229, 0.224, 0.225],
            do_reduce_labels: None,
            do_convert_rgb: None,
        }
    }
}

impl SegformerProcessorConfig {
    /// Reads the fields; [`SegformerProcessorConfig::validate`] judges them. `backend` overrides what they say of it.
    pub(super) fn from_value(value: &Value, backend: Option<Backend>) -> Result<Self, FieldError> {
        let fields = Fields::of("preprocessor_config.json", value)?;
        let choice = Self::backend_of(&fields)?;
        if fields.bool("do_resize")? == Some(false) {
            let expected =
                "true: a model file has one size of input, and no picture comes in just that";
            return Err(FieldError::new("do_resize", false, expected));
        }
        if fields.bool("do_center_crop")? == Some(true) && fields.get("crop_size").is_none() {
            // transformers refuses it, though its SegFormer processors crop nothing.
            let expected = "a size, as do_center_crop is true";
            return Err(FieldError::new("crop_size", "missing", expected));
        }
        let d = Self::default();
        let (height, width) = size(&fields, "size")?.unwrap_or((d.height, d.width));
        Ok(Self {
            backend: backend.unwrap_or(choice.backend),
            height,
            width,
            resample: resample(&fields)?.unwrap_or(d.resample),
            do_rescale: fields.bool("do_rescale")?.unwrap_or(d.do_rescale),
            rescale_factor: fields.f64("rescale_factor")?.unwrap_or(d.rescale_factor),
            do_normalize: fields.bool("do_normalize")?.unwrap_or(d.do_normalize),
            image_mean: per_channel(&fields, "image_mean")?.unwrap_or(d.image_mean),
            image_std: per_channel(&fields, "image_std")?.unwrap_or(d.image_std),
            do_reduce_labels: fields.bool("do_reduce_labels")?,
            do_convert_rgb: fields.bool("do_convert_rgb")?,
        })
    }

    /// Which backend the fields name, and why.
    pub(super) fn backend_of(fields: &Fields<'_>) -> Result<BackendChoice, FieldError> {
        let (backend, because) = match Class::named(fields, "Segformer")? {
            None => (Backend::Pil, "it names no class"),
            Some(Class::FeatureExtractor) => (
                Backend::Pil,
                "SegformerFeatureExtractor was PIL's in transformers 4",
            ),
            Some(Class::Pil) => (Backend::Pil, "it names SegformerImageProcessorPil"),
            Some(Class::Fast) => (Backend::Torchvision, "it names SegformerImageProcessorFast"),
            Some(Class::Plain) if !form_of_5(fields) => (
                Backend::Pil,
                "SegformerImageProcessor without image_mean and rescale_factor is not transformers 5's",
            ),
            Some(Class::Plain) if fields.get("_valid_processor_keys").is_some() => (
                Backend::Pil,
                "SegformerImageProcessor with _valid_processor_keys is transformers 4's, which was PIL's",
            ),
            Some(Class::Plain) => (
                Backend::Torchvision,
                "SegformerImageProcessor is torchvision's in transformers 5",
            ),
        };
        Ok(BackendChoice { backend, because })
    }

    /// Checks every field against its range.
    ///
    /// # Errors
    /// The first field that does not fit.
    pub fn validate(&self) -> Result<(), FieldError> {
        check_size("size", (self.height, self.width), MAX_PIXELS)?;
        check_filter(self.backend, self.resample)?;
        self.scaling().validate()
    }

    /// How a level becomes a number.
    pub(super) fn scaling(&self) -> Scaling {
        Scaling {
            backend: self.backend,
            do_rescale: self.do_rescale,
            rescale_factor: self.rescale_factor,
            do_normalize: self.do_normalize,
            image_mean: self.image_mean,
            image_std: self.image_std,
        }
    }

    pub(super) fn to_value(&self) -> Value {
        let mut value = json!({
            "do_normalize": self.do_normalize,
            "do_rescale": self.do_rescale,
            "do_resize": true,
            "image_mean": self.image_mean,
            "image_processor_type": self.backend.class("Segformer"),
            "image_std": self.image_std,
            "resample": self.resample.code(),
            "rescale_factor": self.rescale_factor,
            "size": {"height": self.height, "width": self.width},
        });
        if let Some(map) = value.as_object_mut() {
            let optional = [
                ("do_reduce_labels", self.do_reduce_labels),
                ("do_convert_rgb", self.do_convert_rgb),
            ];
            let said = optional.into_iter();
            map.extend(said.filter_map(|(key, value)| Some((key.to_owned(), value?.into()))));
        }
        value
    }
}
