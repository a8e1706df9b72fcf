//! The smallest parts: what stands next in the text.

use super::Error;

/// What is left of a text. It is copied, and put back, by whoever reads more than one thing: so it
/// stays in registers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scan<'a> {
    rest: &'a [u8],
}

impl<'a> Scan<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self {
            rest: text.as_bytes(),
        }
    }

    /// The next byte that is no space, and it is not read.
    #[inline(always)]
    pub(super) fn peek(&mut self) -> Result<u8, Error> {
        match self.rest {
            [byte, ..] if *byte > b' ' => Ok(*byte),
            _ => {
                self.rest = behind_space(self.rest);
                self.rest.first().copied().ok_or(Error::Malformed)
            }
        }
    }

    /// Nothing but space comes any more.
    pub(super) fn end(self) -> Result<(), Error> {
        match behind_space(self.rest) {
            [] => Ok(()),
            _ => Err(Error::Malformed),
        }
    }

    /// Reads the next byte that is no space.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Result<u8, Error> {
        let byte = self.peek()?;
        self.rest = self.rest.get(1..).unwrap_or_default();
        Ok(byte)
    }

    /// How many bytes are left.
    #[inline(always)]
    pub(super) const fn len(&self) -> usize {
        self.rest.len()
    }

    /// Reads past the end of a string whose opening quote was read, and says whether it stands for
    /// itself.
    #[inline(always)]
    pub(super) fn find_end(&mut self) -> Result<bool, Error> {
        self.skip_plain();
        match self.rest {
            [b'"', rest @ ..] => {
                self.rest = rest;
                Ok(true)
            }
            _ => {
                self.rest = behind_escapes(self.rest)?;
                Ok(false)
            }
        }
    }

    /// Reads on to a quote, a backslash, a control character, or the end.
    #[inline(always)]
    fn skip_plain(&mut self) {
        while let Some((word, rest)) = self.rest.split_first_chunk() {
            if let Some(place) = first_special(u64::from_le_bytes(*word)) {
                self.rest = self.rest.get(place..).unwrap_or_default();
                return;
            }
            self.rest = rest;
        }
        while let [byte, rest @ ..] = self.rest
            && !matches!(byte, b'"' | b'\\' | ..=0x1F)
        {
            self.rest = rest;
        }
    }

    /// Reads past what stands behind a backslash.
    fn skip_escape(&mut self) -> Result<(), Error> {
        self.rest = match self.rest {
            [
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't',
                rest @ ..,
            ] => rest,
            [b'u', one, two, three, four, rest @ ..]
                if [one, two, three, four]
                    .iter()
                    .all(|it| it.is_ascii_hexdigit()) =>
            {
                rest
            }
            _ => return Err(Error::Malformed),
        };
        Ok(())
    }

    /// Reads past a name whose first byte was read, and the colon.
    #[inline(always)]
    pub(super) fn skip_name(&mut self, first: u8) -> Result<(), Error> {
        if first == b'"' {
            self.find_end()?;
            if self.next()? == b':' {
                return Ok(());
            }
        }
        Err(Error::Malformed)
    }

    /// Reads past a number whose first byte was read. What may not follow a number is found there.
    #[inline(always)]
    pub(super) fn skip_number(&mut self, mut first: u8) -> Result<(), Error> {
        if first == b'-' {
            first = self.digit()?;
        }
        if first != b'0' {
            self.skip_digits();
        }
        if let [b'.', rest @ ..] = self.rest {
            self.rest = rest;
            self.digit()?;
            self.skip_digits();
        }
        if let [b'e' | b'E', rest @ ..] = self.rest {
            self.rest = match rest {
                [b'+' | b'-', rest @ ..] => rest,
                _ => rest,
            };
            self.digit()?;
            self.skip_digits();
        }
        Ok(())
    }

    #[inline(always)]
    const fn digit(&mut self) -> Result<u8, Error> {
        match self.rest {
            [digit @ b'0'..=b'9', rest @ ..] => {
                self.rest = rest;
                Ok(*digit)
            }
            _ => Err(Error::Malformed),
        }
    }

    #[inline(always)]
    const fn skip_digits(&mut self) {
        while let [b'0'..=b'9', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    #[inline(always)]
    pub(super) fn skip_word<const N: usize>(&mut self, word: &[u8; N]) -> Result<(), Error> {
        match self.rest.split_first_chunk() {
            Some((found, rest)) if found == word => {
                self.rest = rest;
                Ok(())
            }
            _ => Err(Error::Malformed),
        }
    }
}

// What is rare is kept out of the way, and is given no place in memory to write to: how far it is read
// then stays in registers.

/// What follows the space.
#[inline(never)]
fn behind_space(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = text {
        text = rest;
    }
    text
}

/// What follows a string that is read up to its first backslash.
#[inline(never)]
fn behind_escapes(rest: &[u8]) -> Result<&[u8], Error> {
    let mut scan = Scan { rest };
    while let [b'\\', rest @ ..] = scan.rest {
        scan.rest = rest;
        scan.skip_escape()?;
        scan.skip_plain();
    }
    match scan.rest {
        [b'"', rest @ ..] => Ok(rest),
        _ => Err(Error::Malformed),
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
