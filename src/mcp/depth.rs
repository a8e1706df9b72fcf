//! How deep a JSON text is nested.

use std::mem;

/// The deepest nesting that is read: the limit that most parsers behind us have themselves.
pub(super) const MAX_DEPTH: usize = 128;

/// As many bytes as are looked at together: eight rows of eight.
const BLOCK: usize = 64;

/// A block that begins no deeper cannot pass the limit, whatever stands in it.
const SHALLOW: isize = (MAX_DEPTH - BLOCK).cast_signed();

/// For each byte of a block the bit of its row.
const ROW_BITS: &[u8] = [
    [1_u8; 8], [2; 8], [4; 8], [8; 8], [16; 8], [32; 8], [64; 8], [128; 8],
]
.as_flattened();

/// One in each byte of a word.
const ONES: u64 = u64::from_ne_bytes([1; 8]);

/// As many bytes as each step of the scan takes at once: they stay in the fastest memory, and the
/// first step has fetched them for the others.
const PIECE: usize = 16 * BLOCK;

/// Whether arrays and objects stand in each other more than [`MAX_DEPTH`] deep.
///
/// Exact for JSON; of anything else it says something, and the parser then refuses it.
//
// A second look at the text that costs a seventh of the parser's own. Letting a visitor count while
// it parses cost seven tenths more than ignoring a value does, and a loop over the bytes far more.
// The steps are functions of their own, each a plain loop: what a compiler makes of them together is
// a matter of luck, and cost up to twice the time.
pub(super) fn is_too_deep(text: &[u8]) -> bool {
    // As long as no more than that are opened in all, strings included, none can be that deep:
    // that is soon said of nearly every message.
    !has_few_openers(text) && is_scanned_too_deep(text)
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

#[inline(never)]
fn is_scanned_too_deep(text: &[u8]) -> bool {
    let (pieces, rest) = text.as_chunks();
    let mut last = [b' '; PIECE];
    for (place, byte) in last.iter_mut().zip(rest) {
        *place = *byte;
    }
    let mut scan = Scan::default();
    pieces.iter().chain([&last]).any(|it| scan.goes_deeper(it))
}

/// What the pieces before leave open.
#[derive(Default)]
struct Scan {
    depth: isize,
    /// All bits, where a string is open.
    string: u64,
    /// The next byte stands behind a backslash.
    is_escaped: bool,
}

impl Scan {
    /// Takes the next piece in, and says whether the limit is passed in it.
    fn goes_deeper(&mut self, piece: &[u8; PIECE]) -> bool {
        let blanked;
        let piece = if self.is_escaped || has_escapes(piece) {
            blanked = self.blank_escaped(piece);
            &blanked
        } else {
            piece
        };
        let strings = self.strings(piece);
        let changes = changes(piece, &strings);
        let mut depth = self.depth;
        let blocks = piece.as_chunks().0.iter().zip(&strings).zip(&changes);
        for ((block, strings), change) in blocks {
            depth = if depth <= SHALLOW {
                // Only what it leaves open matters.
                (depth + isize::from(*change)).max(0)
            } else {
                depth_after(depth, block, *strings)
            };
            if depth > MAX_DEPTH.cast_signed() {
                return true;
            }
        }
        self.depth = depth;
        false
    }

    /// Overwrites what stands behind a backslash, which may be a quote.
    #[inline(never)]
    fn blank_escaped(&mut self, piece: &[u8; PIECE]) -> [u8; PIECE] {
        const BLANK: u64 = 0x20;
        let mut blanked = [0; PIECE];
        let words = blanked.as_chunks_mut().0.iter_mut();
        for (place, word) in words.zip(piece.as_chunks().0) {
            let mut word = u64::from_le_bytes(*word);
            if mem::take(&mut self.is_escaped) {
                word = (word & !0xFF) | BLANK;
            }
            let mut escapes = high_bits_of(word, b'\\');
            while escapes != 0 {
                let next = escapes.trailing_zeros() + 1;
                if next == u64::BITS {
                    self.is_escaped = true;
                    break;
                }
                word = (word & !(0xFF << next)) | (BLANK << next);
                // Both are done with: a backslash behind another escapes nothing.
                escapes &= (escapes - 1) & !(0x80 << next);
            }
            *place = word.to_le_bytes();
        }
        blanked
    }

    /// For each block which of its bytes stand in strings: a byte for each column of the block, and
    /// in it a bit for each row. It is set where the quotes up to it are odd in number.
    #[inline(never)]
    fn strings(&mut self, piece: &[u8; PIECE]) -> [u64; PIECE / BLOCK] {
        let mut all = [0; PIECE / BLOCK];
        let mut string = self.string;
        for (place, block) in all.iter_mut().zip(piece.as_chunks::<BLOCK>().0) {
            let mut quotes = [0; BLOCK];
            for ((quote, byte), row) in quotes.iter_mut().zip(block).zip(ROW_BITS) {
                *quote = if *byte == b'"' { *row } else { 0 };
            }
            let rows = quotes.as_chunks().0.iter();
            let mut odd = rows.fold(0, |odd, row| odd | u64::from_le_bytes(*row));
            // Along each row, all eight of them at once.
            odd ^= odd << 8;
            odd ^= odd << 16;
            odd ^= odd << 32;
            // Then from row to row: the last column has what is odd in the whole row.
            let mut rows = odd >> 56;
            rows ^= rows << 1;
            rows ^= rows << 2;
            rows ^= rows << 4;
            let rows_before = (rows << 1) & 0xFF;
            *place = odd ^ (rows_before * ONES) ^ string;
            if rows & 0x80 != 0 {
                string = !string;
            }
        }
        self.string = string;
        all
    }
}

/// The highest bit of each byte in the word that is this one.
const fn high_bits_of(word: u64, byte: u8) -> u64 {
    const LOW: u64 = 0x7F * ONES;
    let differs = word ^ (byte as u64 * ONES);
    // In each byte the sum reaches the highest bit where any of the lower ones differs.
    !(((differs & LOW) + LOW) | differs | LOW)
}

#[inline(never)]
fn has_escapes(piece: &[u8; PIECE]) -> bool {
    piece.iter().fold(false, |any, byte| any | (*byte == b'\\'))
}

/// How much deeper each block ends than it begins.
#[inline(never)]
fn changes(piece: &[u8; PIECE], strings: &[u64; PIECE / BLOCK]) -> [i8; PIECE / BLOCK] {
    let mut all = [0; PIECE / BLOCK];
    let blocks = piece.as_chunks::<BLOCK>().0.iter().zip(strings);
    for (place, (block, strings)) in all.iter_mut().zip(blocks) {
        let columns = [strings.to_le_bytes(); 8];
        let bytes = block.iter().zip(ROW_BITS).zip(columns.as_flattened());
        *place = bytes.fold(0_i8, |change, ((byte, row), column)| {
            let step = i8::from(is_opener(*byte)) - i8::from(is_closer(*byte));
            change.wrapping_add(if column & row == 0 { step } else { 0 })
        });
    }
    all
}

/// How deep a block ends that begins so deep: looked at byte by byte, up to where the limit is passed.
#[cold]
fn depth_after(mut depth: isize, block: &[u8; BLOCK], strings: u64) -> isize {
    let columns = [strings.to_le_bytes(); 8];
    let bytes = block.iter().zip(ROW_BITS).zip(columns.as_flattened());
    for ((byte, row), column) in bytes {
        if column & row == 0 && is_opener(*byte) {
            depth += 1;
        } else if column & row == 0 && is_closer(*byte) {
            depth = (depth - 1).max(0);
        }
        if depth > MAX_DEPTH.cast_signed() {
            break;
        }
    }
    depth
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

    #[test]
    fn what_a_piece_leaves_open_goes_on_in_the_next() {
        // An escaped quote, then brackets in the string and behind it, before and behind the border.
        for lead in PIECE - BLOCK..=PIECE + 2 {
            for depth in [MAX_DEPTH - 1, MAX_DEPTH] {
                let (lead, brackets) = ("x".repeat(lead), "[}".repeat(MAX_DEPTH));
                let text = format!(r#"["{lead}\"{brackets}\\",{}]"#, nested(depth));
                assert_eq!(is_too_deep(text.as_bytes()), depth == MAX_DEPTH);
                assert_eq!(is_too_deep(text.as_bytes()), slowly(text.as_bytes()));
            }
        }
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
