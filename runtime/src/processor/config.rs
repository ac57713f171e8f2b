//! `preprocessor_config.json` in each of its forms, and back.
//!
//! The hub's files (transformers 4) say `size: 32`, `feature_extractor_type` and leave rescaling
//! to the code; transformers 5 writes every field. Absent fields take the defaults of
//! `ImageGPTImageProcessor` in transformers 5. docs/config.md lists the fields and what becomes of them.

use serde_json::{Value, json};

use crate::config::FieldError;
use crate::config::fields::{Fields, as_usize};

use super::backend::BackendChoice;
use super::{Backend, Resample};

/// Most colours a palette may have. ImageGPT has 512; the bound keeps the search tables of a
/// hostile file below 32 MB.
pub const MAX_COLORS: usize = 4_096;
/// Most pixels of the resized image: the longest sequence a model may have.
const MAX_PIXELS: usize = crate::config::MAX_POSITIONS;
/// Largest magnitude of a cluster or of a normalised value. They are 1 and at most 255 in
/// practice; the bound keeps squares far from overflow.
const MAX_MAGNITUDE: f64 = 65_536.0;

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
        check_size("size", (self.height, self.width))?;
        if let Some(size) = self.crop_size {
            check_size("crop_size", size)?;
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
        let factor = self.rescale_factor;
        // In f32, where the pixels live: a subnormal factor would flush every image to one token.
        if self.do_rescale && !(factor as f32).is_normal() {
            return Err(FieldError::new(
                "rescale_factor",
                factor,
                "a finite number, not zero",
            ));
        }
        for (std, mean) in self.image_std.iter().zip(&self.image_mean) {
            if self.do_normalize && !(*std as f32).is_normal() {
                return Err(FieldError::new(
                    "image_std",
                    std,
                    "finite numbers, none zero",
                ));
            }
            if !mean.is_finite() {
                return Err(FieldError::new("image_mean", mean, "finite numbers"));
            }
        }
        let sane = |x: f64| x.abs() <= MAX_MAGNITUDE;
        let values = self.channel_values();
        if let Some(bad) = values.iter().flatten().find(|v| !sane(f64::from(**v))) {
            let field = "image_mean, image_std and rescale_factor";
            let found = format!("such that a pixel becomes {bad}");
            let expected = format!("values within {MAX_MAGNITUDE}");
            return Err(FieldError::new(field, found, expected));
        }
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
        if self.do_resize && matches!(self.resample, Resample::Box | Resample::Hamming) {
            let expected = "0 (nearest), 1 (lanczos), 2 (bilinear) or 3 (bicubic), which torchvision's \
                            processor knows; PIL's (--processor pil) knows this one too";
            return Err(FieldError::new("resample", self.resample.code(), expected));
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

    /// What each 8-bit value of each channel is rescaled and normalised to, with Hugging Face's
    /// roundings.
    pub(super) fn channel_values(&self) -> [[f32; 256]; 3] {
        match self.backend {
            Backend::Pil => self.values_of_pil(),
            Backend::Torchvision => self.values_of_torchvision(),
        }
    }

    /// Everything in f32, and both steps in one: the level less `mean / factor`, over `std / factor`.
    fn values_of_torchvision(&self) -> [[f32; 256]; 3] {
        let fuse = if self.do_rescale {
            (1.0 / self.rescale_factor) as f32
        } else {
            1.0
        };
        let factor = self.rescale_factor as f32;
        std::array::from_fn(|channel| {
            let mean = self.image_mean[channel] as f32 * fuse;
            let std = self.image_std[channel] as f32 * fuse;
            std::array::from_fn(|level| {
                let x = level as f32;
                if self.do_normalize {
                    (x - mean) / std
                } else if self.do_rescale {
                    x * factor
                } else {
                    x
                }
            })
        })
    }

    /// The product in f64, everything after it in f32.
    fn values_of_pil(&self) -> [[f32; 256]; 3] {
        std::array::from_fn(|channel| {
            let (mean, std) = (
                self.image_mean[channel] as f32,
                self.image_std[channel] as f32,
            );
            std::array::from_fn(|level| {
                let mut x = level as f32;
                if self.do_rescale {
                    x = (level as f64 * self.rescale_factor) as f32;
                }
                if self.do_normalize {
                    x = (x - mean) / std;
                }
                x
            })
        })
    }

    pub(super) fn to_value(&self) -> Value {
        let mut value = json!({
            "clusters": self.clusters,
            "do_color_quantize": self.do_color_quantize,
            "do_normalize": self.do_normalize,
            "do_rescale": self.do_rescale,
            "do_resize": self.do_resize,
            "image_mean": self.image_mean,
            "image_processor_type": self.backend.class(),
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

/// `32`, `[32, 32]` or `{"height": 32, "width": 32}`, as (height, width).
fn size(fields: &Fields<'_>, name: &str) -> Result<Option<(usize, usize)>, FieldError> {
    const EXPECTED: &str =
        "an integer, [height, width] or {\"height\": h, \"width\": w} and no more";
    let Some(value) = fields.get(name) else {
        return Ok(None);
    };
    let read = || match value {
        Value::Array(pair) => match pair.as_slice() {
            [h, w] => Some((as_usize(h)?, as_usize(w)?)),
            _ => None,
        },
        Value::Object(map) => {
            // transformers 5 may spell the unused keys out as null. `shortest_edge` and the like
            // would make the sequence's length depend on the image.
            let known = |key: &str| matches!(key, "height" | "width");
            if map.iter().any(|(k, v)| !known(k) && !v.is_null()) {
                return None;
            }
            Some((as_usize(map.get("height")?)?, as_usize(map.get("width")?)?))
        }
        single => as_usize(single).map(|side| (side, side)),
    };
    // transformers then takes an integer for the shorter side: the other follows from the picture, and with
    // it the number of tokens.
    if name == "size"
        && as_usize(value).is_some()
        && fields.bool("default_to_square")? == Some(false)
    {
        let expected = "true beside an integer size, or size as {\"height\": h, \"width\": w}";
        return Err(FieldError::new("default_to_square", false, expected));
    }
    read()
        .map(Some)
        .ok_or_else(|| FieldError::of_value(name, value, EXPECTED))
}

/// A side at least, and no more pixels than a sequence may have.
fn check_size(field: &str, (height, width): (usize, usize)) -> Result<(), FieldError> {
    for (name, side) in [("height", height), ("width", width)] {
        if !(1..=MAX_PIXELS).contains(&side) {
            let expected = format!("1 to {MAX_PIXELS} pixels");
            return Err(FieldError::new(format!("{field}.{name}"), side, expected));
        }
    }
    if height.checked_mul(width).is_none_or(|n| n > MAX_PIXELS) {
        let expected = format!("at most {MAX_PIXELS} pixels");
        return Err(FieldError::new(
            field,
            format!("{height}x{width}"),
            expected,
        ));
    }
    Ok(())
}

fn resample(fields: &Fields<'_>) -> Result<Option<Resample>, FieldError> {
    let Some(value) = fields.get("resample") else {
        return Ok(None);
    };
    match value.as_u64().and_then(Resample::from_code) {
        Some(filter) => Ok(Some(filter)),
        None => {
            let expected =
                "0 (nearest), 1 (lanczos), 2 (bilinear), 3 (bicubic), 4 (box) or 5 (hamming)";
            Err(FieldError::of_value("resample", value, expected))
        }
    }
}

/// One number for all channels, or three.
fn per_channel(fields: &Fields<'_>, name: &str) -> Result<Option<[f64; 3]>, FieldError> {
    let Some(value) = fields.get(name) else {
        return Ok(None);
    };
    let read = value.as_f64().map(|x| [x; 3]).or_else(|| triple(value));
    read.map(Some)
        .ok_or_else(|| FieldError::of_value(name, value, "a number or three"))
}

fn triple(value: &Value) -> Option<[f64; 3]> {
    match value.as_array()?.as_slice() {
        [r, g, b] => Some([r.as_f64()?, g.as_f64()?, b.as_f64()?]),
        _ => None,
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
