//! The few statistics that the tables need.

/// The middle of the figures; of an even number of them, the mean of the two in the middle.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => sorted[count / 2],
        count => f64::midpoint(sorted[count / 2 - 1], sorted[count / 2]),
    }
}

/// The smallest figure.
pub(crate) fn lowest(figures: &[f64]) -> f64 {
    figures.iter().copied().fold(f64::NAN, f64::min)
}

/// By which part of the smaller one two figures differ.
pub(crate) fn difference(one: f64, other: f64) -> f64 {
    (one - other).abs() / one.min(other)
}

/// Whether a ratio is no further from 1 than `noise`, in either direction.
pub(crate) fn within_noise(ratio: f64, noise: f64) -> bool {
    ratio.ln().abs() <= noise.ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(figure: f64, expected: f64) {
        assert!((figure - expected).abs() < 1e-9, "{figure} is not {expected}");
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_close(median(&[5.0, 1.0, 3.0]), 3.0);
        assert_close(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn the_lowest_is_found_wherever_it_is() {
        assert_close(lowest(&[2.0, 1.0, 3.0]), 1.0);
    }

    #[test]
    fn differences_do_not_depend_on_the_order() {
        assert_close(difference(1.0, 1.1), 0.1);
        assert_close(difference(1.1, 1.0), 0.1);
    }

    #[test]
    fn noise_reaches_in_both_directions() {
        assert!(within_noise(1.04, 0.05));
        assert!(within_noise(1.0 / 1.04, 0.05));
        assert!(!within_noise(1.06, 0.05));
        assert!(!within_noise(1.0 / 1.06, 0.05));
    }
}
