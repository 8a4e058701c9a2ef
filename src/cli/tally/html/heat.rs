//! The pairwise matrix as a heat map.

use std::fmt::Write;

use super::{label, share};
use crate::engine::votes::CountRules;
use crate::engine::votes::count::Matrix;
use crate::html::escaped;

/// Options up to which cells are wide enough to hold their numbers.
const NUMBERED_OPTIONS_MAX: usize = 24;

/// One square per pair: green where the row's option has more of those who tell the two apart, red where fewer.
pub fn picture(rules: &CountRules, matrix: &Matrix) -> String {
    const NAME: usize = 190;
    let size = matrix.size();
    let most = (0..size).flat_map(|a| matrix.row(a).iter()).max().copied().unwrap_or(0);
    let numbered = size <= NUMBERED_OPTIONS_MAX;
    let (wide, high) = if numbered { ((most.to_string().len() * 8 + 12).max(34), 26) } else { (9, 9) };
    let head = if numbered { 22 } else { 4 };
    let mut svg = format!(
        "<div class=\"wide\"><svg width=\"{}\" height=\"{}\" role=\"img\">",
        NAME + size * wide + 4,
        head + size * high + 4
    );
    for a in 0..size {
        let y = head + a * high;
        if numbered {
            let _ = write!(
                svg,
                "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{} <tspan class=\"dim\">{}</tspan></text>\
                 <text x=\"{}\" y=\"16\" text-anchor=\"middle\" class=\"dim\">{}</text>",
                NAME - 6,
                y + 17,
                label(rules, a, 24),
                a + 1,
                NAME + a * wide + wide / 2,
                a + 1
            );
        }
        for b in (0..size).filter(|&b| b != a) {
            let (above, below) = (matrix.get(a, b), matrix.get(b, a));
            let lean = share(above, above + below);
            // From red over grey to green, with the strength of the lean.
            let hue = if above >= below { 145 } else { 5 };
            let depth = ((lean - 0.5).abs() * 2.0 * 62.0) as u32;
            let x = NAME + b * wide;
            let _ = write!(
                svg,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\" fill=\"hsl({hue} {}% 50% / {}%)\">\
                 <title>{} over {}: {above} to {below}</title></rect>",
                wide - 1,
                high - 1,
                depth + 10,
                depth + 14,
                escaped(&rules.options[a]),
                escaped(&rules.options[b]),
            );
            if numbered {
                let _ =
                    write!(svg, "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{above}</text>", x + wide / 2, y + 17);
            }
        }
    }
    svg.push_str("</svg></div>");
    svg
}
