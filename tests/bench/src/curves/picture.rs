//! The picture of a curve as an SVG file: both axes are logarithmic. Its colours are readable on
//! white and on dark pages.

use std::fmt::Write as _;

use super::curve::Curve;

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 300.0;
/// The borders around the axes.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 36.0;
const TOP: f64 = 52.0;
const BOTTOM: f64 = 48.0;

const TEXT: &str = "#7d8590";
const GRID: &str = "#7d85904d";
const LINE: &str = "#2f81f7";
const FIT: &str = "#d29922";

/// The number of points of the line of the fit.
const STEPS: u32 = 32;

/// A logarithmic axis over whole decades.
struct LogAxis {
    first: i32,
    last: i32,
    /// The places of the first and of the last decade in the picture.
    from: f64,
    to: f64,
}

impl LogAxis {
    /// Creates an axis that contains all these values.
    fn over(values: &[f64], (from, to): (f64, f64)) -> Self {
        let decades = values.iter().map(|value| value.log10());
        let lowest = decades.clone().fold(f64::INFINITY, f64::min);
        let highest = decades.fold(f64::NEG_INFINITY, f64::max);
        #[expect(clippy::cast_possible_truncation, reason = "decades are few")]
        let (first, last) =
            if values.is_empty() { (0, 1) } else { (lowest.floor() as i32, highest.ceil() as i32) };
        Self { first, last: last.max(first + 1), from, to }
    }

    fn place(&self, value: f64) -> f64 {
        let share = (value.log10() - f64::from(self.first)) / f64::from(self.last - self.first);
        self.from + share * (self.to - self.from)
    }

    /// Returns each decade with its place.
    fn decades(&self) -> impl Iterator<Item = (f64, f64)> {
        (self.first..=self.last).map(|decade| {
            let value = 10_f64.powi(decade);
            (value, self.place(value))
        })
    }
}

/// Draws a curve with the line of its fit.
pub(crate) fn draw(curve: &Curve) -> String {
    // A cost of zero has no place on the axis.
    let points = curve.points.iter().map(|point| (point.size as f64, point.cost()));
    let (sizes, costs): (Vec<f64>, Vec<f64>) = points.filter(|(_, cost)| *cost > 0.0).unzip();
    let across = LogAxis::over(&sizes, (LEFT, WIDTH - RIGHT));
    let up = LogAxis::over(&costs, (HEIGHT - BOTTOM, TOP));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         width=\"{WIDTH}\" height=\"{HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\" \
         fill=\"{TEXT}\">\n"
    );
    svg += &titles(curve);
    svg += &grid(&across, &up);
    svg += &fit(curve, &sizes, (&across, &up));
    let places: Vec<(f64, f64)> = sizes
        .iter()
        .zip(&costs)
        .map(|(size, cost)| (across.place(*size), up.place(*cost)))
        .collect();
    svg += &line(&places, LINE, "");
    for (x, y) in places {
        writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{LINE}\"/>").ok();
    }
    svg + "</svg>\n"
}

/// Returns the title, the growth below it, and the meaning of both axes.
fn titles(curve: &Curve) -> String {
    let middle = f64::midpoint(LEFT, WIDTH - RIGHT);
    let growth = format!("{}; {}", curve.unit, curve.growth_in_words());
    [
        (LEFT, 20.0, "start", curve.what.to_owned()),
        (LEFT, 38.0, "start", growth),
        (middle, HEIGHT - 8.0, "middle", curve.size.to_owned()),
    ]
    .map(|(x, y, anchor, text)| label((x, y), anchor, &text))
    .concat()
}

fn grid(across: &LogAxis, up: &LogAxis) -> String {
    let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    let mut svg = String::new();
    for (value, x) in across.decades() {
        svg += &line(&[(x, bottom), (x, TOP)], GRID, "");
        svg += &label((x, bottom + 18.0), "middle", &grouped(value));
    }
    for (value, y) in up.decades() {
        svg += &line(&[(LEFT, y), (right, y)], GRID, "");
        svg += &label((LEFT - 8.0, y + 4.0), "end", &grouped(value));
    }
    svg
}

/// Returns the line of the fit, as far as it is between the decades of the axis.
fn fit(curve: &Curve, sizes: &[f64], (across, up): (&LogAxis, &LogAxis)) -> String {
    let (Some(law), [first, .., last]) = (curve.law(), sizes) else { return String::new() };
    let places: Vec<(f64, f64)> = (0..=STEPS)
        .map(|step| first * (last / first).powf(f64::from(step) / f64::from(STEPS)))
        .map(|size| (across.place(size), up.place(law.cost(size))))
        .filter(|(_, y)| (TOP..=HEIGHT - BOTTOM).contains(y))
        .collect();
    line(&places, FIT, " stroke-dasharray=\"5 4\"")
}

fn line(places: &[(f64, f64)], colour: &str, more: &str) -> String {
    let points: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let points = points.join(" ");
    format!("<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\"{more}/>\n")
}

fn label((x, y): (f64, f64), anchor: &str, text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>\n")
}

/// Formats a power of ten, with commas between thousands.
fn grouped(value: f64) -> String {
    if value < 1.0 {
        return format!("{value}");
    }
    let digits = format!("{value:.0}");
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .filter_map(|group| std::str::from_utf8(group).ok())
        .collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::super::curve::{CurvePoint, Growth};
    use super::*;

    #[test]
    fn a_picture_has_all_points_within_its_axes() {
        let point = |size, cost| CurvePoint { size, costs: vec![cost] };
        let points = vec![point(1, 8.0), point(100, 150.0), point(500, 900.0)];
        let curve = Curve {
            name: "grants",
            what: "a change & its updates",
            unit: "µs",
            size: "grants",
            expected: Growth::Linear,
            points,
        };
        let svg = draw(&curve);
        assert_eq!(svg.matches("<circle").count(), 3);
        assert!(svg.contains(">a change &amp; its updates</text>"), "{svg}");
        assert!(svg.contains(">1,000</text>") && svg.contains("stroke-dasharray"), "{svg}");
        for coordinate in svg.split("cx=\"").skip(1) {
            let x: f64 = coordinate.split('"').next().unwrap().parse().unwrap();
            assert!((LEFT..=WIDTH - RIGHT).contains(&x));
        }
    }

    #[test]
    fn costs_of_zero_are_left_out() {
        let point = |size| CurvePoint { size, costs: vec![0.0] };
        let curve = Curve {
            name: "purge",
            what: "a removal",
            unit: "ms",
            size: "rows",
            expected: Growth::Flat,
            points: vec![point(1), point(2)],
        };
        assert_eq!(draw(&curve).matches("<circle").count(), 0);
    }

    #[test]
    fn values_are_labelled_with_groups_of_three_digits() {
        assert_eq!([0.1, 1.0, 100.0, 1e6].map(grouped), ["0.1", "1", "100", "1,000,000"]);
    }
}
