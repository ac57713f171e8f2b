//! GIF: the first frame on its canvas, as Pillow shows it.

use std::num::NonZeroU64;

use gif::{ColorOutput, DecodeOptions, Decoder, MemoryLimit};

use super::{ImageIoError, Pixels, check_size};

pub(super) fn decode(bytes: &[u8], max: u32) -> Result<Pixels, ImageIoError> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    if let Some(limit) = NonZeroU64::new(max.into()) {
        options.set_memory_limit(MemoryLimit::Bytes(limit));
    }
    options.allow_unknown_blocks(true);
    let mut decoder: Decoder<&[u8]> = options.read_info(bytes).map_err(ImageIoError::of_gif)?;
    let (screen_width, screen_height) = (decoder.width(), decoder.height());
    let info = decoder
        .next_frame_info()
        .map_err(ImageIoError::of_gif)?
        .ok_or_else(|| broken("no frame"))
        .map_err(ImageIoError::of_gif)?;
    // A frame that reaches beyond the screen makes it larger.
    let right = u32::from(info.left) + u32::from(info.width);
    let bottom = u32::from(info.top) + u32::from(info.height);
    let (left, top) = (usize::from(info.left), usize::from(info.top));
    let (frame_width, frame_height) = (usize::from(info.width), usize::from(info.height));
    let transparent = info.transparent;
    let width = right.max(screen_width.into());
    let height = bottom.max(screen_height.into());
    let length = check_size(width.into(), height.into(), max)?;

    let colours = palette(&decoder, transparent);
    let mut indices = vec![0; decoder.buffer_size()];
    decoder
        .read_into_buffer(&mut indices)
        .map_err(ImageIoError::of_gif)?;
    if indices.len() != frame_width * frame_height {
        return Err(ImageIoError::of_gif(broken("the first frame is not whole")));
    }
    // Pillow fills what the frame leaves out with the transparent index, or else with index 0.
    let outside = colours[usize::from(transparent.unwrap_or(0))];
    let mut rgb = Vec::with_capacity(length);
    if (frame_width, frame_height) != (width as usize, height as usize) {
        rgb.resize(length, 0);
        rgb.as_chunks_mut::<3>().0.fill(outside);
        let rows = rgb.chunks_exact_mut(3 * width as usize).skip(top);
        for (row, indices) in rows.zip(indices.chunks_exact(frame_width.max(1))) {
            let place = row[3 * left..].as_chunks_mut::<3>().0;
            for (pixel, &index) in place.iter_mut().zip(indices) {
                *pixel = colours[usize::from(index)];
            }
        }
    } else {
        rgb.extend(
            indices
                .iter()
                .flat_map(|&index| colours[usize::from(index)]),
        );
    }
    Ok((width, height, rgb))
}

fn broken(message: &str) -> gif::DecodingError {
    std::io::Error::other(message).into()
}

/// The colour of every index over white.
fn palette(decoder: &Decoder<&[u8]>, transparent: Option<u8>) -> [[u8; 3]; 256] {
    // As in Pillow: what a short palette leaves out is black, without any palette the indices are grey levels.
    let (named, _) = decoder.palette().unwrap_or_default().as_chunks::<3>();
    let mut colours = match named {
        [] => std::array::from_fn(|index| [index as u8; 3]),
        _ => [[0; 3]; 256],
    };
    for (colour, named) in colours.iter_mut().zip(named) {
        *colour = *named;
    }
    if let Some(index) = transparent {
        colours[usize::from(index)] = [255; 3];
    }
    colours
}
