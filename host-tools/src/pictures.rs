//! Pictures that verbs write: small images enlarged and set side by side, in the format that the file's name says.

use std::path::Path;

use anyhow::{Context as _, anyhow};
use igpt_runtime::DecodedImage;
use image::codecs::jpeg::JpegEncoder;
use image::{ImageFormat, Rgb, RgbImage};

use crate::failure::{Blame as _, Failure};
use crate::output;

/// Between the cells of a grid, in pixels.
const GAP: u32 = 4;
/// Most pixels of a picture we write: beyond it a grid is a mistake.
const MAX_PIXELS: u64 = 100_000_000;

/// Of 100; flat squares of colour show what a lower one does to them.
const JPEG_QUALITY: u8 = 95;
/// The formats that are written, by the extension of the name.
const FORMATS: [(&str, ImageFormat); 8] = [
    ("png", ImageFormat::Png),
    ("jpg", ImageFormat::Jpeg),
    ("jpeg", ImageFormat::Jpeg),
    ("webp", ImageFormat::WebP),
    ("bmp", ImageFormat::Bmp),
    ("tif", ImageFormat::Tiff),
    ("tiff", ImageFormat::Tiff),
    ("ppm", ImageFormat::Pnm),
];

/// What a picture of this name holds; a name without an extension says nothing, and gets a PNG.
///
/// # Errors
/// An extension of no format that is written (the command line is wrong).
pub fn format_of(path: &Path) -> Result<ImageFormat, Failure> {
    let Some(extension) = path.extension() else {
        return Ok(ImageFormat::Png);
    };
    let known = |(name, _): &&(&str, ImageFormat)| extension.eq_ignore_ascii_case(name);
    let found = FORMATS.iter().find(known).map(|(_, format)| *format);
    let names = || FORMATS.map(|(name, _)| name).join(", ");
    found
        .ok_or_else(|| {
            anyhow!(
                "{}: .{} is no format that is written, expected a name that ends in one of {}",
                path.display(),
                extension.to_string_lossy(),
                names()
            )
        })
        .misused()
}

/// Cells of one size in rows, white between them.
#[derive(Debug)]
pub struct Grid {
    image: RgbImage,
    cell: (u32, u32),
    scale: u32,
}

impl Grid {
    /// An empty grid for images of `cell` (width, height) pixels, each enlarged `scale` times.
    ///
    /// # Errors
    /// A grid that would be larger than 100 megapixels.
    pub fn new(
        columns: usize,
        rows: usize,
        cell: (usize, usize),
        scale: usize,
    ) -> anyhow::Result<Self> {
        let side = |count: usize, size: usize| {
            let size = size.checked_mul(scale)?.checked_add(GAP as usize)?;
            u32::try_from(size.checked_mul(count)?.checked_add(GAP as usize)?).ok()
        };
        let sides = side(columns, cell.0).zip(side(rows, cell.1));
        let sides = sides.filter(|(w, h)| u64::from(*w) * u64::from(*h) <= MAX_PIXELS);
        let (width, height) = sides.ok_or_else(|| {
            anyhow!(
                "{columns} x {rows} images of {} x {} at {scale} times their size: \
                 more than {MAX_PIXELS} pixels",
                cell.0,
                cell.1
            )
        })?;
        Ok(Self {
            image: RgbImage::from_pixel(width, height, Rgb([255; 3])),
            // Both fit: the sides, which are larger, do.
            cell: (cell.0 as u32, cell.1 as u32),
            scale: scale as u32,
        })
    }

    /// Draws `picture`, of the cell's size, into a cell. One outside the grid is not drawn.
    pub fn put(&mut self, column: usize, row: usize, picture: &DecodedImage) {
        let origin = |index: usize, size: u32| GAP + index as u32 * (size * self.scale + GAP);
        let (left, top) = (origin(column, self.cell.0), origin(row, self.cell.1));
        let width = picture.width();
        let (pixels, _) = picture.rgb().as_chunks::<3>();
        for (index, pixel) in pixels.iter().enumerate() {
            let (x, y) = ((index % width) as u32, (index / width) as u32);
            for dy in 0..self.scale {
                for dx in 0..self.scale {
                    let at = (left + x * self.scale + dx, top + y * self.scale + dy);
                    if let Some(target) = self.image.get_pixel_mut_checked(at.0, at.1) {
                        *target = Rgb(*pixel);
                    }
                }
            }
        }
    }

    /// Writes it, as what [`format_of`] says of its name.
    ///
    /// # Errors
    /// It cannot be encoded (a WebP has at most 16,383 pixels a side) or written.
    pub fn save(&self, path: &Path) -> Result<(), Failure> {
        let mut bytes = std::io::Cursor::new(Vec::new());
        let encoded = match format_of(path)? {
            ImageFormat::Jpeg => self
                .image
                .write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY)),
            format => self.image.write_to(&mut bytes, format),
        };
        encoded
            .with_context(|| path.display().to_string())
            .and_then(|()| output::write(path, bytes.get_ref()))
            .failed()
    }
}

/// How many times to enlarge images of `width` pixels so that a person can see them: about 128 pixels a side.
pub fn comfortable_scale(width: usize) -> usize {
    (128 / width.max(1)).clamp(1, 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_enlarged_where_they_belong() {
        let mut grid = Grid::new(2, 1, (2, 1), 3).unwrap();
        let picture = DecodedImage::new(2, 1, vec![1, 2, 3, 4, 5, 6]).unwrap();
        grid.put(1, 0, &picture);
        grid.put(7, 7, &picture);
        assert_eq!(grid.image.dimensions(), (4 + 2 * 10, 4 + 7));
        assert_eq!(
            grid.image.get_pixel(4, 4).0,
            [255; 3],
            "the first cell is empty"
        );
        assert_eq!(grid.image.get_pixel(14, 4).0, [1, 2, 3]);
        assert_eq!(grid.image.get_pixel(16, 6).0, [1, 2, 3]);
        assert_eq!(grid.image.get_pixel(17, 6).0, [4, 5, 6]);
        assert_eq!(grid.image.get_pixel(20, 4).0, [255; 3], "a gap");
    }

    #[test]
    fn a_picture_is_what_its_name_says() {
        let folder = tempfile::tempdir().unwrap();
        let mut grid = Grid::new(1, 1, (2, 1), 8).unwrap();
        let picture = DecodedImage::new(2, 1, vec![200, 0, 0, 0, 0, 200]).unwrap();
        grid.put(0, 0, &picture);
        for (name, format) in FORMATS.into_iter().chain([("PNG", ImageFormat::Png)]) {
            let path = folder.path().join(format!("x.{name}"));
            grid.save(&path).unwrap();
            let reader = image::ImageReader::open(&path).unwrap();
            let reader = reader.with_guessed_format().unwrap();
            assert_eq!(reader.format(), Some(format), "{name}");
            let read = reader.decode().unwrap().to_rgb8();
            assert_eq!(read.dimensions(), grid.image.dimensions(), "{name}");
            let off = read
                .iter()
                .zip(grid.image.iter())
                .map(|(a, b)| a.abs_diff(*b));
            let most = if format == ImageFormat::Jpeg { 90 } else { 0 };
            assert!(off.max().unwrap() <= most, "{name}");
        }
        grid.save(&folder.path().join("none")).unwrap();
        let refused = grid.save(&folder.path().join("x.svg")).unwrap_err();
        let message = refused.to_string();
        assert!(message.contains(".svg is no format") && message.contains("png, jpg"));
        assert!(!folder.path().join("x.svg").exists());
    }

    #[test]
    fn a_grid_beyond_reason_is_refused() {
        let error = Grid::new(1000, 1000, (32, 32), 8).unwrap_err();
        assert!(error.to_string().contains("1000 x 1000"), "{error}");
        assert!(Grid::new(usize::MAX, 2, (32, 32), usize::MAX).is_err());
    }
}
