//! The same account as a page of its own: nothing is loaded from anywhere.

use std::fmt::Write;

use super::account::{Account, Outcome, StepAccount};
use crate::html::escaped;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}\
h2{font-size:1.1rem;margin:2rem 0 .2rem}p{margin:.2rem 0}.ok{color:#176b2c}.failed{color:#a61b1b;font-weight:600}\
.notrun{color:#777}table{border-collapse:collapse;width:100%;margin-top:.5rem}td{padding:.15rem .6rem .15rem 0;\
vertical-align:top}td.n{text-align:right;white-space:nowrap;color:#666}pre{margin:.2rem 0;white-space:pre-wrap;\
word-break:break-word;font-size:12px}details{color:#555}";

/// A whole page about these scenarios.
pub fn report(accounts: &[Account]) -> String {
    let held = accounts.iter().filter(|account| account.held()).count();
    let mut page =
        String::from("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Tessera scenarios</title>");
    // Writing to a string cannot fail.
    let _ = write!(page, "<style>{STYLE}</style><h1>Scenarios</h1><p>{held} of {} hold.</p>", accounts.len());
    for account in accounts {
        scenario(&mut page, account);
    }
    page + "</html>\n"
}

fn scenario(page: &mut String, account: &Account) {
    let (class, word) = if account.held() { ("ok", "holds") } else { ("failed", "does not hold") };
    let _ = write!(
        page,
        "<h2>{}</h2><p><span class=\"{class}\">{word}</span> in {} ms &middot; {}</p><p>{}</p><table>",
        escaped(&account.title),
        account.took.as_millis(),
        escaped(&account.file),
        escaped(&account.about),
    );
    for each in &account.steps {
        step(page, each);
    }
    page.push_str("</table>");
}

fn step(page: &mut String, step: &StepAccount) {
    let (class, word) = match step.outcome {
        Outcome::Held => ("ok", "ok"),
        Outcome::Failed(_) => ("failed", "failed"),
        Outcome::NotRun => ("notrun", "not run"),
    };
    let _ = write!(
        page,
        "<tr><td class=\"n\">{}</td><td class=\"{class}\">{word}</td><td class=\"n\">{} ms</td><td>{}",
        step.number,
        step.took.as_millis(),
        escaped(&step.text)
    );
    if let Outcome::Failed(why) = &step.outcome {
        let _ = write!(page, "<pre class=\"failed\">{}</pre>", escaped(&why.join("\n")));
    }
    if !step.lines.is_empty() {
        let _ = write!(page, "<details><summary>{} lines</summary><pre>", step.lines.len());
        for line in &step.lines {
            let arrow = if line.sent { "&rarr;" } else { "&larr;" };
            let who = escaped(&line.who);
            let _ = writeln!(page, "{:>6} ms  {who:>8} {arrow} {}", line.at.as_millis(), escaped(&line.text));
        }
        page.push_str("</pre></details>");
    }
    page.push_str("</td></tr>");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_players_say_stays_text() {
        let step = StepAccount {
            number: 1,
            text: "<script>".into(),
            took: Duration::ZERO,
            outcome: Outcome::Failed(vec!["\"<b>\"".into()]),
            lines: Vec::new(),
        };
        let (file, title, about) = ("<f>".into(), "<t>".into(), "<a>".into());
        let page = report(&[Account { file, title, about, took: Duration::ZERO, steps: vec![step] }]);
        assert!(page.contains("0 of 1 hold") && page.contains("&lt;script&gt;"));
        for raw in ["<script>", "<b>", "<f>", "<t>", "<a>"] {
            assert!(!page.contains(raw), "{raw}");
        }
    }
}
