//! The smallest parts: what stands next in the text.

use super::Error;

/// A text, and how far it is read. It is copied, and put back, by whoever reads more than one thing:
/// so it stays in registers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scan<'a> {
    text: &'a str,
    position: usize,
}

impl<'a> Scan<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, position: 0 }
    }

    /// How many bytes are read.
    #[inline(always)]
    pub(super) const fn position(&self) -> usize {
        self.position
    }

    /// What stands between two places.
    #[inline(always)]
    pub(super) fn between(&self, start: usize, end: usize) -> Result<&'a str, Error> {
        self.text.get(start..end).ok_or(Error::Malformed)
    }

    #[inline(always)]
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.position).copied()
    }

    /// The next bytes, where there are so many.
    #[inline(always)]
    fn chunk<const N: usize>(&self) -> Option<&'a [u8; N]> {
        let next = self.position..self.position + N;
        self.text.as_bytes().get(next)?.first_chunk()
    }

    /// The next byte that is no space, and it is not read.
    #[inline(always)]
    pub(super) fn peek(&mut self) -> Result<u8, Error> {
        match self.byte() {
            Some(byte) if byte > b' ' => Ok(byte),
            _ => {
                self.position = behind_space(self.text, self.position);
                self.byte().ok_or(Error::Malformed)
            }
        }
    }

    /// Nothing but space comes any more.
    pub(super) fn end(mut self) -> Result<(), Error> {
        match self.peek() {
            Ok(_) => Err(Error::Malformed),
            Err(_) => Ok(()),
        }
    }

    /// Reads the next byte that is no space.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Result<u8, Error> {
        let byte = self.peek()?;
        self.position += 1;
        Ok(byte)
    }

    /// Reads this byte, if it is the next that is no space.
    #[inline(always)]
    pub(super) fn takes(&mut self, wanted: u8) -> bool {
        // It mostly stands there without space.
        if self.byte() != Some(wanted) && self.peek() != Ok(wanted) {
            return false;
        }
        self.position += 1;
        true
    }

    /// Reads this byte, which must be the next that is no space.
    #[inline(always)]
    pub(super) fn demand(&mut self, wanted: u8) -> Result<(), Error> {
        self.takes(wanted).then_some(()).ok_or(Error::Malformed)
    }

    /// Reads past the end of a string whose opening quote was read, and says whether it stands for
    /// itself.
    #[inline(always)]
    pub(super) fn find_end(&mut self) -> Result<bool, Error> {
        self.skip_plain();
        if self.byte() == Some(b'"') {
            self.position += 1;
            Ok(true)
        } else {
            self.position = behind_escapes(self.text, self.position)?;
            Ok(false)
        }
    }

    /// Reads on to a quote, a backslash, a control character, or the end.
    #[inline(always)]
    fn skip_plain(&mut self) {
        while let Some(word) = self.chunk() {
            if let Some(place) = first_special(u64::from_le_bytes(*word)) {
                self.position += place;
                return;
            }
            self.position += word.len();
        }
        while let Some(byte) = self.byte()
            && !matches!(byte, b'"' | b'\\' | ..=0x1F)
        {
            self.position += 1;
        }
    }

    /// Reads past what stands behind a backslash.
    fn skip_escape(&mut self) -> Result<(), Error> {
        let escaped = self.byte().ok_or(Error::Malformed)?;
        self.position += 1;
        match escaped {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => match self.chunk::<4>() {
                Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => {
                    self.position += digits.len();
                    Ok(())
                }
                _ => Err(Error::Malformed),
            },
            _ => Err(Error::Malformed),
        }
    }

    /// Reads past a number, if it is one, whose first byte was read. What may not follow a number is
    /// found there.
    #[inline(always)]
    pub(super) fn skip_number(&mut self, mut first: u8) -> Result<(), Error> {
        if first == b'-' {
            first = self.digit()?;
        }
        match first {
            b'0' => {}
            b'1'..=b'9' => self.skip_digits(),
            _ => return Err(Error::Malformed),
        }
        if self.byte() == Some(b'.') {
            self.position += 1;
            self.digit()?;
            self.skip_digits();
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.position += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.position += 1;
            }
            self.digit()?;
            self.skip_digits();
        }
        Ok(())
    }

    #[inline(always)]
    fn digit(&mut self) -> Result<u8, Error> {
        match self.byte() {
            Some(digit @ b'0'..=b'9') => {
                self.position += 1;
                Ok(digit)
            }
            _ => Err(Error::Malformed),
        }
    }

    #[inline(always)]
    fn skip_digits(&mut self) {
        while let Some(b'0'..=b'9') = self.byte() {
            self.position += 1;
        }
    }

    #[inline(always)]
    pub(super) fn skip_word<const N: usize>(&mut self, word: &[u8; N]) -> Result<(), Error> {
        if self.chunk() == Some(word) {
            self.position += N;
            Ok(())
        } else {
            Err(Error::Malformed)
        }
    }
}

// What is rare is kept out of the way, and is given no place in memory to write to: how far it is read
// then stays in registers.

/// Where the space ends that stands here.
#[inline(never)]
fn behind_space(text: &str, position: usize) -> usize {
    let mut scan = Scan { text, position };
    while let Some(b' ' | b'\t' | b'\n' | b'\r') = scan.byte() {
        scan.position += 1;
    }
    scan.position
}

/// Where a string ends that is read up to its first backslash.
#[inline(never)]
fn behind_escapes(text: &str, position: usize) -> Result<usize, Error> {
    let mut scan = Scan { text, position };
    while scan.byte() == Some(b'\\') {
        scan.position += 1;
        scan.skip_escape()?;
        scan.skip_plain();
    }
    if scan.byte() == Some(b'"') {
        Ok(scan.position + 1)
    } else {
        Err(Error::Malformed)
    }
}

/// Where in the word, in memory's order, the first byte stands that is a quote, a backslash, or a
/// control character.
#[inline(always)]
const fn first_special(word: u64) -> Option<usize> {
    /// One in each byte.
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    // With this bit turned the quote is what the control characters are: less than 0x21.
    let quote_or_control = (word ^ (0x02 * ONES)).wrapping_sub(0x21 * ONES);
    let backslash = (word ^ (b'\\' as u64 * ONES)).wrapping_sub(ONES);
    // In each such byte the highest bit is set, and then maybe in bytes behind it.
    let found = (quote_or_control | backslash) & !word & (0x80 * ONES);
    if found == 0 {
        None
    } else {
        Some(found.trailing_zeros() as usize / 8)
    }
}
