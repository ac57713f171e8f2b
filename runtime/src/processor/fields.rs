//! Fields that the `preprocessor_config.json` of every family has.

use serde_json::Value;

use crate::config::FieldError;
use crate::config::fields::{Fields, as_usize};

use super::{Backend, Resample};

/// `32`, `[32, 32]` or `{"height": 32, "width": 32}`, as (height, width).
pub(crate) fn size(fields: &Fields<'_>, name: &str) -> Result<Option<(usize, usize)>, FieldError> {
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

/// The resampling filter.
pub(crate) fn resample(fields: &Fields<'_>) -> Result<Option<Resample>, FieldError> {
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
pub(crate) fn per_channel(fields: &Fields<'_>, name: &str) -> Result<Option<[f64; 3]>, FieldError> {
    let Some(value) = fields.get(name) else {
        return Ok(None);
    };
    let read = value.as_f64().map(|x| [x; 3]).or_else(|| triple(value));
    read.map(Some)
        .ok_or_else(|| FieldError::of_value(name, value, "a number or three"))
}

/// Three numbers.
pub(crate) fn triple(value: &Value) -> Option<[f64; 3]> {
    match value.as_array()?.as_slice() {
        [r, g, b] => Some([r.as_f64()?, g.as_f64()?, b.as_f64()?]),
        _ => None,
    }
}

/// A side at least, and no more than `most` pixels.
pub(crate) fn check_size(
    field: &str,
    (height, width): (usize, usize),
    most: usize,
) -> Result<(), FieldError> {
    for (name, side) in [("height", height), ("width", width)] {
        if !(1..=most).contains(&side) {
            let expected = format!("1 to {most} pixels");
            return Err(FieldError::new(format!("{field}.{name}"), side, expected));
        }
    }
    if height.checked_mul(width).is_none_or(|n| n > most) {
        let expected = format!("at most {most} pixels");
        return Err(FieldError::new(
            field,
            format!("{height}x{width}"),
            expected,
        ));
    }
    Ok(())
}

/// Refuses a filter that this backend does not have.
pub(crate) fn check_filter(backend: Backend, filter: Resample) -> Result<(), FieldError> {
    if backend == Backend::Torchvision && matches!(filter, Resample::Box | Resample::Hamming) {
        let expected = "0 (nearest), 1 (lanczos), 2 (bilinear) or 3 (bicubic), which torchvision's \
                        processor knows; PIL's (--processor pil) knows this one too";
        return Err(FieldError::new("resample", filter.code(), expected));
    }
    Ok(())
}
