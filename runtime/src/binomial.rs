//! Exact bounds on a share that was counted.

/// The chance of `k` or more of `n` where each comes with the probability `p`.
fn at_least(k: u64, n: u64, p: f64) -> f64 {
    if k == 0 {
        return 1.0;
    }
    if p <= 0.0 || k > n {
        return 0.0;
    }
    if p >= 1.0 {
        return 1.0;
    }
    let ln_factorial = |n: u64| libm::lgamma(n as f64 + 1.0);
    let of_n = ln_factorial(n);
    let term = |i: u64| {
        let (i_ln, rest_ln) = (i as f64 * p.ln(), (n - i) as f64 * (-p).ln_1p());
        (of_n - ln_factorial(i) - ln_factorial(n - i) + i_ln + rest_ln).exp()
    };
    (k..=n).map(term).sum::<f64>().min(1.0)
}

/// The chance of `k` or fewer of `n`.
pub(crate) fn at_most(k: u64, n: u64, p: f64) -> f64 {
    at_least(n.saturating_sub(k), n, 1.0 - p)
}

/// The share that lies behind `k` of `n` at least, with this confidence: Clopper and Pearson's one-sided bound. 0 of none.
pub fn lower_bound(k: u64, n: u64, confidence: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    // At the bound what was seen, or more, comes about with the chance that is left.
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if at_least(k, n, middle) < 1.0 - confidence {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_those_of_the_tables() {
        // 0.05^(1/299) and the like: all of n.
        for n in [10, 299, 3000] {
            let bound = lower_bound(n, n, 0.95);
            assert!((bound - 0.05f64.powf(1.0 / n as f64)).abs() < 1e-9, "{n}");
        }
        // scipy.stats.beta.ppf(0.05, k, n - k + 1).
        for (k, n, bound) in [
            (90, 100, 0.8362824),
            (990, 1000, 0.9830968),
            (1, 5, 0.0102062),
        ] {
            let found = lower_bound(k, n, 0.95);
            assert!((found - bound).abs() < 1e-6, "{k} of {n}: {found}");
        }
        assert_eq!(lower_bound(0, 10, 0.95), 0.0);
        assert!(lower_bound(0, 0, 0.95) < 1e-9);
    }

    #[test]
    fn tails_add_up() {
        for (k, n, p) in [(3, 10, 0.2), (0, 7, 0.5), (997, 1000, 0.99)] {
            let sum = at_most(k, n, p) + at_least(k + 1, n, p);
            assert!((sum - 1.0).abs() < 1e-9, "{k} of {n}: {sum}");
        }
        assert_eq!(
            (at_most(4, 4, 0.3), at_least(5, 4, 0.3), at_most(0, 3, 0.0)),
            (1.0, 0.0, 1.0)
        );
    }
}
