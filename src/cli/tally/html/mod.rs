//! `--html`: the count as one page with pictures, complete in itself. Its content policy forbids it any network.
//!
//! Floats place pixels here; what is written in numbers is exact.

use std::fmt::Write;

use super::print::{decimal, list, outcome, percent, tie_line};
use super::read::Election;
use crate::engine::votes::count::Evidence;
use crate::engine::votes::{Count, CountRules, OptionIx};
use crate::html::escaped;

mod heat;
mod sankey;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1d2329;--dim:#66707a;--line:#d8dde2;--ground:#fff;--card:#f6f8fa}\
@media(prefers-color-scheme:dark){:root{--ink:#e6eaee;--dim:#98a2ac;--line:#39424b;--ground:#14181c;--card:#1d2328}}\
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--ground);max-width:60rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2.2rem 0 .6rem}h3{font-size:.95rem;margin:1rem 0 .2rem}\
p{margin:.3rem 0}.dim{color:var(--dim)}.win{font-size:1.25rem;font-weight:600;margin:.8rem 0}\
.wide{overflow-x:auto}svg{display:block;max-width:none}svg text{font:12px system-ui,sans-serif;fill:var(--ink)}\
h2::first-letter{text-transform:uppercase}svg .dim{fill:var(--dim)}svg .out{text-decoration:line-through;fill:var(--dim)}li{margin:.1rem 0}";

/// Options up to which a matrix is drawn, and options times rounds up to which rounds are: what a browser can show.
const MATRIX_OPTIONS_MAX: usize = 200;
const ROUND_CELLS_MAX: usize = 20_000;

/// The page of one count; `cast` is the weight of all ballots.
pub fn page(rules: &CountRules, election: &Election, count: &Count, cast: u128) -> String {
    let title = if election.title.is_empty() { "Election" } else { &election.title };
    let mut page = String::new();
    let seats = if rules.seats > 1 { format!(", {} seats", rules.seats) } else { String::new() };
    let _ = write!(
        page,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style>\
         <h1>{title}</h1><p class=\"dim\">{cast} ballots, {options} options{seats}. \
         <b>{method}</b>: {about}.</p><p class=\"win\">{outcome}</p>",
        title = escaped(title),
        options = rules.options.len(),
        method = rules.method.name,
        about = escaped(rules.method.about),
        outcome = escaped(&outcome(rules, count)),
    );
    scores(&mut page, rules, count);
    rounds(&mut page, rules, count);
    if count.rounds.len() > 1 && drawable(count) {
        page.push_str(
            "<h2>How the ballots moved</h2><p class=\"dim\">Every column is a round, every band is ballots.</p>",
        );
        page.push_str(&sankey::picture(rules, count));
    }
    if let Some(matrix) = count.matrix.as_ref().filter(|matrix| matrix.size() <= MATRIX_OPTIONS_MAX) {
        page.push_str(
            "<h2>Head to head</h2><p class=\"dim\">How many put the option on the left above the one on top: \
             the greener, the more of those who tell the two apart.</p>",
        );
        page.push_str(&heat::picture(rules, matrix));
        let said = match matrix.condorcet_winner() {
            Some(winner) => format!("{} beats every other head to head.", list(rules, &[winner])),
            None => format!(
                "Nobody beats every other; the smallest unbeaten circle is {}.",
                list(rules, &matrix.smith_set())
            ),
        };
        let _ = write!(page, "<p>{}</p>", escaped(&said));
    }
    evidence(&mut page, rules, count);
    if !count.tie_events.is_empty() {
        page.push_str("<h2>Ties</h2><ul>");
        for tie in &count.tie_events {
            let _ = write!(page, "<li>{}", escaped(&tie_line(rules, tie)));
        }
        page.push_str("</ul>");
    }
    page
}

fn drawable(count: &Count) -> bool {
    count.rounds.len() * count.scores.len() <= ROUND_CELLS_MAX
}

/// A name short enough for a label, safe to stand in a page.
fn label(rules: &CountRules, option: usize, chars: usize) -> String {
    let name = &rules.options[option];
    if name.chars().count() <= chars {
        return escaped(name);
    }
    escaped(&name.chars().take(chars - 1).chain(['…']).collect::<String>())
}

/// An option's colour: neighbours are far apart on the wheel, and it is the same in every picture.
fn colour(option: usize) -> String {
    format!("hsl({} 58% {}%)", option * 137 % 360, 48 + option % 3 * 6)
}

/// The share of `part` in `whole`, for placing pixels.
fn share(part: u128, whole: u128) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Rows of named bars; `mark` says something behind each.
fn bars(
    page: &mut String,
    rules: &CountRules,
    rows: &[(usize, u128)],
    scale: u32,
    whole: Option<u128>,
    mark: impl Fn(usize) -> &'static str,
) {
    const NAME: f64 = 190.0;
    const WIDE: f64 = 460.0;
    let most = rows.iter().map(|&(_, held)| held).max().unwrap_or(0).max(1);
    let _ = write!(page, "<div class=\"wide\"><svg width=\"900\" height=\"{}\" role=\"img\">", rows.len() * 22 + 4);
    for (at, &(option, held)) in rows.iter().enumerate() {
        let y = at * 22;
        let width = WIDE * share(held, most);
        let part = whole.map_or(String::new(), |whole| format!(" · {}", percent(held, whole)));
        let fate = mark(option);
        let struck = if fate == "eliminated" { "out" } else { "" };
        let _ = write!(
            page,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" class=\"{struck}\">{}</text>\
             <rect x=\"{NAME}\" y=\"{}\" width=\"{width:.1}\" height=\"16\" rx=\"2\" fill=\"{}\"/>\
             <text x=\"{:.1}\" y=\"{}\">{}<tspan class=\"dim\">{part} {fate}</tspan></text>",
            NAME - 8.0,
            y + 14,
            label(rules, option, 28),
            y + 2,
            colour(option),
            NAME + width + 6.0,
            y + 14,
            decimal(held, scale),
        );
    }
    page.push_str("</svg></div>");
}

fn scores(page: &mut String, rules: &CountRules, count: &Count) {
    let mut rows: Vec<(usize, u128)> = count.scores.iter().copied().enumerate().collect();
    rows.sort_by_key(|&(option, score)| (!count.winners.contains(&(option as OptionIx)), std::cmp::Reverse(score)));
    let _ = write!(page, "<h2>{}</h2>", escaped(super::print::score_name(rules)));
    let won = |option: usize| if count.winners.contains(&(option as OptionIx)) { "★" } else { "" };
    bars(page, rules, &rows, 1, None, won);
}

fn rounds(page: &mut String, rules: &CountRules, count: &Count) {
    if count.rounds.is_empty() {
        return;
    }
    if !drawable(count) {
        page.push_str("<p class=\"dim\">There are too many rounds to draw; --json has them.</p>");
        return;
    }
    page.push_str("<h2>Rounds</h2>");
    if let Some(quota) = count.quota {
        let _ = write!(page, "<p class=\"dim\">Elected at the quota of {quota} ballots.</p>");
    }
    for (at, round) in count.rounds.iter().enumerate() {
        let continuing: u128 = round.tally.iter().flatten().sum();
        let mut rows: Vec<(usize, u128)> =
            round.tally.iter().enumerate().filter_map(|(option, held)| held.map(|held| (option, held))).collect();
        rows.sort_by_key(|&(option, held)| (std::cmp::Reverse(held), option));
        let exhausted = match round.exhausted {
            0 => String::new(),
            exhausted => format!(" <span class=\"dim\">exhausted {}</span>", decimal(exhausted, count.scale)),
        };
        let _ = write!(page, "<h3>Round {}{exhausted}</h3>", at + 1);
        bars(page, rules, &rows, count.scale, Some(continuing), |option| {
            super::print::fate(count, at, option as OptionIx)
        });
    }
}

fn evidence(page: &mut String, rules: &CountRules, count: &Count) {
    let name = |option: OptionIx| escaped(&rules.options[usize::from(option)]);
    match &count.evidence {
        Evidence::None => {}
        Evidence::Paths(paths) if paths.size() > MATRIX_OPTIONS_MAX => {}
        Evidence::Paths(paths) => {
            page.push_str("<h2>Strongest paths</h2><p class=\"dim\">How strong the best chain of victories is from left to top.</p>");
            page.push_str(&heat::picture(rules, paths));
        }
        Evidence::Locked(locks) => {
            page.push_str("<h2>Majorities, the clearest first</h2><ol>");
            for lock in locks.iter().take(ROUND_CELLS_MAX) {
                let fate = if lock.locked { "locked" } else { "passed over, it would close a circle" };
                let (winner, loser) = (name(lock.winner), name(lock.loser));
                let _ = write!(page, "<li>{winner} over {loser}: {} <span class=\"dim\">{fate}</span>", lock.strength);
            }
            page.push_str("</ol>");
        }
        Evidence::Runoff { finalists: [a, b], preferred: [for_a, for_b] } => {
            page.push_str("<h2>Run-off</h2>");
            let rows = [(usize::from(*a), *for_a), (usize::from(*b), *for_b)];
            bars(page, rules, &rows, 1, Some(for_a + for_b), |_| "");
        }
        Evidence::Motion { yes, of, threshold_bp } => {
            let needs = percent(u128::from(*threshold_bp), 10_000);
            let _ = write!(page, "<p>{yes} of {of} say yes ({}), {needs} are needed.</p>", percent(*yes, *of));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::tally::read::tests::read;
    use crate::engine::votes::{CountRules, method};

    /// Every method draws its page; names cannot break out of it, and it asks nobody for anything.
    #[test]
    fn the_page_is_complete_and_names_stay_text() {
        let ranked = "# NUMBER ALTERNATIVES: 4\n# ALTERNATIVE NAME 1: <script>alert(1)</script>\n\
                      # ALTERNATIVE NAME 2: a & \"b\"\n3: 1,2,3,4\n2: 2,3\n2: 3,2,1\n1: 4\n";
        let scored = "<b>,b,c,d\n5,0,1,2\n0,3,3,1\n";
        for (file, text, names) in [
            (
                "x.soi",
                ranked,
                ["plurality", "ranked", "borda", "schulze", "ranked_pairs", "minimax", "copeland", "stv"].as_slice(),
            ),
            ("x.csv", scored, &["score", "star"]),
        ] {
            let election = read(file, text).unwrap();
            for name in names {
                let mut rules = CountRules::new(method(name).unwrap(), election.options.clone());
                rules.seats = if rules.method.seats { 2 } else { 1 };
                let ballots = election.ballots(rules.method.ballot).unwrap();
                let count = rules.method.count(&rules, &ballots);
                let page = super::page(&rules, &election, &count, ballots.weight());
                assert!(page.starts_with("<!doctype html>") && page.contains(rules.method.about), "{name}");
                for forbidden in ["<script", "<b>,", "http://", "https://", "src=", "NaN", "inf\""] {
                    assert!(!page.contains(forbidden), "{name}: {forbidden}");
                }
                assert_eq!(page.contains("class=\"flow\""), count.rounds.len() > 1, "{name}");
                assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count(), "{name}");
            }
        }
    }
}
