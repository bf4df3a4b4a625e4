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
