//! How figures are written.

/// Three digits, or all of them before the point. What is no number is a dash.
pub(crate) fn shown(figure: f64) -> String {
    let decimals = match figure {
        figure if figure.is_nan() => return "–".to_owned(),
        figure if figure >= 100.0 => return grouped(figure.round() as u64),
        figure if figure >= 10.0 => 1,
        figure if figure >= 0.1 || figure == 0.0 => 2,
        figure if figure >= 0.01 => 3,
        _ => 4,
    };
    format!("{figure:.decimals$}")
}

/// The same without needless zeros, for pictures.
pub(crate) fn shown_briefly(figure: f64) -> String {
    let shown = shown(figure);
    if shown.contains('.') {
        shown.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        shown
    }
}

/// A number with its thousands apart.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| std::str::from_utf8(group).expect("digits are ASCII"))
        .collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits() {
        let figures = [0.004_56, 0.0456, 0.4567, 45.67, 456.7, 1_234_567.8].map(shown);
        assert_eq!(figures, ["0.0046", "0.046", "0.46", "45.7", "457", "1,234,568"]);
    }

    #[test]
    fn no_figure_is_a_dash() {
        assert_eq!(shown(f64::NAN), "–");
    }

    #[test]
    fn pictures_have_no_needless_zeros() {
        let figures = [0.0, 0.001, 0.5, 12.0, 12.34, 100.0, 1_000.0].map(shown_briefly);
        assert_eq!(figures, ["0", "0.001", "0.5", "12", "12.3", "100", "1,000"]);
    }
}
