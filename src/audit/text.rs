//! Text that others wrote, bounded and made harmless for a log.

use std::{borrow::Cow, fmt::Write as _, io};

use serde::{Serialize, Serializer};
use serde_json::ser::Formatter;
use smol_str::SmolStr;

use crate::mcp::TargetName;

const MAX_CHARS: usize = 256;
const MARK: char = '…';

/// Text of at most 256 characters; where some were cut off, `…` follows. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text(SmolStr);

impl Text {
    /// A word of ours, which is short.
    pub(crate) const fn from_static(text: &'static str) -> Self {
        Self(SmolStr::new_static(text))
    }

    pub(crate) fn new(text: &str) -> Self {
        Self(capped(text).into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Shares the text where it is short enough.
impl From<&TargetName> for Text {
    fn from(name: &TargetName) -> Self {
        if is_short(name) {
            Self(name.text().clone())
        } else {
            Self::new(name)
        }
    }
}

impl From<Cow<'static, str>> for Text {
    fn from(text: Cow<'static, str>) -> Self {
        match text {
            Cow::Borrowed(text) if is_short(text) => Self::from_static(text),
            other => Self::new(&other),
        }
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Whether nothing is cut off, as far as the number of its bytes tells.
pub(super) const fn is_short(text: &str) -> bool {
    text.len() <= MAX_CHARS
}

pub(super) fn capped(text: &str) -> Cow<'_, str> {
    if is_short(text) {
        return text.into();
    }
    match text.char_indices().nth(MAX_CHARS) {
        None => text.into(),
        Some((end, _)) => {
            let mut head = text.get(..end).unwrap_or_default().to_owned();
            head.push(MARK);
            head.into()
        }
    }
}

/// Whether a character can forge a line or turn the order of what is shown around: the controls of
/// ASCII and Latin-1, the line and paragraph separators, and the controls of direction.
const fn is_harmful(c: char) -> bool {
    matches!(
        c,
        '\0'..='\x1f'
            | '\x7f'..='\u{9f}'
            | '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
    )
}

/// The text with every harmful character written as JSON writes it: `\u202e`.
pub(super) fn harmless(text: &str) -> Cow<'_, str> {
    if !text.contains(is_harmful) {
        return text.into();
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_harmful(c) {
            // To a string it cannot fail. All of them are in the basic plane: four digits.
            let _ = write!(safe, "\\u{:04x}", u32::from(c));
        } else {
            safe.push(c);
        }
    }
    safe.into()
}

/// Writes compact JSON in which the harmful characters are escaped: JSON itself asks for it only
/// below U+0020.
#[derive(Clone, Copy, Debug)]
pub(super) struct Harmless;

impl Formatter for Harmless {
    fn write_string_fragment<W>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + io::Write,
    {
        writer.write_all(harmless(fragment).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_cut_at_a_character_and_marked() {
        let fits = "é".repeat(256);
        assert_eq!(Text::new(&fits).as_str(), fits);
        let cut = format!("{fits}…");
        assert_eq!(Text::new(&format!("{fits}ab")).as_str(), cut);
        let name = TargetName::from(format!("{fits}a"));
        assert_eq!(Text::from(&name).as_str(), cut);
        let shared = TargetName::from("long enough to be shared");
        assert_eq!(Text::from(&shared).as_str().as_ptr(), shared.as_ptr());
    }

    #[test]
    fn no_harmful_character_is_left() {
        let nasty = "a\r\n\0\x1b[31m\x7f\u{85}\u{9b}\u{61c}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\
                     \u{202e}\u{2066}\u{2069}é…😀";
        let safe = harmless(nasty);
        assert_eq!(
            safe,
            "a\\u000d\\u000a\\u0000\\u001b[31m\\u007f\\u0085\\u009b\\u061c\\u200e\\u200f\\u2028\
             \\u2029\\u202a\\u202e\\u2066\\u2069é…😀"
        );
        assert!(matches!(harmless("plain é…😀"), Cow::Borrowed(_)));
        let mut json = Vec::new();
        let mut serializer = serde_json::Serializer::with_formatter(&mut json, Harmless);
        assert!(nasty.serialize(&mut serializer).is_ok());
        let json = String::from_utf8_lossy(&json);
        assert!(!json.contains(is_harmful), "{json}");
        // It is the same text to whoever reads the JSON.
        assert_eq!(
            serde_json::from_str::<String>(&json).ok().as_deref(),
            Some(nasty)
        );
    }
}
