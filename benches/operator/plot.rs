//! Drawings of figures, as SVG.

use std::fmt::Write;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;
const COLOURS: [&str; 4] = ["#0b6e99", "#c4501b", "#4f7f2d", "#7a4fa3"];

/// A line through points.
pub struct Line {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

/// The values that an axis spans, as powers of ten.
struct Axis {
    from: f64,
    to: f64,
    at: (f64, f64),
}

impl Axis {
    /// From one power of ten to another, so that all values are between them.
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
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<title>{title}</title>\n<rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"22\" font-size=\"15\">{title}</text>\n"
    )
}

/// Lines over two logarithmic axes.
pub fn lines(title: &str, (x_name, y_name): (&str, &str), lines: &[Line]) -> String {
    let points = || lines.iter().flat_map(|line| &line.points);
    let x = Axis::over(points().map(|point| point.0), (LEFT, WIDTH - RIGHT));
    let y = Axis::over(points().map(|point| point.1), (HEIGHT - BOTTOM, TOP));
    let mut svg = open(WIDTH, HEIGHT, title);
    for power in x.powers() {
        let at = x.place(power);
        let (top, bottom) = (y.at.1, y.at.0);
        let _ = writeln!(svg, "<path d=\"M{at:.1} {top}V{bottom}\" stroke=\"#ddd\"/>");
        let below = bottom + 18.0;
        let _ = writeln!(svg, "<text x=\"{at:.1}\" y=\"{below}\" text-anchor=\"middle\">{power}</text>");
    }
    for power in y.powers() {
        let at = y.place(power);
        let (left, right) = x.at;
        let _ = writeln!(svg, "<path d=\"M{left} {at:.1}H{right}\" stroke=\"#ddd\"/>");
        let (before, middle) = (left - 6.0, at + 4.0);
        let _ = writeln!(svg, "<text x=\"{before}\" y=\"{middle:.1}\" text-anchor=\"end\">{power}</text>");
    }
    let (middle, below) = (f64::midpoint(x.at.0, x.at.1), HEIGHT - 12.0);
    let _ = writeln!(svg, "<text x=\"{middle}\" y=\"{below}\" text-anchor=\"middle\">{x_name}</text>");
    let _ = writeln!(svg, "<text x=\"8\" y=\"{}\">{y_name}</text>", TOP - 6.0);
    for (index, line) in lines.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let at: Vec<String> = line
            .points
            .iter()
            .map(|point| format!("{:.1},{:.1}", x.place(point.0), y.place(point.1)))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            at.join(" ")
        );
        for (cx, cy) in at.iter().filter_map(|at| at.split_once(',')) {
            let _ = writeln!(svg, "<circle cx=\"{cx}\" cy=\"{cy}\" r=\"3\" fill=\"{colour}\"/>");
        }
        let (name, down) = (&line.name, TOP + 14.0 + 16.0 * index as f64);
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{down}\" fill=\"{colour}\">{name}</text>", LEFT + 10.0);
    }
    svg.push_str("</svg>\n");
    svg
}

/// A bar for each value, with the value beside it.
pub fn bars(title: &str, unit: &str, bars: &[(String, f64)]) -> String {
    const WIDE: f64 = 860.0;
    const NAMES: f64 = 440.0;
    const STEP: f64 = 26.0;
    let longest = bars.iter().map(|(_, value)| *value).fold(f64::MIN_POSITIVE, f64::max);
    let mut svg = open(WIDE, TOP + STEP * bars.len() as f64 + 10.0, title);
    for (index, (name, value)) in bars.iter().enumerate() {
        let top = TOP + STEP * index as f64;
        let (text, long) = (top + 14.0, value / longest * (WIDE - NAMES - 70.0));
        let name = name.replace("->", "→");
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{text}\" text-anchor=\"end\">{name}</text>", NAMES - 8.0);
        let _ = writeln!(
            svg,
            "<rect x=\"{NAMES}\" y=\"{top}\" width=\"{long:.1}\" height=\"18\" fill=\"{}\"/>",
            COLOURS[0]
        );
        let _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{text}\">{value:.2}{unit}</text>", NAMES + long + 6.0);
    }
    svg.push_str("</svg>\n");
    svg
}
