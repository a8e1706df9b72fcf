//! How deep a JSON text is nested.

/// The deepest nesting that is read: the limit that most parsers behind us have themselves.
pub(super) const MAX_DEPTH: usize = 128;

/// Whether arrays and objects stand in each other more than [`MAX_DEPTH`] deep.
///
/// Exact for JSON; of anything else it says something, and the parser then refuses it.
pub(super) fn is_too_deep(text: &[u8]) -> bool {
    // As long as no more than that are opened in all, strings included, none can be that deep:
    // vector code answers for nearly every message.
    openers(text) > MAX_DEPTH && scan(text)
}

fn openers(text: &[u8]) -> usize {
    text.chunks(usize::from(u8::MAX))
        .map(|chunk| {
            // `[` and `{` differ in one bit. A chunk is short enough for its count to fit.
            usize::from(chunk.iter().fold(0u8, |count, byte| {
                count.wrapping_add(u8::from(byte | 0x20 == b'{'))
            }))
        })
        .sum()
}

fn scan(text: &[u8]) -> bool {
    let mut depth = 0usize;
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => skip_string(&mut bytes),
            b'[' | b'{' => {
                depth = depth.saturating_add(1);
                if depth > MAX_DEPTH {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

fn skip_string(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize) -> String {
        format!("{}{}", "[".repeat(depth), "]".repeat(depth))
    }

    #[test]
    fn exactly_128_levels_are_read() {
        assert!(!is_too_deep(nested(128).as_bytes()));
        assert!(is_too_deep(nested(129).as_bytes()));
        assert!(is_too_deep("{\"a\":".repeat(129).as_bytes()));
    }

    #[test]
    fn width_and_strings_are_not_depth() {
        let wide = format!("[{}]", vec!["[{}]"; 10_000].join(","));
        assert!(!is_too_deep(wide.as_bytes()));
        let brackets = format!(r#"["\"{}","\\",[]]"#, "[{".repeat(10_000));
        assert!(!is_too_deep(brackets.as_bytes()));
        // A string that ends where a careless reader thinks that it goes on.
        let hidden = format!(r#"["\\",{}]"#, nested(128));
        assert!(is_too_deep(hidden.as_bytes()));
    }

    #[test]
    fn counting_does_not_wrap() {
        assert_eq!(openers(&[b'['; 100_000]), 100_000);
        assert_eq!(openers(b"[{]}Zz\x7f\xff"), 2);
    }
}
