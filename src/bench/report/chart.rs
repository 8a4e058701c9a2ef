//! One line chart as inline SVG: axes that suit what is measured, a legend, and a word under the pointer. Floats place
//! pixels here and nothing else.

use std::fmt::Write;

use crate::html::escaped;

const WIDTH: f64 = 880.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 44.0;

/// Colours that people who see fewer of them still tell apart.
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9"];

/// How an axis runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scale {
    /// Evenly.
    Linear,
    /// Every tenfold as wide as the next.
    Log,
    /// Quantiles: every nine as wide as the next, so that the tail can be seen.
    Nines,
}

/// One line.
pub struct Series {
    /// What the legend calls it.
    pub name: String,
    /// Its points, x and y.
    pub points: Vec<[f64; 2]>,
    /// Whether it stands behind the others: thin and pale.
    pub faint: bool,
    /// Which colour it has; lines that belong together share one.
    pub colour: usize,
}

/// One picture.
pub struct Chart<'a> {
    /// What runs along.
    pub x: (&'a str, Scale),
    /// What runs up.
    pub y: (&'a str, Scale),
    /// The lines.
    pub series: Vec<Series>,
    /// Where one round ends and the next begins.
    pub borders: Vec<f64>,
    /// How a y is written.
    pub say_y: fn(f64) -> String,
    /// A y that must not be passed.
    pub limit: Option<f64>,
}

/// A span of an axis, in its own scale.
#[derive(Clone, Copy)]
struct Span {
    scale: Scale,
    from: f64,
    to: f64,
}

impl Span {
    fn of(scale: Scale, values: impl Iterator<Item = f64>) -> Self {
        let (mut from, mut to) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.map(|value| scale.place(value)) {
            from = from.min(value);
            to = to.max(value);
        }
        if from > to {
            (from, to) = (0.0, 1.0);
        }
        match scale {
            Scale::Linear => from = from.min(0.0),
            Scale::Log => (from, to) = (from.floor(), to.ceil()),
            Scale::Nines => from = 0.0,
        }
        if to - from < 1e-9 {
            to = from + 1.0;
        }
        let room = if scale == Scale::Linear { (to - from) * 0.05 } else { 0.0 };
        Self { scale, from, to: to + room }
    }

    /// 0 at its beginning, 1 at its end.
    fn at(self, value: f64) -> f64 {
        ((self.scale.place(value) - self.from) / (self.to - self.from)).clamp(0.0, 1.0)
    }

    /// Where a mark and its word belong.
    fn marks(self) -> Vec<f64> {
        match self.scale {
            Scale::Linear => {
                let rough = (self.to - self.from) / 6.0;
                let ten = 10f64.powf(rough.log10().floor());
                let step = [1.0, 2.0, 5.0, 10.0].iter().map(|of| of * ten).find(|step| *step >= rough).unwrap_or(rough);
                let first = (self.from / step).ceil() as i64;
                let last = (self.to / step).floor() as i64;
                (first..=last).map(|n| n as f64 * step).collect()
            }
            Scale::Log => {
                let narrow = self.to - self.from <= 2.0;
                let within: &[f64] = if narrow { &[1.0, 2.0, 5.0] } else { &[1.0] };
                let decades = self.from as i32..=self.to as i32;
                let all = decades.flat_map(|decade| within.iter().map(move |of| of * 10f64.powi(decade)));
                all.filter(|value| (self.from - 1e-9..=self.to + 1e-9).contains(&value.log10())).collect()
            }
            Scale::Nines => {
                let known = [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999_999];
                known.into_iter().filter(|q| self.scale.place(*q) <= self.to + 1e-9).collect()
            }
        }
    }
}

impl Scale {
    fn place(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Log => value.max(0.1).log10(),
            Self::Nines => -(1.0 - value).max(1e-7).log10(),
        }
    }
}

/// The picture, with its legend above it.
pub fn svg(chart: &Chart<'_>) -> String {
    let points = || chart.series.iter().flat_map(|series| series.points.iter());
    // The maximum is a quantile of 1, which is infinitely far along: it stands where the last counted one does.
    let last = points().map(|point| point[0]).filter(|x| *x < 1.0).fold(0.0, f64::max);
    let seen_x = |x: f64| if chart.x.1 == Scale::Nines { x.min(last) } else { x };
    let x_span = Span::of(chart.x.1, points().map(|point| seen_x(point[0])));
    let y_span = Span::of(chart.y.1, points().map(|point| point[1]).chain(chart.limit));
    let px = |x: f64| LEFT + x_span.at(x) * (WIDTH - LEFT - RIGHT);
    let py = |y: f64| HEIGHT - BOTTOM - y_span.at(y) * (HEIGHT - TOP - BOTTOM);

    let mut out = String::from("<p class=\"legend\">");
    for series in chart.series.iter().filter(|series| !series.faint) {
        let colour = COLOURS[series.colour % COLOURS.len()];
        let _ = write!(out, "<span><i style=\"background:{colour}\"></i>{}</span>", escaped(&series.name));
    }
    let _ =
        write!(out, "</p><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">", escaped(chart.y.0));
    for y in y_span.marks() {
        let at = py(y);
        let _ = write!(
            out,
            "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{:.1}\"/><text class=\"end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            at + 4.0,
            short(&(chart.say_y)(y))
        );
    }
    for x in x_span.marks() {
        let at = px(x);
        let word = match chart.x.1 {
            Scale::Nines => format!("{}%", percent(x)),
            _ => super::plain(x),
        };
        let _ = write!(
            out,
            "<path class=\"grid\" d=\"M{at:.1} {TOP}V{:.1}\"/><text class=\"mid\" x=\"{at:.1}\" y=\"{:.1}\">{word}</text>",
            HEIGHT - BOTTOM,
            HEIGHT - BOTTOM + 17.0
        );
    }
    for border in &chart.borders {
        let _ = write!(out, "<path class=\"border\" d=\"M{:.1} {TOP}V{:.1}\"/>", px(*border), HEIGHT - BOTTOM);
    }
    if let Some(limit) = chart.limit {
        let at = py(limit);
        let _ = write!(
            out,
            "<path class=\"limit\" d=\"M{LEFT} {at:.1}H{:.1}\"/><text class=\"end\" x=\"{:.1}\" y=\"{:.1}\">limit {}</text>",
            WIDTH - RIGHT,
            WIDTH - RIGHT - 4.0,
            at - 5.0,
            short(&(chart.say_y)(limit))
        );
    }
    for series in &chart.series {
        let colour = COLOURS[series.colour % COLOURS.len()];
        let mut path = String::new();
        let mut after = f64::INFINITY;
        for [x, y] in &series.points {
            // Where a round ends the line does: what is between two rounds was not measured.
            let broken = chart.borders.iter().any(|border| after < *border && *x > *border);
            let begins = path.is_empty() || broken;
            let _ = write!(path, "{}{:.1} {:.1}", if begins { 'M' } else { 'L' }, px(seen_x(*x)), py(*y));
            after = *x;
        }
        let class = if series.faint { "line faint" } else { "line" };
        let _ = write!(out, "<path class=\"{class}\" stroke=\"{colour}\" d=\"{path}\"/>");
        // A point on every datum of a short line; of a long one the line itself says enough.
        let visible = series.points.len() <= 40 && !series.faint;
        for [x, y] in &series.points {
            let word = match chart.x.1 {
                Scale::Nines => format!("{} %", percent(*x)),
                _ => super::plain(*x),
            };
            let _ = write!(
                out,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"{}\" fill=\"{colour}\"{}><title>{}, {word}: {}</title></circle>",
                px(seen_x(*x)),
                py(*y),
                if visible { 2.5 } else { 5.0 },
                if visible { "" } else { " fill-opacity=\"0\"" },
                escaped(&series.name),
                (chart.say_y)(*y)
            );
        }
    }
    let _ = write!(
        out,
        "<text class=\"mid dim\" x=\"{:.1}\" y=\"{:.1}\">{}</text></svg>",
        (LEFT + WIDTH - RIGHT) / 2.0,
        HEIGHT - 8.0,
        escaped(chart.x.0)
    );
    out
}

/// A round number without the decimals it does not need: `5.00 ms` is `5 ms`.
fn short(text: &str) -> String {
    match text.split_once(' ') {
        Some((number, unit)) if number.contains('.') => {
            format!("{} {unit}", number.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => text.to_owned(),
    }
}

/// A quantile as people say it.
fn percent(quantile: f64) -> String {
    let text = format!("{:.5}", quantile * 100.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(x: Scale, y: Scale, points: Vec<[f64; 2]>) -> String {
        let series = vec![Series { name: "a<b".into(), points, faint: false, colour: 0 }];
        svg(&Chart { x: ("x", x), y: ("y", y), series, borders: vec![], say_y: |y| format!("{y}"), limit: None })
    }

    #[test]
    fn any_points_make_a_picture_without_a_number_that_is_none() {
        for scale in [Scale::Linear, Scale::Log] {
            for points in [vec![], vec![[0.0, 0.0]], vec![[1.0, 5.0], [2.0, 5.0]], vec![[0.0, 1e-3], [1.0, 1e9]]] {
                let out = chart(scale, scale, points);
                assert!(!out.contains("NaN") && !out.contains("inf"), "{out}");
            }
        }
        let out = chart(Scale::Nines, Scale::Log, vec![[0.0, 1.0], [0.99, 10.0], [1.0, 100.0]]);
        assert!(out.contains(">99%<") && !out.contains(">99.9%<") && !out.contains("NaN"), "{out}");
    }

    #[test]
    fn names_are_text() {
        assert!(chart(Scale::Linear, Scale::Linear, vec![[1.0, 1.0]]).contains("a&lt;b"));
    }

    #[test]
    fn marks_are_short() {
        assert_eq!(
            ["5.00 ms", "0.5 us", "100 ms", "1.0 us", "10 %"].map(short),
            ["5 ms", "0.5 us", "100 ms", "1 us", "10 %"]
        );
    }

    #[test]
    fn quantiles_are_said_as_people_do() {
        assert_eq!([0.0, 0.5, 0.99, 0.9999].map(percent), ["0", "50", "99", "99.99"]);
    }
}
