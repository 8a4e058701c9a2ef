//! A report as one page that needs nothing but itself: pictures are inline SVG, and its content policy forbids it any
//! network. Written for somebody who did not run it.

use std::fmt::Write;

use super::print::{counts, duration, number, rounds};
use super::result::{LatencySeen, Outcome, Report};
use crate::html::escaped;
use chart::{Chart, Scale, Series, svg};

mod chart;
mod words;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1d2329;--dim:#5d6771;--line:#e1e6ea;--ground:#fff;--card:#f5f7f9;--warn:#fff4d6;--bad:#a61b1b}\
@media(prefers-color-scheme:dark){:root{--ink:#e6eaee;--dim:#98a2ac;--line:#2d353d;--ground:#14181c;--card:#1d2328;--warn:#3a3013;--bad:#ff8d8d}}\
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--ground);max-width:58rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.6rem;margin:0}h2{font-size:1.15rem;margin:2.6rem 0 .3rem;padding-top:.8rem;border-top:1px solid var(--line)}\
h3{font-size:1rem;margin:1.6rem 0 .1rem}p{margin:.3rem 0}.dim{color:var(--dim)}\
.tiles{display:flex;flex-wrap:wrap;gap:.7rem;margin:1.1rem 0}.tile{background:var(--card);border-radius:.5rem;padding:.6rem .9rem;min-width:8.5rem}\
.tile b{display:block;font-size:1.35rem;font-weight:600;white-space:nowrap}.tile span{color:var(--dim);font-size:.85rem}\
.note{background:var(--warn);border-radius:.4rem;padding:.45rem .8rem;margin:.5rem 0}.bad{color:var(--bad);font-weight:600}\
table{border-collapse:collapse;margin:.6rem 0;width:100%}th{font-weight:600;text-align:right;color:var(--dim);font-size:.85rem}\
td,th{padding:.18rem .5rem;border-bottom:1px solid var(--line)}td:first-child,th:first-child{text-align:left;padding-left:0}\
td{text-align:right;font-variant-numeric:tabular-nums}td small{color:var(--dim)}td+td{white-space:nowrap;vertical-align:top}\
svg{display:block;width:100%;height:auto;margin:.2rem 0 1rem}svg text{font:11.5px system-ui,sans-serif;fill:var(--ink)}\
svg .dim{fill:var(--dim)}.end{text-anchor:end}.mid{text-anchor:middle}.grid{stroke:var(--line);fill:none}\
.border{stroke:var(--dim);stroke-dasharray:2 4;fill:none}.limit{stroke:var(--bad);stroke-dasharray:6 4;fill:none}\
.line{fill:none;stroke-width:1.8;stroke-linejoin:round}.faint{stroke-width:1;opacity:.45}\
.legend{font-size:.85rem;margin:.5rem 0 0}.legend span{margin-right:1.1rem;white-space:nowrap}\
.legend i{display:inline-block;width:.8rem;height:.8rem;border-radius:.2rem;margin-right:.35rem;vertical-align:-.08rem}\
pre{background:var(--card);border-radius:.4rem;padding:.6rem .8rem;overflow-x:auto;font-size:13px}dl{display:grid;\
grid-template-columns:max-content 1fr;gap:.15rem 1rem}dt{color:var(--dim)}dd{margin:0}summary{cursor:pointer;color:var(--dim)}";

/// The page.
pub fn page(report: &Report) -> String {
    let mut page = String::new();
    let title = format!("tessera bench {}", escaped(&report.shape));
    let _ = write!(
        page,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style>\
         <h1>{title}</h1><p>{}</p>",
        words::of_shape(&report.shape)
    );
    let _ = write!(
        page,
        "<p class=\"dim\">{}, {} of {} s after {} s of warm-up. Every number is the median of the rounds; \
         behind it stand the least and the greatest of them. p99 says: 99 of 100 took no longer. {}.</p>",
        escaped(&report.started),
        rounds(report.rounds),
        report.measured_s,
        report.warm_up_s,
        escaped(&capital(&report.placed)),
    );
    for note in &report.notes {
        let _ = write!(page, "<p class=\"note\">{}</p>", escaped(&capital(note)));
    }
    for case in cases(report) {
        section(&mut page, report, &case);
    }
    ratios(&mut page, report);
    origin(&mut page, report);
    page.push_str("</html>\n");
    page
}

/// The results of each case, in the order of the report.
fn cases(report: &Report) -> Vec<Vec<&Outcome>> {
    let mut cases: Vec<Vec<&Outcome>> = Vec::new();
    for result in &report.results {
        match cases.iter_mut().find(|case| case[0].case == result.case) {
            Some(case) => case.push(result),
            None => cases.push(vec![result]),
        }
    }
    cases
}

fn section(page: &mut String, report: &Report, case: &[&Outcome]) {
    let _ = write!(page, "<h2>{}</h2>", escaped(&capital(&case[0].case)));
    tiles(page, case[0]);
    figures(page, case);
    ladder(page, report, case);
    percentiles(page, case);
    over_time(page, report, case);
    cpu(page, report, case);
    memory(page, report, case);
}

/// The few numbers that one came for.
fn tiles(page: &mut String, result: &Outcome) {
    page.push_str("<div class=\"tiles\">");
    let mut tile = |what: &str, value: String| {
        let _ = write!(page, "<div class=\"tile\"><b>{value}</b><span>{}</span></div>", escaped(what));
    };
    let knee = result.figures.iter().find(|figure| figure.name == "knee");
    for figure in knee.into_iter().chain(result.figures.first()) {
        tile(&figure.name, with_unit(figure.seen.median, &figure.unit));
    }
    if let Some(latency) = result.latencies.first() {
        tile(&format!("{}, half of them within", latency.name), duration(latency.p50.median));
        tile("99 of 100 within", duration(latency.p99.median));
    }
    if let Some(cpu) = result.figures.iter().find(|figure| figure.name == "server CPU") {
        tile("server CPU", with_unit(cpu.seen.median, &cpu.unit));
    }
    tile("refused", number(result.counts.refusals() as f64));
    page.push_str("</div>");
}

fn figures(page: &mut String, case: &[&Outcome]) {
    page.push_str("<table><tr><th>figure");
    for result in case {
        let _ = write!(page, "<th>{}", escaped(&result.subject));
    }
    let mut row = |name: &str, cell: &dyn Fn(&Outcome) -> Option<(String, String)>| {
        let sentence = words::of_figure(name);
        let title = if sentence.is_empty() { String::new() } else { format!("<br><small>{sentence}</small>") };
        let _ = write!(page, "<tr><td>{}{title}", escaped(name));
        for result in case {
            match cell(result) {
                Some((value, spread)) => {
                    let _ = write!(page, "<td>{value} <small>{spread}</small>");
                }
                None => page.push_str("<td>"),
            }
        }
    };
    for figure in &case[0].figures {
        row(&figure.name, &|result| {
            let figure = result.figures.iter().find(|other| other.name == figure.name)?;
            let seen = &figure.seen;
            let say = if figure.unit == "us" { duration } else { number };
            Some((with_unit(seen.median, &figure.unit), format!("{} .. {}", say(seen.min), say(seen.max))))
        });
    }
    for latency in &case[0].latencies {
        type Quantile = fn(&LatencySeen) -> &super::result::Spread;
        let quantiles: [(&str, Quantile); 4] =
            [("p50", |l| &l.p50), ("p99", |l| &l.p99), ("p99.9", |l| &l.p999), ("longest", |l| &l.max)];
        for (word, quantile) in quantiles {
            row(&format!("{}, {word}", latency.name), &|result| {
                let seen = quantile(result.latencies.iter().find(|other| other.name == latency.name)?);
                Some((duration(seen.median), format!("{} .. {}", duration(seen.min), duration(seen.max))))
            });
        }
    }
    page.push_str("</table>");
    for result in case {
        let class = if result.counts.refusals() > 0 { "bad" } else { "dim" };
        let _ = write!(
            page,
            "<p class=\"{class}\">{}: {}. A refusal is never counted as an answer.</p>",
            escaped(&capital(&result.subject)),
            escaped(&counts(&result.counts))
        );
        for fault in &result.faults {
            let _ = write!(page, "<p class=\"bad\">Failed: {}</p>", escaped(fault));
        }
    }
}

fn ladder(page: &mut String, report: &Report, case: &[&Outcome]) {
    if case.iter().all(|result| result.steps.is_empty()) {
        return;
    }
    let limit = report.settings["ladder"]["p99_ms"].as_f64().map(|ms| ms * 1e3);
    let series = case.iter().enumerate().map(|(colour, result)| {
        let mut points: Vec<_> = result.steps.iter().map(|[_, came, p99, _]| [*came, *p99]).collect();
        points.sort_by(|a, b| a[0].total_cmp(&b[0]));
        Series { name: result.subject.clone(), points, faint: false, colour }
    });
    page.push_str(
        "<h3>Up the ladder</h3><p class=\"dim\">Each point is a step of a round: how much came per second, and what the \
         99th percentile was. Flat is good; where the line turns up is where this server ends.</p>",
    );
    page.push_str(&svg(&Chart {
        x: ("delivered per second", Scale::Linear),
        y: ("99th percentile", Scale::Log),
        series: series.collect(),
        borders: Vec::new(),
        say_y: duration,
        limit,
    }));
}

fn percentiles(page: &mut String, case: &[&Outcome]) {
    let named = |result: &Outcome, latency: &LatencySeen| match case.len() {
        1 => latency.name.clone(),
        _ => format!("{}: {}", result.subject, latency.name),
    };
    let all = case.iter().flat_map(|result| result.latencies.iter().map(move |latency| (*result, latency)));
    let series: Vec<_> = all
        .enumerate()
        .map(|(colour, (result, latency))| Series {
            name: named(result, latency),
            // The very quickest are of no interest, and would take half of a logarithmic axis.
            points: latency.curve.iter().filter(|[quantile, _]| *quantile > 0.1).copied().collect(),
            faint: false,
            colour,
        })
        .collect();
    if series.is_empty() {
        return;
    }
    page.push_str(
        "<h3>How long it took, from the quickest to the slowest</h3><p class=\"dim\">Of all that was measured, the part \
         on the bottom axis took no longer than the line says. The further right, the rarer: 99.9&nbsp;% leaves out one of \
         a thousand. A line that stays flat to the right is a server without bad moments.</p>",
    );
    page.push_str(&svg(&Chart {
        x: ("took no longer than the line, in percent of all", Scale::Nines),
        y: ("time", Scale::Log),
        series,
        borders: Vec::new(),
        say_y: duration,
        limit: None,
    }));
    page.push_str("<ul class=\"dim\">");
    for latency in &case[0].latencies {
        let sentence = words::of_latency(&latency.name);
        if !sentence.is_empty() {
            let _ = write!(page, "<li><b>{}</b>: {sentence}", escaped(&latency.name));
        }
    }
    page.push_str("</ul>");
}

fn over_time(page: &mut String, report: &Report, case: &[&Outcome]) {
    let mut series = Vec::new();
    for (colour, result) in case.iter().enumerate() {
        let Some(latency) = result.latencies.first().filter(|latency| latency.over_time.len() > 1) else { continue };
        type Pick = fn(&[f64; 4]) -> f64;
        let lines: [(&str, bool, usize, Pick); 3] = [
            ("longest", true, 2 * colour, |point| point[3]),
            ("99 of 100 within", false, 2 * colour, |point| point[2]),
            ("half within", false, 2 * colour + 1, |point| point[1]),
        ];
        for (word, faint, colour, pick) in lines {
            let points = latency.over_time.iter().map(|point| [point[0], pick(point)]).collect();
            let name = if case.len() == 1 { word.to_owned() } else { format!("{}: {word}", result.subject) };
            series.push(Series { name, points, faint, colour });
        }
    }
    if series.is_empty() {
        return;
    }
    let name = case[0].latencies.first().map_or("", |latency| &latency.name);
    let _ = write!(
        page,
        "<h3>{}Over time: {}</h3><p class=\"dim\">The same latency as it went, rounds one after another (dotted lines \
         divide them); the pale line is the longest of each moment. Even is good; a spike is a bad moment that a player \
         would have felt.</p>",
        if name == "off the schedule" { "Jitter. " } else { "" },
        escaped(name)
    );
    page.push_str(&svg(&Chart {
        x: ("seconds of measuring", Scale::Linear),
        y: ("time", Scale::Log),
        series,
        borders: borders(report),
        say_y: duration,
        limit: None,
    }));
}

fn cpu(page: &mut String, report: &Report, case: &[&Outcome]) {
    let mut series = Vec::new();
    for (n, result) in case.iter().filter(|result| result.cpu_over_time.len() > 1).enumerate() {
        let line = |of: usize| result.cpu_over_time.iter().map(|point| [point[0], point[of]]).collect::<Vec<_>>();
        let server = line(1);
        if server.iter().any(|point| point[1] > 0.0) {
            series.push(Series { name: result.subject.clone(), points: server, faint: false, colour: 2 * n });
        }
        series.push(Series {
            name: if case.len() == 1 { "the load".to_owned() } else { format!("the load on {}", result.subject) },
            points: line(2),
            faint: false,
            colour: 2 * n + 1,
        });
    }
    if series.is_empty() {
        return;
    }
    page.push_str(
        "<h3>CPU</h3><p class=\"dim\">Shares of one core, from the processes' own accounts: 100&nbsp;% is a core that does \
         nothing else. Where the load is near 100&nbsp;%, the load and not the server decides the figures.</p>",
    );
    page.push_str(&svg(&Chart {
        x: ("seconds of measuring", Scale::Linear),
        y: ("share of a core", Scale::Linear),
        series,
        borders: borders(report),
        say_y: |share| format!("{} %", plain(share)),
        limit: None,
    }));
}

fn memory(page: &mut String, report: &Report, case: &[&Outcome]) {
    let shown = case.iter().enumerate().filter(|(_, result)| result.memory_over_time.len() > 1);
    let series: Vec<_> = shown
        .map(|(n, result)| Series {
            name: result.subject.clone(),
            points: result.memory_over_time.clone(),
            faint: false,
            colour: 2 * n,
        })
        .collect();
    if series.is_empty() {
        return;
    }
    page.push_str(
        "<h3>Memory</h3><p class=\"dim\">What the server's process holds. Every round has a server of its own, so each \
         begins anew; within one, flat is good.</p>",
    );
    page.push_str(&svg(&Chart {
        x: ("seconds of measuring", Scale::Linear),
        y: ("resident memory", Scale::Linear),
        series,
        borders: borders(report),
        say_y: |mib| format!("{} MiB", plain(mib)),
        limit: None,
    }));
}

fn borders(report: &Report) -> Vec<f64> {
    (1..report.rounds).map(|n| f64::from(n) * report.measured_s).collect()
}

fn ratios(page: &mut String, report: &Report) {
    if report.ratios.is_empty() {
        return;
    }
    page.push_str(
        "<h2>Side by side</h2><p class=\"dim\">Measured in turns within the same rounds, so that a machine that drifts \
         drifts for all. The floor is a server that does nothing else: what is left of a figure there is the \
         machine's.</p><table><tr><th>case<th>figure<th>of<th>over<th>ratio",
    );
    for ratio in &report.ratios {
        let cells = [&ratio.case, &ratio.figure, &ratio.of, &ratio.over].map(|cell| escaped(cell));
        let _ = write!(
            page,
            "<tr><td>{}<td>{} <small>{} .. {}</small>",
            cells.join("<td>"),
            number(ratio.seen.median),
            number(ratio.seen.min),
            number(ratio.seen.max)
        );
    }
    page.push_str("</table>");
}

/// Where the numbers come from.
fn origin(page: &mut String, report: &Report) {
    let machine = &report.machine;
    let rows = [
        ("program", format!("tessera {}, {} build", report.version, report.build)),
        ("commit", report.commit.clone().unwrap_or_else(|| "unknown to this build".into())),
        ("processor", format!("{}, {} cores", machine.cpu, machine.cores)),
        ("memory", format!("{} MiB", number(machine.memory_mib as f64))),
        ("system", machine.system.clone()),
        ("load before", format!("{:.2} processes wanted to run in the minute before", machine.load_average)),
        ("placed", report.placed.clone()),
    ];
    page.push_str("<h2>Where this comes from</h2><dl>");
    for (name, value) in rows {
        let _ = write!(page, "<dt>{name}<dd>{}", escaped(&value));
    }
    let settings = serde_json::to_string_pretty(&report.settings).unwrap_or_default();
    let _ = write!(
        page,
        "</dl><p>The same again:</p><pre>{}</pre><details><summary>All settings</summary><pre>{}</pre></details>",
        escaped(&report.command),
        escaped(&settings)
    );
    if let Some(config) = &report.server_config {
        let _ = write!(
            page,
            "<details><summary>The server's configuration</summary><pre>{}</pre></details>",
            escaped(config)
        );
    }
}

fn with_unit(value: f64, unit: &str) -> String {
    match unit {
        "us" => duration(value),
        "" => number(value),
        "/s" => format!("{}/s", number(value)),
        unit => format!("{} {unit}", number(value)),
    }
}

/// A number on an axis: no more digits than it has.
fn plain(value: f64) -> String {
    match value.abs() {
        large if large >= 1_000.0 => number(value),
        _ => {
            let text = format!("{value:.2}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
