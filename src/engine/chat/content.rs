//! What may be said: text in one normal form, without characters that change how other text is shown.

use std::sync::Arc;

use unicode_normalization::UnicodeNormalization;

use super::places::Place;
use crate::ids::PlayerId;
use crate::limits::CONTENT_BYTES_MAX;

/// A text that may be said: 1 to 2000 bytes in normal form C, not blank, without control or bidi characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content(Arc<str>);

/// Why a text may not be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ContentRefused {
    /// Nothing in it can be seen.
    #[error("a message needs content")]
    Empty,
    /// Over [`CONTENT_BYTES_MAX`].
    #[error("a message may have {CONTENT_BYTES_MAX} bytes")]
    TooLarge,
    /// A control or bidi character.
    #[error("a message may not contain the character U+{:04X}", *.0 as u32)]
    Forbidden(char),
    /// The word filter does not let it pass.
    #[error("the message was refused by the word filter")]
    Filtered,
}

impl Content {
    /// Checks and normalises what a player wrote. Blanks around it stay.
    pub fn new(text: &str) -> Result<Self, ContentRefused> {
        // Normal form C is never shorter than a third of what came (a limit on work, not on meaning).
        if text.len() > 3 * CONTENT_BYTES_MAX {
            return Err(ContentRefused::TooLarge);
        }
        if text.chars().all(|c| c.is_whitespace() || is_invisible(c)) {
            return Err(ContentRefused::Empty);
        }
        if let Some(forbidden) = text.chars().find(|&c| is_forbidden(c)) {
            return Err(ContentRefused::Forbidden(forbidden));
        }
        let normal: String = text.nfc().collect();
        if normal.len() > CONTENT_BYTES_MAX {
            return Err(ContentRefused::TooLarge);
        }
        Ok(Self(normal.into()))
    }

    /// The text as a filter lets `sender` (`None`: the server) say it in `place`.
    pub fn filtered(
        self,
        filter: &dyn Filter,
        place: &Place,
        sender: Option<PlayerId>,
    ) -> Result<Self, ContentRefused> {
        match filter.judge(place, sender, self.as_str()) {
            FilterVerdict::Pass => Ok(self),
            // What a filter wrote is no fault of whoever said something else.
            FilterVerdict::Replace(text) => Self::new(&text).map_err(|_| ContentRefused::Filtered),
            FilterVerdict::Refuse => Err(ContentRefused::Filtered),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, shared.
    pub fn shared(&self) -> Arc<str> {
        self.0.clone()
    }
}

/// Whether a text that is shown beside others, and is no message of its own, leaves them as they are: no control and no
/// bidi characters.
pub fn is_plain(text: &str) -> bool {
    !text.contains(is_forbidden)
}

/// Characters that end up changing what stands around them: controls, line separators, and those that turn the
/// direction of text.
pub(super) fn is_forbidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{061C}'
                | '\u{200E}'
                | '\u{200F}'
                | '\u{2028}'..='\u{202E}'
                | '\u{2066}'..='\u{206F}'
                | '\u{FEFF}'
                | '\u{FFF0}'..='\u{FFFB}'
                | '\u{FDD0}'..='\u{FDEF}'
                | '\u{E0001}'
        )
        // Nothing is assigned there, in any plane, nor ever will be.
        || c as u32 & 0xFFFE == 0xFFFE
}

/// Characters that show nothing by themselves, though they are allowed among others (joiners in emoji).
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{00AD}' | '\u{034F}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200D}' | '\u{2060}'..='\u{2065}' | '\u{2800}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}'
        | '\u{FFA0}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// What a word filter says about a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilterVerdict {
    /// Said as it is.
    Pass,
    /// Said like this instead; checked again like any text, and not said if that may not be.
    Replace(String),
    /// Not said.
    Refuse,
}

/// A word filter. Any `Fn(&Place, Option<PlayerId>, &str) -> FilterVerdict` is one; the sender is `None` for the
/// server itself.
pub trait Filter {
    /// Judges a text that is otherwise allowed.
    fn judge(&self, place: &Place, sender: Option<PlayerId>, text: &str) -> FilterVerdict;
}

impl<F: Fn(&Place, Option<PlayerId>, &str) -> FilterVerdict> Filter for F {
    fn judge(&self, place: &Place, sender: Option<PlayerId>, text: &str) -> FilterVerdict {
        self(place, sender, text)
    }
}

/// No filter.
impl Filter for () {
    fn judge(&self, _: &Place, _: Option<PlayerId>, _: &str) -> FilterVerdict {
        FilterVerdict::Pass
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_may_be_said() {
        let check = |text: &str, expected: Result<&str, ContentRefused>| {
            let content = Content::new(text);
            assert_eq!(content.as_ref().map(Content::as_str), expected.as_ref().map(|text| *text), "{text:?}");
        };
        check("hello", Ok("hello"));
        check(" hello ", Ok(" hello "));
        check("e\u{301}a\u{300}", Ok("\u{e9}\u{e0}"));
        check("\u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}", Ok("\u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}"));
        check("\u{5e9}\u{5dc}\u{5d5}\u{5dd}", Ok("\u{5e9}\u{5dc}\u{5d5}\u{5dd}"));
        for blank in [
            "\u{2800}",
            "\u{17b4}\u{180b}",
            "\u{1d173} ",
            "",
            " ",
            "\u{a0}\u{3000}",
            "\n\t",
            "\u{200B}",
            "\u{200D}\u{2060} \u{3164}",
        ] {
            check(blank, Err(ContentRefused::Empty));
        }
        for forbidden in [
            '\u{206a}',
            '\u{206f}',
            '\u{fdd0}',
            '\u{fffe}',
            '\u{1ffff}',
            '\u{e0001}',
            '\0',
            '\n',
            '\u{1b}',
            '\u{7f}',
            '\u{85}',
            '\u{2028}',
            '\u{202E}',
            '\u{2066}',
            '\u{200F}',
            '\u{FEFF}',
        ] {
            check(&format!("a{forbidden}b"), Err(ContentRefused::Forbidden(forbidden)));
        }
        check(&"x".repeat(2_000), Ok(&"x".repeat(2_000)));
        check(&"x".repeat(2_001), Err(ContentRefused::TooLarge));
        check(&"\u{e9}".repeat(1_001), Err(ContentRefused::TooLarge));
        check(&"e\u{301}".repeat(1_000), Ok(&"\u{e9}".repeat(1_000)));
        check(&"e\u{301}".repeat(100_000), Err(ContentRefused::TooLarge));
        assert_eq!(ContentRefused::Forbidden('\u{202E}').to_string(), "a message may not contain the character U+202E");
    }

    #[test]
    fn a_filter_lets_pass_rewrites_or_refuses() {
        let place = Place::Open("lobby".into());
        let strict = |_: &Place, sender: Option<PlayerId>, text: &str| match text {
            _ if sender.is_none() => FilterVerdict::Pass,
            "darn" => FilterVerdict::Replace("****".into()),
            "hide" => FilterVerdict::Replace("\u{202E}".into()),
            "vile" => FilterVerdict::Refuse,
            _ => FilterVerdict::Pass,
        };
        let said = |text: &str, sender| {
            let content = Content::new(text).and_then(|content| content.filtered(&strict, &place, sender));
            content.map(|content| content.as_str().to_owned())
        };
        let somebody = Some(PlayerId::from_u128(1));
        assert_eq!(said("nice", somebody), Ok("nice".into()));
        assert_eq!(said("darn", somebody), Ok("****".into()));
        assert_eq!(said("vile", somebody), Err(ContentRefused::Filtered));
        assert_eq!(said("vile", None), Ok("vile".into()));
        assert_eq!(
            said("hide", somebody),
            Err(ContentRefused::Filtered),
            "a filter's text is checked too, and who said something else is not blamed for it"
        );
    }

    proptest! {
        #[test]
        fn whatever_passes_keeps_the_rules(text in "\\PC{0,40}|.{0,40}|[e\u{301}\u{200B} ]{0,800}") {
            if let Ok(content) = Content::new(&text) {
                let said = content.as_str();
                prop_assert!((1..=CONTENT_BYTES_MAX).contains(&said.len()));
                prop_assert!(!said.chars().any(is_forbidden));
                prop_assert!(!said.trim().is_empty());
                prop_assert_eq!(Content::new(said), Ok(content.clone()), "normalising twice changes nothing");
            }
        }
    }
}
