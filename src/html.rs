//! Text on its way into a page of ours: `bench`, `tally` and `scenario` draw one each.

/// `raw` as it may stand in a page, between tags and in a quoted attribute.
pub fn escaped(raw: &str) -> String {
    let mut safe = String::with_capacity(raw.len());
    for c in raw.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // Lines and columns of what is shown as it was written stay; nothing else that cannot be seen does.
            c if c.is_control() && !matches!(c, '\n' | '\t') => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_is_markup() {
        let raw = r#"<b title="x" id='y'>R&D</b> ok"#;
        assert_eq!(escaped(raw), "&lt;b title=&quot;x&quot; id=&#39;y&#39;&gt;R&amp;D&lt;/b&gt; ok");
        assert_eq!(escaped("two\nlines\u{8}\u{0}"), "two\nlines\u{fffd}\u{fffd}");
    }
}
