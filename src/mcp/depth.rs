//! How deep a JSON text is nested.

use std::mem;

/// The deepest nesting that is read: the limit that most parsers behind us have themselves.
pub(super) const MAX_DEPTH: usize = 128;

/// As many bytes as are looked at together, by vector code.
const BLOCK: usize = 64;

/// One in each byte of a word.
const ONES: u64 = u64::from_ne_bytes([1; 8]);

/// Whether arrays and objects stand in each other more than [`MAX_DEPTH`] deep.
///
/// Exact for JSON; of anything else it says something, and the parser then refuses it.
//
// A second look at the text that costs a sixth of the parser's own. Letting a visitor count while it
// parses cost seven tenths more than ignoring a value does, and a loop over the bytes four times this.
pub(super) fn is_too_deep(text: &[u8]) -> bool {
    // As long as no more than that are opened in all, strings included, none can be that deep:
    // that is soon said of nearly every message.
    if has_few_openers(text) {
        return false;
    }
    let mut scan = Scan::default();
    text.chunks(BLOCK).any(|chunk| {
        let mut padded = [b' '; BLOCK];
        scan.goes_deeper(chunk.try_into().unwrap_or_else(|_| {
            for (place, byte) in padded.iter_mut().zip(chunk) {
                *place = *byte;
            }
            &padded
        }))
    })
}

fn has_few_openers(text: &[u8]) -> bool {
    let (blocks, rest) = text.as_chunks::<BLOCK>();
    let mut openers = count_openers(rest);
    blocks.iter().all(|block| {
        openers += count_openers(block);
        openers <= MAX_DEPTH
    })
}

/// Counts in a block at most, where a byte can hold the count.
fn count_openers(block: &[u8]) -> usize {
    let openers = block.iter().map(|byte| u8::from(is_opener(*byte)));
    usize::from(openers.fold(0, u8::wrapping_add))
}

// `[` and `{` differ in one bit, and so do `]` and `}`.
const fn is_opener(byte: u8) -> bool {
    byte | 0x20 == b'{'
}

const fn is_closer(byte: u8) -> bool {
    byte | 0x20 == b'}'
}

/// What the blocks before leave open.
#[derive(Default)]
struct Scan {
    depth: usize,
    is_in_string: bool,
    /// The next byte stands behind a backslash.
    is_escaped: bool,
}

impl Scan {
    /// Takes the next block in, and says whether the limit is passed in it.
    fn goes_deeper(&mut self, block: &[u8; BLOCK]) -> bool {
        let has_escapes = block.iter().fold(false, |any, byte| any | (*byte == b'\\'));
        let blanked;
        let block = if has_escapes || self.is_escaped {
            blanked = self.blank_escaped(*block);
            &blanked
        } else {
            block
        };
        let in_string = self.in_string(block);
        if self.depth <= MAX_DEPTH - BLOCK {
            // No block opens so many: only what it leaves open matters.
            let steps = block.iter().zip(in_string).map(|(byte, is_in)| {
                let step = i8::from(is_opener(*byte)) - i8::from(is_closer(*byte));
                step & is_in.wrapping_sub(1).cast_signed()
            });
            let change = steps.fold(0, i8::wrapping_add);
            self.depth = self.depth.saturating_add_signed(change.into());
            return false;
        }
        block.iter().zip(in_string).any(|(byte, is_in)| {
            if is_in == 0 && is_opener(*byte) {
                self.depth += 1;
            } else if is_in == 0 && is_closer(*byte) {
                self.depth = self.depth.saturating_sub(1);
            }
            self.depth > MAX_DEPTH
        })
    }

    /// Overwrites what stands behind a backslash, which may be a quote.
    fn blank_escaped(&mut self, mut block: [u8; BLOCK]) -> [u8; BLOCK] {
        for word in block.as_chunks_mut::<8>().0 {
            if self.is_escaped || word.contains(&b'\\') {
                for byte in word {
                    if mem::take(&mut self.is_escaped) {
                        *byte = b' ';
                    } else {
                        self.is_escaped = *byte == b'\\';
                    }
                }
            }
        }
        block
    }

    /// For each byte whether it stands in a string: 1, where the quotes up to it are odd in number.
    fn in_string(&mut self, block: &[u8; BLOCK]) -> [u8; BLOCK] {
        let mut bytes = block.map(|byte| u8::from(byte == b'"'));
        let mut before = if self.is_in_string { ONES } else { 0 };
        for word in bytes.as_chunks_mut::<8>().0 {
            // The product has in each byte the sum of all bytes up to it.
            let up_to = u64::from_le_bytes(*word).wrapping_mul(ONES);
            *word = ((up_to & ONES) ^ before).to_le_bytes();
            before ^= ((up_to >> 56) & 1) * ONES;
        }
        self.is_in_string = before != 0;
        bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
        assert!(!has_few_openers(&[b'['; 100_000]));
        assert!(has_few_openers(&[b'['; MAX_DEPTH]));
        assert!(!has_few_openers(&[b'['; MAX_DEPTH + 1]));
        assert!(has_few_openers(&b"]}Zz\x7f\xff".repeat(1_000)));
    }

    /// One byte after the other, as the grammar has it.
    fn slowly(text: &[u8]) -> bool {
        let (mut depth, mut is_in_string, mut is_escaped) = (0usize, false, false);
        text.iter().any(|byte| {
            match (is_in_string, mem::take(&mut is_escaped), byte) {
                (true, true, _) => {}
                (true, false, b'\\') => is_escaped = true,
                (_, _, b'"') => is_in_string = !is_in_string,
                (false, _, b'[' | b'{') => depth += 1,
                (false, _, b']' | b'}') => depth -= 1,
                _ => {}
            }
            depth > MAX_DEPTH
        })
    }

    proptest! {
        #[test]
        fn blocks_are_read_like_bytes(
            parts in prop::collection::vec(
                prop_oneof!["\"([^\"\\\\]|\\\\[\"\\\\n])*\"", "[ ,a-z0-9]{0,9}"], 1..80),
            depth in 0..140usize,
            turns in 1..30usize,
        ) {
            // Opens and closes by turns around the parts, in the end `depth` levels and all closed.
            let mut text = String::new();
            let mut open = 0;
            for (position, part) in parts.iter().cycle().take(depth * 3 + parts.len()).enumerate() {
                text.push_str(part);
                if open > 0 && (position % turns == 0 || open > depth) {
                    text.push(if position % 2 == 0 { ']' } else { '}' });
                    open -= 1;
                } else {
                    text.push(if position % 2 == 0 { '[' } else { '{' });
                    open += 1;
                }
            }
            text.push_str(&"]".repeat(open));
            prop_assert_eq!(is_too_deep(text.as_bytes()), slowly(text.as_bytes()));
        }
    }
}
