//! Pictures that verbs write: small images enlarged and set side by side, as PNG.

use std::path::Path;

use anyhow::{Context, anyhow};
use igpt_runtime::DecodedImage;
use image::{Rgb, RgbImage};

use crate::output;

/// Between the cells of a grid, in pixels.
const GAP: u32 = 4;
/// Most pixels of a picture we write: beyond it a grid is a mistake.
const MAX_PIXELS: u64 = 100_000_000;

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

    /// Writes the PNG.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn save(&self, path: &Path) -> anyhow::Result<()> {
        let mut png = std::io::Cursor::new(Vec::new());
        self.image
            .write_to(&mut png, image::ImageFormat::Png)
            .with_context(|| path.display().to_string())?;
        output::write(path, png.get_ref())
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
    fn a_grid_beyond_reason_is_refused() {
        let error = Grid::new(1000, 1000, (32, 32), 8).unwrap_err();
        assert!(error.to_string().contains("1000 x 1000"), "{error}");
        assert!(Grid::new(usize::MAX, 2, (32, 32), usize::MAX).is_err());
    }
}
