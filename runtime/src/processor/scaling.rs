//! What an 8-bit level becomes: rescaled and normalised, with the roundings of PIL's or torchvision's processor.

use crate::config::FieldError;

use super::Backend;

/// Largest magnitude of a normalised value. They are 1 to 3, and at most 255 in practice; the bound keeps squares far
/// from overflow.
pub(crate) const MAX_MAGNITUDE: f64 = 65_536.0;

/// How a level of a channel becomes a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scaling {
    pub(crate) backend: Backend,
    pub(crate) do_rescale: bool,
    pub(crate) rescale_factor: f64,
    pub(crate) do_normalize: bool,
    pub(crate) image_mean: [f64; 3],
    pub(crate) image_std: [f64; 3],
}

impl Scaling {
    /// Checks that every level becomes a number, and a sane one.
    ///
    /// # Errors
    /// The first field that does not fit.
    pub(crate) fn validate(&self) -> Result<(), FieldError> {
        let factor = self.rescale_factor;
        // In f32, where the pixels live: a subnormal factor would flush every image to one number.
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
        Ok(())
    }

    /// What each 8-bit value of each channel is rescaled and normalised to, with Hugging Face's
    /// roundings.
    pub(crate) fn channel_values(&self) -> [[f32; 256]; 3] {
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
}
