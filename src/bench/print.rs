//! A report as text: for people, and as CSV for spreadsheets.

use std::fmt::Write;

use super::result::{Counts, LatencySeen, Outcome, Report, Spread};

/// For people: what was measured where, then each case with medians and, behind them, the least and greatest round.
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    let commit = report.commit.as_deref().map(|commit| format!(" ({commit})")).unwrap_or_default();
    let machine = &report.machine;
    let _ = writeln!(out, "tessera bench {}   {}{commit}, {} build", report.shape, report.version, report.build);
    let _ = writeln!(
        out,
        "  machine   {}, {} cores, {} MiB, {}, load {:.2} at the start",
        machine.cpu, machine.cores, machine.memory_mib, machine.system, machine.load_average
    );
    let _ = writeln!(out, "  placed    {}", report.placed);
    let _ = writeln!(
        out,
        "  measured  {} of {} s after {} s of warm-up; medians, and the least and greatest round",
        rounds(report.rounds),
        report.measured_s,
        report.warm_up_s
    );
    for result in &report.results {
        let _ = writeln!(out, "\n  {}, {}", result.subject, result.case);
        case(&mut out, result);
    }
    if !report.ratios.is_empty() {
        out.push('\n');
    }
    for ratio in &report.ratios {
        let _ = writeln!(
            out,
            "  {}, {}: {} is {} times that of {}  ({} .. {})",
            ratio.case,
            ratio.figure,
            ratio.of,
            number(ratio.seen.median),
            ratio.over,
            number(ratio.seen.min),
            number(ratio.seen.max)
        );
    }
    for note in &report.notes {
        let _ = writeln!(out, "\n  note: {note}");
    }
    out
}

fn case(out: &mut String, result: &Outcome) {
    let figures = result.figures.iter().map(|figure| figure.name.len());
    let latencies = result.latencies.iter().map(|latency| latency.name.len());
    let width = figures.chain(latencies).max().unwrap_or(0).max(20);
    for figure in &result.figures {
        let Spread { median, min, max, .. } = &figure.seen;
        let (unit, say): (_, fn(f64) -> String) =
            if figure.unit == "us" { ("", duration) } else { (&*figure.unit, number) };
        let (median, unit) = (say(*median), if unit.is_empty() { String::new() } else { format!(" {unit}") });
        let _ = writeln!(out, "    {:<width$}  {:<24}  {} .. {}", figure.name, median + &unit, say(*min), say(*max));
    }
    if !result.latencies.is_empty() {
        let heads = ["half within", "90 %", "99 %", "99.9 %", "longest"].map(|head| format!("{head:>11}")).concat();
        let _ = writeln!(out, "\n    {:<width$}{heads}   99 % of the least and greatest round", "how long");
    }
    for latency in &result.latencies {
        let LatencySeen { p50, p90, p99, p999, max, .. } = latency;
        let each = [p50, p90, p99, p999, max].map(|seen| format!("{:>11}", duration(seen.median))).concat();
        let (least, greatest) = (duration(p99.min), duration(p99.max));
        let _ = writeln!(out, "    {:<width$}{each}   {least} .. {greatest}", latency.name);
    }
    for [asked, delivered, p99_us, cpu] in &result.steps {
        let _ = writeln!(
            out,
            "    {:<width$}  {} /s asked for, {} /s came, p99 {}, server CPU {} %",
            "step",
            number(*asked),
            number(*delivered),
            duration(*p99_us),
            number(*cpu)
        );
    }
    let _ = writeln!(out, "\n    {:<width$}  {}", "messages", counts(&result.counts));
    for fault in &result.faults {
        let _ = writeln!(out, "    FAILED: {fault}");
    }
}

/// So many rounds.
pub fn rounds(count: u32) -> String {
    format!("{count} round{}", if count == 1 { "" } else { "s" })
}

/// What became of the messages, in words.
pub fn counts(counts: &Counts) -> String {
    let refused = match counts.refusals() {
        0 => "none refused".to_owned(),
        all => {
            let each: Vec<_> =
                counts.refused.iter().map(|(code, count)| format!("{code} {}", grouped(*count))).collect();
            format!("{} REFUSED ({})", grouped(all), each.join(", "))
        }
    };
    format!("{} sent, {} answered, {refused}", grouped(counts.sent), grouped(counts.answered))
}

/// One line per number: `shape,subject,case,name,unit,median,min,max`.
pub fn csv(report: &Report) -> String {
    let mut out = String::from("shape,subject,case,name,unit,median,min,max\n");
    for result in &report.results {
        let mut line = |name: &str, unit: &str, seen: &Spread| {
            let cells = [&report.shape, &result.subject, &result.case, name, unit].map(quoted);
            let _ = writeln!(out, "{},{},{},{}", cells.join(","), seen.median, seen.min, seen.max);
        };
        for figure in &result.figures {
            line(&figure.name, &figure.unit, &figure.seen);
        }
        for latency in &result.latencies {
            let LatencySeen { name, mean, p50, p90, p99, p999, max, .. } = latency;
            let quantiles = [("mean", mean), ("p50", p50), ("p90", p90), ("p99", p99), ("p99.9", p999), ("max", max)];
            for (quantile, seen) in quantiles {
                line(&format!("{name} {quantile}"), "us", seen);
            }
        }
        for (n, [asked, delivered, p99, cpu]) in result.steps.iter().enumerate() {
            let parts = [
                ("asked for", "/s", asked),
                ("came", "/s", delivered),
                ("p99", "us", p99),
                ("server CPU", "% of a core", cpu),
            ];
            for (part, unit, value) in parts {
                line(&format!("step {} {part}", n + 1), unit, &Spread::of(vec![*value]));
            }
        }
        let Counts { sent, answered, .. } = result.counts;
        for (name, count) in [("sent", sent), ("answered", answered), ("refused", result.counts.refusals())] {
            line(name, "", &Spread::of(vec![count as f64]));
        }
    }
    out
}

fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

/// A number as people read it.
pub fn number(value: f64) -> String {
    match value.abs() {
        count if count < 1_000.0 && count.fract() == 0.0 => format!("{value:.0}"),
        large if large >= 1_000.0 => grouped(value.round() as u64),
        middle if middle >= 100.0 => format!("{value:.0}"),
        small if small >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Microseconds as people read them.
pub fn duration(us: f64) -> String {
    let three = |value: f64| match value {
        large if large >= 99.95 => format!("{large:.0}"),
        middle if middle >= 9.995 => format!("{middle:.1}"),
        small => format!("{small:.2}"),
    };
    match us {
        us if us >= 999_950.0 => format!("{} s", three(us / 1e6)),
        us if us >= 999.5 => format!("{} ms", three(us / 1e3)),
        us => format!("{} us", three(us)),
    }
}

/// An integer with its thousands apart.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0.1234, 12.34, 123.4, 1_234.5].map(number), ["0.12", "12.3", "123", "1,235"]);
        assert_eq!([0.0, 7.0, 0.5].map(number), ["0", "7", "0.50"]);
        assert_eq!([0.5, 28.4, 1_250.0, 2_500_000.0].map(duration), ["0.50 us", "28.4 us", "1.25 ms", "2.50 s"]);
        assert_eq!([12_345.0, 123_456.0, 999.7, 999_960.0].map(duration), ["12.3 ms", "123 ms", "1.00 ms", "1.00 s"]);
    }

    #[test]
    fn a_refusal_is_shouted() {
        let mut told = Counts { sent: 3, answered: 2, ..Counts::default() };
        assert_eq!(counts(&told), "3 sent, 2 answered, none refused");
        told.refused.insert("rate_limited".into(), 1_000);
        assert_eq!(counts(&told), "3 sent, 2 answered, 1,000 REFUSED (rate_limited 1,000)");
    }

    #[test]
    fn a_comma_does_not_end_a_cell() {
        assert_eq!(quoted("16 in flight, 64 B"), "\"16 in flight, 64 B\"");
    }
}
