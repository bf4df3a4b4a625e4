//! Draws figures as SVG.

use std::fmt::Write;

const WIDTH: f64 = 640.0;
/// The area of the axes.
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 60.0;
/// The right margin, which contains half of the last label of the axis.
const RIGHT: f64 = 40.0;
const TITLE: f64 = 40.0;
const STEP: f64 = 18.0;
/// The largest width of a character in a browser's sans-serif font.
const CHARACTER: f64 = 7.0;
/// The number of colours.
const COLOURS: usize = 4;

/// Light or dark, as the reader's browser prefers.
const STYLE: &str = "\
<style>
  .paper { fill: #fff } .grid { stroke: #ddd; fill: none } text { fill: #222 }
  .c0 { --c: #0b6e99 } .c1 { --c: #c4501b } .c2 { --c: #4f7f2d } .c3 { --c: #7a4fa3 }
  .line { stroke: var(--c); stroke-width: 2; fill: none } .dot { fill: var(--c) }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117 } .grid { stroke: #3d444d } text { fill: #e6edf3 }
    .c0 { --c: #58b6e0 } .c1 { --c: #f0883e } .c2 { --c: #7fc35a } .c3 { --c: #bc8cff }
  }
</style>
";

/// A line through points.
pub struct Line {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

/// The range of an axis, in powers of ten.
struct Axis {
    from: f64,
    to: f64,
    at: (f64, f64),
}

impl Axis {
    /// Returns the powers of ten around all values.
    fn over(values: impl Iterator<Item = f64> + Clone, at: (f64, f64)) -> Self {
        let from = values.clone().fold(f64::INFINITY, f64::min).log10().floor();
        let to = values.fold(f64::NEG_INFINITY, f64::max).log10().ceil();
        Self { from, to: to.max(from + 1.0), at }
    }

    fn place(&self, value: f64) -> f64 {
        self.at.0 + (value.log10() - self.from) / (self.to - self.from) * (self.at.1 - self.at.0)
    }

    fn powers(&self) -> impl Iterator<Item = f64> {
        (self.from as i32..=self.to as i32).map(|power| 10_f64.powi(power))
    }
}

fn open(width: f64, height: f64, title: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<title>{title}</title>\n{STYLE}\
         <rect class=\"paper\" width=\"{width}\" height=\"{height}\"/>\n\
         <text x=\"12\" y=\"24\" font-size=\"15\">{title}</text>\n"
    )
}

/// Draws lines over two logarithmic axes, with their names above.
pub fn lines(title: &str, (x_name, y_name): (&str, &str), lines: &[Line]) -> String {
    let top = TITLE + STEP * lines.len() as f64 + 10.0;
    let bottom = top + HEIGHT;
    let points = || lines.iter().flat_map(|line| &line.points);
    let x = Axis::over(points().map(|point| point.0), (LEFT, WIDTH - RIGHT));
    let y = Axis::over(points().map(|point| point.1), (bottom, top));
    let mut svg = open(WIDTH, bottom + 50.0, &format!("{title}, {y_name}"));
    for power in x.powers() {
        let (at, below) = (x.place(power), bottom + 18.0);
        let _ = writeln!(svg, "<path class=\"grid\" d=\"M{at:.1} {top}V{bottom}\"/>");
        let _ = writeln!(svg, "<text x=\"{at:.1}\" y=\"{below}\" text-anchor=\"middle\">{power}</text>");
    }
    for power in y.powers() {
        let ((left, right), at) = (x.at, y.place(power));
        let _ = writeln!(svg, "<path class=\"grid\" d=\"M{left} {at:.1}H{right}\"/>");
        let (before, middle) = (left - 6.0, at + 4.0);
        let _ = writeln!(svg, "<text x=\"{before}\" y=\"{middle:.1}\" text-anchor=\"end\">{power}</text>");
    }
    let (middle, below) = (f64::midpoint(x.at.0, x.at.1), bottom + 38.0);
    let _ = writeln!(svg, "<text x=\"{middle}\" y=\"{below}\" text-anchor=\"middle\">{x_name}</text>");
    for (index, line) in lines.iter().enumerate() {
        let at: Vec<String> = line
            .points
            .iter()
            .map(|point| format!("{:.1},{:.1}", x.place(point.0), y.place(point.1)))
            .collect();
        let _ = writeln!(svg, "<g class=\"c{}\">", index % COLOURS);
        let _ = writeln!(svg, "<polyline class=\"line\" points=\"{}\"/>", at.join(" "));
        for (cx, cy) in at.iter().filter_map(|at| at.split_once(',')) {
            let _ = writeln!(svg, "<circle class=\"dot\" cx=\"{cx}\" cy=\"{cy}\" r=\"3\"/>");
        }
        let (name, down) = (&line.name, TITLE + STEP * index as f64 + 8.0);
        let _ =
            writeln!(svg, "<rect class=\"dot\" x=\"12\" y=\"{}\" width=\"14\" height=\"4\"/>", down - 6.0);
        let _ = writeln!(svg, "<text x=\"34\" y=\"{down}\">{name}</text>\n</g>");
    }
    svg.push_str("</svg>\n");
    svg
}

/// Draws a bar for each value, with the value beside it.
pub fn bars(title: &str, unit: &str, bars: &[(String, f64)]) -> String {
    const LONG: f64 = 360.0;
    const STEP: f64 = 26.0;
    let bars: Vec<(String, f64)> =
        bars.iter().map(|(name, value)| (name.replace("->", "→"), *value)).collect();
    let longest = bars.iter().map(|(_, value)| *value).fold(f64::MIN_POSITIVE, f64::max);
    let characters = bars.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let names = 16.0 + CHARACTER * characters as f64;
    let mut svg = open(names + LONG + 80.0, TITLE + STEP * bars.len() as f64 + 10.0, title);
    for (index, (name, value)) in bars.iter().enumerate() {
        let top = TITLE + STEP * index as f64;
        let (text, long) = (top + 14.0, value / longest * LONG);
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{text}\" text-anchor=\"end\">{name}</text>", names - 8.0);
        let _ = writeln!(
            svg,
            "<rect class=\"c0 dot\" x=\"{names}\" y=\"{top}\" width=\"{long:.1}\" height=\"18\"/>"
        );
        let _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{text}\">{value:.2}{unit}</text>", names + long + 6.0);
    }
    svg.push_str("</svg>\n");
    svg
}
