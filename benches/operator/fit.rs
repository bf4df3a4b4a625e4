//! How something grows: the exponent b of a·N^b.

/// The slope of the straight line through the points' logarithms that has the least squares of errors. Points without a
/// logarithm say nothing about growth.
pub fn exponent(points: &[(f64, f64)]) -> f64 {
    let logs: Vec<(f64, f64)> =
        points.iter().filter(|(x, y)| *x > 0.0 && *y > 0.0).map(|(x, y)| (x.ln(), y.ln())).collect();
    let mean = |values: fn(&(f64, f64)) -> f64| logs.iter().map(values).sum::<f64>() / logs.len() as f64;
    let (x_mean, y_mean) = (mean(|log| log.0), mean(|log| log.1));
    let across: f64 = logs.iter().map(|(x, y)| (x - x_mean) * (y - y_mean)).sum();
    let along: f64 = logs.iter().map(|(x, _)| (x - x_mean).powi(2)).sum();
    across / along
}

/// The exponent b of a + c·N^b where the constant part a is not small: it is fitted together with the rest, by the least
/// squares of relative errors, with what there is at N = 0 as one more point. (What is left when a measured constant is
/// taken away from the small ones is mostly noise, which logarithms make the most of.)
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
