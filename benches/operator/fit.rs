//! The exponent b of growth by a·N^b.

/// Returns the slope of the least-squares line through the points' logarithms. Points without a logarithm are ignored.
pub fn exponent(points: &[(f64, f64)]) -> f64 {
    let logs: Vec<(f64, f64)> =
        points.iter().filter(|(x, y)| *x > 0.0 && *y > 0.0).map(|(x, y)| (x.ln(), y.ln())).collect();
    let mean = |values: fn(&(f64, f64)) -> f64| logs.iter().map(values).sum::<f64>() / logs.len() as f64;
    let (x_mean, y_mean) = (mean(|log| log.0), mean(|log| log.1));
    let across: f64 = logs.iter().map(|(x, y)| (x - x_mean) * (y - y_mean)).sum();
    let along: f64 = logs.iter().map(|(x, _)| (x - x_mean).powi(2)).sum();
    across / along
}

/// Returns the exponent b of a + c·N^b for a large constant part a: both are fitted together, by least squares of relative
/// errors, with the value at N = 0 as another point. (Subtracting a measured constant from the small values would leave
/// mostly noise, which logarithms amplify.)
pub fn exponent_above(nothing: f64, points: &[(f64, f64)]) -> f64 {
    let error = |exponent: f64| {
        let powers = points.iter().map(|(x, y)| (x.powf(exponent), *y));
        let powers: Vec<(f64, f64)> = powers.chain([(0.0, nothing)]).collect();
        let sum = |term: fn(f64, f64) -> f64| powers.iter().map(|(x, y)| term(*x, *y) / (y * y)).sum::<f64>();
        let (one, x, y) = (sum(|_, _| 1.0), sum(|x, _| x), sum(|_, y| y));
        let (xx, xy) = (sum(|x, _| x * x), sum(|x, y| x * y));
        let steep = ((one * xy - x * y) / (one * xx - x * x)).max(0.0);
        let constant = (y - steep * x) / one;
        powers.iter().map(|(x, y)| ((constant + steep * x - y) / y).powi(2)).sum::<f64>()
    };
    let candidates = (1..=200).map(|hundredths| f64::from(hundredths) / 100.0);
    candidates.min_by(|one, other| error(*one).total_cmp(&error(*other))).unwrap()
}
