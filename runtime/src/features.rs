//! Features of an image: the mean over its tokens of a layer's normalised hidden states, which heads are trained on.

use igpt_kernels::KV_TILE;

/// What some layers say of one image.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Features {
    /// Of each layer that was asked for, in that order, one number a channel.
    pub layers: Vec<Vec<f32>>,
    /// Tokens whose work was reused from the image before; 0 of a model without tokens.
    pub reused_tokens: usize,
    /// Tokens that are not those of the image before, all of them of the first; 0 of a model without tokens.
    pub changed_tokens: usize,
}

/// Adds up the rows of one layer, tile by tile, so that whole tiles may be kept from image to image.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    width: usize,
    /// Rows are divided by their root mean square first: what a norm with a gain of one would make of them.
    epsilon: Option<f64>,
    rows: usize,
    /// One sum a tile of rows.
    sums: Vec<Vec<f64>>,
}

impl Pool {
    /// Of rows of so many numbers, normalised first if `epsilon` is given.
    pub(crate) fn new(width: usize, epsilon: Option<f64>) -> Self {
        Self {
            width,
            epsilon,
            rows: 0,
            sums: Vec::new(),
        }
    }

    /// Keeps the first `rows`, which are whole tiles, or none.
    pub(crate) fn truncate(&mut self, rows: usize) {
        self.rows = self.rows.min(rows);
        self.sums.truncate(self.rows.div_ceil(KV_TILE));
    }

    /// Adds rows behind those that are there.
    pub(crate) fn add(&mut self, hidden: &[f32]) {
        for row in hidden.chunks_exact(self.width.max(1)) {
            let tile = self.rows / KV_TILE;
            if self.sums.len() == tile {
                self.sums.push(vec![0.0; self.width]);
            }
            let factor = self.epsilon.map_or(1.0, |epsilon| {
                let squares: f64 = row.iter().map(|x| f64::from(*x).powi(2)).sum();
                (squares / self.width as f64 + epsilon).sqrt().recip()
            });
            if let Some(sums) = self.sums.get_mut(tile) {
                for (sum, x) in sums.iter_mut().zip(row) {
                    *sum += f64::from(*x) * factor;
                }
            }
            self.rows += 1;
        }
    }

    /// The mean of all rows.
    pub(crate) fn mean(&self) -> Vec<f32> {
        let mut mean = vec![0.0; self.width];
        for tile in &self.sums {
            mean.iter_mut().zip(tile).for_each(|(m, sum)| *m += sum);
        }
        let rows = self.rows.max(1) as f64;
        mean.into_iter().map(|sum| (sum / rows) as f32).collect()
    }
}

/// The features of `hidden`, `[tokens, width]`, its rows normalised first if `epsilon` is given.
#[must_use]
pub fn pooled(hidden: &[f32], width: usize, epsilon: Option<f64>) -> Vec<f32> {
    let mut pool = Pool::new(width, epsilon);
    pool.add(hidden);
    pool.mean()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_normalised_before_their_mean() {
        assert_eq!(pooled(&[3.0, 4.0, 0.0, 2.0], 2, None), [1.5, 3.0]);
        let root = 2f32.sqrt();
        let expected = [0.6 * root / 2.0, (0.8 * root + root) / 2.0];
        for (found, expected) in pooled(&[3.0, 4.0, 0.0, 2.0], 2, Some(0.0))
            .iter()
            .zip(expected)
        {
            assert!(
                (found - expected).abs() < 1e-6,
                "{found}, expected {expected}"
            );
        }
        assert_eq!(pooled(&[0.0, 0.0], 2, Some(1e-5)), [0.0, 0.0]);
    }

    #[test]
    fn tiles_that_are_kept_give_the_same_bits() {
        let rows: Vec<f32> = (0..3 * 150).map(|i| (i as f32 * 0.7).sin()).collect();
        let whole = pooled(&rows, 3, Some(1e-5));
        let mut pool = Pool::new(3, Some(1e-5));
        pool.add(&rows);
        pool.truncate(2 * KV_TILE);
        pool.add(&rows[2 * KV_TILE * 3..]);
        assert_eq!(pool.mean(), whole);
        pool.truncate(0);
        assert_eq!(pool.mean(), [0.0; 3]);
    }
}
