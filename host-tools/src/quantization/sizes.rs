//! How large the channels between two tensors are, as the one that writes them and the one that reads them
//! show it.

/// Root mean square of each row of `weight` (`[in, out]`), every column counted relative to its own size, as
/// its scale will store it. A column's size is that of its rows divided by their `factors`: else a single
/// large row would hide how large it is.
pub(super) fn of_rows(weight: &[f32], outputs: usize, factors: &[f64]) -> Vec<f64> {
    let outputs = outputs.max(1);
    let mut columns = vec![0f64; outputs];
    for (row, factor) in weight.chunks_exact(outputs).zip(factors) {
        for (sum, w) in columns.iter_mut().zip(row) {
            *sum += (f64::from(*w) / factor).powi(2);
        }
    }
    let size = |row: &[f32]| {
        let squares = row.iter().zip(&columns);
        let relative = squares
            .filter(|(_, column)| **column > 0.0)
            .map(|(w, column)| f64::from(*w).powi(2) / column);
        relative.sum::<f64>().sqrt()
    };
    weight.chunks_exact(outputs).map(size).collect()
}

/// The size of each column of a linear layer behind a norm of these `gains`, whose rows are in line. The bias
/// counts: a channel of small weights may consist of it. A norm's outputs are about as large as the median
/// gain.
pub(super) fn of_columns(weight: &[f32], bias: &[f32], gains: &[f32]) -> Vec<f64> {
    let gain = median(gains.iter().map(|g| f64::from(g.abs()))).unwrap_or_default();
    let mut squares: Vec<f64> = bias.iter().map(|b| f64::from(*b).powi(2)).collect();
    for row in weight.chunks_exact(bias.len().max(1)) {
        for (sum, w) in squares.iter_mut().zip(row) {
            *sum += (f64::from(*w) * gain).powi(2);
        }
    }
    squares.into_iter().map(f64::sqrt).collect()
}

/// Logarithms to base 2 of positive numbers, relative to their median; nothing for the others.
pub(super) fn spread(sizes: impl Iterator<Item = f64>) -> Vec<Option<f64>> {
    let logs: Vec<Option<f64>> = sizes
        .map(|size| (size > 0.0 && size.is_finite()).then(|| size.log2()))
        .collect();
    let middle = median(logs.iter().flatten().copied()).unwrap_or_default();
    logs.into_iter().map(|log| Some(log? - middle)).collect()
}

/// The median distance from the median.
pub(super) fn width(spread: &[Option<f64>]) -> f64 {
    median(spread.iter().flatten().map(|log| log.abs())).unwrap_or_default()
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
