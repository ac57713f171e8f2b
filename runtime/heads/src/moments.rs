//! How features are brought to one scale.

/// Mean of each feature, and one over its standard deviation; 0 for a constant, which says nothing.
pub(crate) fn moments(features: &[f32], width: usize) -> (Vec<f64>, Vec<f64>) {
    let rows = || features.chunks_exact(width.max(1));
    let count = (features.len() / width.max(1)) as f64;
    let mut mean = vec![0.0; width];
    for row in rows() {
        mean.iter_mut()
            .zip(row)
            .for_each(|(m, x)| *m += f64::from(*x) / count);
    }
    let mut variance = vec![0.0; width];
    for row in rows() {
        for ((v, m), x) in variance.iter_mut().zip(&mean).zip(row) {
            *v += (f64::from(*x) - m).powi(2) / count;
        }
    }
    let scale = variance
        .iter()
        .zip(&mean)
        // Rounding leaves a constant feature a variance of about its square times f32's precision squared.
        .map(|(v, m)| {
            if *v > 1e-13 * m * m {
                v.sqrt().recip()
            } else {
                0.0
            }
        })
        .collect();
    (mean, scale)
}
