//! `preprocessor_config.json` in each of its forms, and back.
//!
//! The hub's files (transformers 4) say `size: 32`, `feature_extractor_type` and leave rescaling
//! to the code; transformers 5 writes every field. Absent fields take the defaults of
//! `ImageGPTImageProcessor` in transformers 5. docs/config.md lists the fields and what becomes of them.

use serde_json::{Value, json};

use crate::config::FieldError;
use crate::config::fields::Fields;

use super::backend::BackendChoice;
use super::fields::{check_filter, check_size, per_channel, resample, size, triple};
use super::scaling::{MAX_MAGNITUDE, Scaling};
use super::{Backend, Resample};

/// Most colours a palette may have. ImageGPT has 512; the bound keeps the search tables of a
/// hostile file below 32 MB.
pub const MAX_COLORS: usize = 4_096;
/// Most pixels of the resized image: the longest sequence a model may have.
const MAX_PIXELS: usize = crate::config::MAX_POSITIONS;
/// The options of an ImageGPT image processor, under Hugging Face's names. There may be more of them later: take
/// [`ProcessorConfig::new`] or the defaults and set what differs.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ProcessorConfig {
    /// Whose arithmetic it is.
    pub backend: Backend,
    /// Resize to `height` x `width` first; otherwise every pixel of the image is a token.
    pub do_resize: bool,
    /// Height of the resized image in pixels.
    pub height: usize,
    /// Width of the resized image in pixels.
    pub width: usize,
    /// The resampling filter.
    pub resample: Resample,
    /// torchvision's processor then takes the middle of the image, of `crop_size`; PIL's ignores both.
    pub do_center_crop: Option<bool>,
    /// (height, width) in pixels.
    pub crop_size: Option<(usize, usize)>,
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
    /// Give tokens rather than pixel values.
    pub do_color_quantize: bool,
    /// Recorded for round trips: our images are RGB from the start.
    pub do_convert_rgb: Option<bool>,
    /// The palette, in normalised colour: token `t` is `clusters[t]`.
    pub clusters: Vec<[f64; 3]>,
}

impl Default for ProcessorConfig {
    /// Hugging Face's defaults, with an empty palette.
    fn default() -> Self {
        Self {
            backend: Backend::Pil,
            do_resize: true,
            height: 256,
            width: 256,
            resample: Resample::Bilinear,
            do_center_crop: None,
            crop_size: None,
            do_rescale: true,
            rescale_factor: 1.0 / 255.0,
            do_normalize: true,
            image_mean: [0.5; 3],
            image_std: [0.5; 3],
            do_color_quantize: true,
            do_convert_rgb: None,
            clusters: Vec::new(),
        }
    }
}

impl ProcessorConfig {
    /// The defaults with this palette, in normalised colour.
    #[must_use]
    pub fn new(clusters: Vec<[f64; 3]>) -> Self {
        Self {
            clusters,
            ..Self::default()
        }
    }

    /// Reads the fields; [`ProcessorConfig::validate`] judges them. `backend` overrides what they say of it.
    pub(super) fn from_value(value: &Value, backend: Option<Backend>) -> Result<Self, FieldError> {
        let fields = Fields::of("preprocessor_config.json", value)?;
        let clusters = clusters(&fields)?;
        let choice = BackendChoice::of(&fields, &clusters)?;
        let d = Self::default();
        let (height, width) = size(&fields, "size")?.unwrap_or((d.height, d.width));
        Ok(Self {
            backend: backend.unwrap_or(choice.backend),
            do_resize: fields.bool("do_resize")?.unwrap_or(d.do_resize),
            height,
            width,
            resample: resample(&fields)?.unwrap_or(d.resample),
            do_center_crop: fields.bool("do_center_crop")?,
            crop_size: size(&fields, "crop_size")?,
            do_rescale: fields.bool("do_rescale")?.unwrap_or(d.do_rescale),
            rescale_factor: fields.f64("rescale_factor")?.unwrap_or(d.rescale_factor),
            do_normalize: fields.bool("do_normalize")?.unwrap_or(d.do_normalize),
            image_mean: per_channel(&fields, "image_mean")?.unwrap_or(d.image_mean),
            image_std: per_channel(&fields, "image_std")?.unwrap_or(d.image_std),
            do_color_quantize: fields
                .bool("do_color_quantize")?
                .unwrap_or(d.do_color_quantize),
            do_convert_rgb: fields.bool("do_convert_rgb")?,
            clusters,
        })
    }

    /// Which backend the fields name, and why.
    pub(super) fn backend_of(fields: &Fields<'_>) -> Result<BackendChoice, FieldError> {
        BackendChoice::of(fields, &clusters(fields)?)
    }

    /// Checks every field against its range.
    ///
    /// # Errors
    /// The first field that does not fit.
    pub fn validate(&self) -> Result<(), FieldError> {
        check_size("size", (self.height, self.width), MAX_PIXELS)?;
        if let Some(size) = self.crop_size {
            check_size("crop_size", size, MAX_PIXELS)?;
        } else if self.do_center_crop == Some(true) {
            // Both of transformers' processors refuse it, though PIL's then ignores what it asked for.
            return Err(FieldError::new(
                "crop_size",
                "missing",
                "a size, as do_center_crop is true",
            ));
        }
        if self.backend == Backend::Torchvision {
            self.check_torchvision()?;
        }
        self.scaling().validate()?;
        let sane = |x: f64| x.abs() <= MAX_MAGNITUDE;
        if self.do_color_quantize && !(1..=MAX_COLORS).contains(&self.clusters.len()) {
            let expected = format!("1 to {MAX_COLORS} colours");
            return Err(FieldError::new("clusters", self.clusters.len(), expected));
        }
        for (i, color) in self.clusters.iter().enumerate() {
            if !color.iter().copied().all(sane) {
                let expected = format!("three numbers within {MAX_MAGNITUDE}");
                return Err(FieldError::new(
                    format!("clusters[{i}]"),
                    format!("{color:?}"),
                    expected,
                ));
            }
        }
        Ok(())
    }

    /// What torchvision's processor does not do, or does to no purpose.
    fn check_torchvision(&self) -> Result<(), FieldError> {
        if self.do_resize {
            check_filter(self.backend, self.resample)?;
        }
        if self.do_color_quantize && !self.do_rescale && !self.do_normalize {
            let expected = "true, or do_normalize: without both torchvision's processor compares colours in \
                            8-bit integers that wrap; PIL's (--processor pil) does not";
            return Err(FieldError::new("do_rescale", "false", expected));
        }
        Ok(())
    }

    /// (height, width) of the image that becomes tokens, if anything in the options fixes it.
    #[must_use]
    pub fn output_size(&self) -> Option<(usize, usize)> {
        match self.crop() {
            Some(size) => Some(size),
            None => self.do_resize.then_some((self.height, self.width)),
        }
    }

    /// (height, width) of the crop, if there is one.
    pub(super) fn crop(&self) -> Option<(usize, usize)> {
        let crops = self.backend == Backend::Torchvision && self.do_center_crop == Some(true);
        self.crop_size.filter(|_| crops)
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
            "clusters": self.clusters,
            "do_color_quantize": self.do_color_quantize,
            "do_normalize": self.do_normalize,
            "do_rescale": self.do_rescale,
            "do_resize": self.do_resize,
            "image_mean": self.image_mean,
            "image_processor_type": self.backend.class("ImageGPT"),
            "image_std": self.image_std,
            "resample": self.resample.code(),
            "rescale_factor": self.rescale_factor,
            "size": {"height": self.height, "width": self.width},
        });
        if let Some(map) = value.as_object_mut() {
            let size = |(height, width): (usize, usize)| json!({"height": height, "width": width});
            let optional = [
                ("do_center_crop", self.do_center_crop.map(Value::from)),
                ("crop_size", self.crop_size.map(size)),
                ("do_convert_rgb", self.do_convert_rgb.map(Value::from)),
            ];
            map.extend(
                optional
                    .into_iter()
                    .filter_map(|(key, value)| Some((key.to_owned(), value?))),
            );
        }
        value
    }
}

fn clusters(fields: &Fields<'_>) -> Result<Vec<[f64; 3]>, FieldError> {
    let list = fields.array("clusters")?.unwrap_or_default();
    if list.len() > MAX_COLORS {
        let expected = format!("at most {MAX_COLORS} colours");
        return Err(FieldError::new(
            "clusters",
            format!("{} long", list.len()),
            expected,
        ));
    }
    list.iter()
        .enumerate()
        .map(|(i, color)| {
            let field = || format!("clusters[{i}]");
            triple(color).ok_or_else(|| FieldError::of_value(field(), color, "three numbers"))
        })
        .collect()
}
