//! Values: what stands in what.

use std::borrow::Cow;

use super::scan::Scan;

/// Why a text is not read. It is as wide as what may stand in its place, which would else be moved in
/// pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Error {
    /// It is no JSON, or a string that is wanted is no text: half of a surrogate pair.
    Malformed,
    /// It is nested deeper than the reader goes.
    TooDeep,
}

/// Reads a JSON text value by value: whoever holds it says of each what it is wanted for.
///
/// Everything is checked, what is skipped too. Nothing recurses with what is nested, and nothing is
/// copied but strings with escapes.
//
// A parser of our own: serde_json, asked for all that matters in a message (its depth, the text of a
// value, names as they come, every byte checked), looked at the text three times, and took 1.4 times
// the time of this for a short message and twice for a long one. What is accepted is held against
// serde_json in the tests below.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    scan: Scan<'a>,
    /// How many arrays and objects are open.
    depth: u8,
    max_depth: u8,
}

/// As deep as [`Reader::skip`] can remember what is open: a bit each.
const MOST_DEPTH: u8 = 128;

impl<'a> Reader<'a> {
    /// Reads arrays and objects that stand in each other `max_depth` deep, 128 at most.
    pub(crate) const fn new(text: &'a str, max_depth: u8) -> Self {
        debug_assert!(max_depth <= MOST_DEPTH);
        Self {
            scan: Scan::new(text),
            depth: 0,
            max_depth,
        }
    }

    /// The first byte of what comes next, and nothing is read.
    #[inline]
    pub(crate) fn peek(&mut self) -> Result<u8, Error> {
        self.scan.peek()
    }

    /// Nothing more comes.
    pub(crate) fn end(self) -> Result<(), Error> {
        self.scan.end()
    }

    /// A value as its JSON text.
    #[inline]
    pub(crate) fn json(&mut self) -> Result<&'a str, Error> {
        self.peek()?;
        let start = self.scan.position();
        self.skip()?;
        self.scan.between(start, self.scan.position())
    }

    /// A string, its escapes decoded; anything else is `None`.
    #[inline(always)]
    pub(crate) fn text(&mut self) -> Result<Option<Cow<'a, str>>, Error> {
        let mut scan = self.scan;
        if !scan.takes(b'"') {
            self.skip()?;
            return Ok(None);
        }
        let text = string(&mut scan)?;
        self.scan = scan;
        Ok(Some(text))
    }

    /// An object: `member` reads the value of each member, whose name it is told. `false`: it is
    /// something else.
    #[inline]
    pub(crate) fn members(
        &mut self,
        mut member: impl FnMut(&mut Self, Cow<'a, str>) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        let mut scan = self.scan;
        if !scan.takes(b'{') {
            self.skip()?;
            return Ok(false);
        }
        self.go_deeper()?;
        if !scan.takes(b'}') {
            loop {
                scan.demand(b'"')?;
                let name = string(&mut scan)?;
                scan.demand(b':')?;
                self.scan = scan;
                member(self, name)?;
                scan = self.scan;
                if !scan.takes(b',') {
                    break;
                }
            }
            scan.demand(b'}')?;
        }
        self.scan = scan;
        self.depth -= 1;
        Ok(true)
    }

    /// An array: `element` reads each element. `false`: it is something else.
    #[inline]
    pub(crate) fn elements(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        if !self.scan.takes(b'[') {
            self.skip()?;
            return Ok(false);
        }
        self.go_deeper()?;
        if !self.scan.takes(b']') {
            loop {
                element(self)?;
                if !self.scan.takes(b',') {
                    break;
                }
            }
            self.scan.demand(b']')?;
        }
        self.depth -= 1;
        Ok(true)
    }

    /// Reads past a value.
    pub(crate) fn skip(&mut self) -> Result<(), Error> {
        let mut scan = self.scan;
        let most_depth = self.max_depth - self.depth;
        let mut depth = 0;
        // What is open here, the innermost in the lowest bit: 1 is an object.
        let mut open = 0_u128;
        loop {
            if open & 1 != 0 {
                scan.demand(b'"')?;
                scan.find_end()?;
                scan.demand(b':')?;
            }
            match scan.next()? {
                b'"' => _ = scan.find_end()?,
                b'{' | b'[' if depth == most_depth => return Err(Error::TooDeep),
                b'{' if !scan.takes(b'}') => {
                    depth += 1;
                    open = open << 1 | 1;
                    continue;
                }
                b'[' if !scan.takes(b']') => {
                    depth += 1;
                    open <<= 1;
                    continue;
                }
                b'{' | b'[' => {}
                b't' => scan.skip_word(b"rue")?,
                b'f' => scan.skip_word(b"alse")?,
                b'n' => scan.skip_word(b"ull")?,
                first => scan.skip_number(first)?,
            }
            // The value is whole, and maybe what is around it.
            loop {
                if depth == 0 {
                    self.scan = scan;
                    return Ok(());
                }
                if scan.takes(b',') {
                    break;
                }
                scan.demand(if open & 1 != 0 { b'}' } else { b']' })?;
                depth -= 1;
                open >>= 1;
            }
        }
    }

    const fn go_deeper(&mut self) -> Result<(), Error> {
        if self.depth == self.max_depth {
            return Err(Error::TooDeep);
        }
        self.depth += 1;
        Ok(())
    }
}

/// A string whose opening quote was read.
#[inline(always)]
fn string<'a>(scan: &mut Scan<'a>) -> Result<Cow<'a, str>, Error> {
    let start = scan.position();
    let is_plain = scan.find_end()?;
    let end = scan.position() - 1;
    if is_plain {
        scan.between(start, end).map(Cow::Borrowed)
    } else {
        decoded(scan.between(start - 1, end + 1)?)
    }
}

/// A string with escapes, in its quotes: rare, and kept out of the way.
#[cold]
fn decoded<'a>(json: &str) -> Result<Cow<'a, str>, Error> {
    serde_json::from_str(json)
        .map(Cow::Owned)
        .map_err(|_| Error::Malformed)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use serde::de::IgnoredAny;
    use serde_json::value::RawValue;

    use super::*;

    fn skipped(text: &str) -> Result<(), Error> {
        let mut reader = Reader::new(text, 128);
        reader.skip()?;
        reader.end()
    }

    /// The same, with each name, string, member and element looked at.
    fn walked(text: &str) -> Result<(), Error> {
        fn walk(reader: &mut Reader<'_>) -> Result<(), Error> {
            match reader.peek()? {
                b'{' => reader.members(|reader, _| walk(reader)).map(drop),
                b'[' => reader.elements(walk).map(drop),
                b'"' => reader.text().map(drop),
                _ => reader.json().map(drop),
            }
        }
        let mut reader = Reader::new(text, 128);
        walk(&mut reader)?;
        reader.end()
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for wrong in [
            "",
            " ",
            "\u{feff}1",
            "\u{c}1",
            "\u{a0}1",
            "1 2",
            "{}{}",
            "[1]]",
            "{",
            "[",
            "[1",
            "[1,",
            "[,1]",
            "[1,]",
            "[1 2]",
            "[1:2]",
            "[1}",
            "{]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{,\"a\":1}",
            "{\"a\" 1}",
            "{\"a\",1}",
            "{a:1}",
            "{'a':1}",
            "{1:1}",
            "{\"a\":1 \"b\":2}",
            "{\"a\":1:2}",
            "{\"a\":1]",
            "'a'",
            "\"",
            "\"a",
            "\"a\\\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u12G4\"",
            "\"\\U1234\"",
            "\"a\nb\"",
            "\"a\u{1f}\"",
            "\"0123456\u{0}\"",
            "\"01234567\t\"",
            "\"\\n\t\"",
            "01",
            "-",
            "-01",
            "-a",
            "+1",
            ".5",
            "1.",
            "1.e1",
            "1e",
            "1e+",
            "1E-",
            "1f",
            "0x1",
            "1_0",
            "NaN",
            "Infinity",
            "-Infinity",
            "tru",
            "True",
            "truex",
            "nul",
            "nulll",
            "fals",
            "undefined",
            "[truefalse]",
            "// x\n1",
            "1 /* x */",
            "\\u0031",
        ] {
            assert_eq!(skipped(wrong), Err(Error::Malformed), "{wrong:?}");
            assert_eq!(walked(wrong), Err(Error::Malformed), "{wrong:?}");
            assert!(
                serde_json::from_str::<IgnoredAny>(wrong).is_err(),
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn what_is_json_is_read() {
        for right in [
            "0",
            "-0",
            "10",
            "-10.050",
            "1e5",
            "1E+05",
            "0e-0",
            "0.0e0",
            "1e400",
            "true",
            "false",
            "null",
            "\"\"",
            "\"\\\"\"",
            "\"\\\\\"",
            "\"\\/\\b\\f\\n\\r\\t\\u0041\\uD83d\\uDE00\"",
            "\"\u{7f}\u{80}\u{2028}\u{10ffff}\"",
            "\"0123456\"",
            "\"01234567\"",
            "\"0123456\\n89abcdef\"",
            "[]",
            "[ ]",
            "{}",
            "{ }",
            "[[],{}]",
            " { \"a\" : [ 1 , \"b\" ] , \"c\" : { } } ",
            "\t\n\r [\t\n\r 1\t\n\r ]\t\n\r ",
            "{\"a\":1,\"a\":1}",
        ] {
            assert_eq!(skipped(right), Ok(()), "{right:?}");
            assert_eq!(walked(right), Ok(()), "{right:?}");
            assert!(
                serde_json::from_str::<IgnoredAny>(right).is_ok(),
                "{right:?}"
            );
        }
    }

    #[test]
    fn depth_ends_at_the_limit() {
        let nested = |open: &str, levels: usize, inmost: &str, close: &str| {
            format!("{}{inmost}{}", open.repeat(levels), close.repeat(levels))
        };
        for (open, levels, inmost, close) in [
            ("[", 128, "", "]"),
            ("[", 127, "{}", "]"),
            ("[1,{\"a\":", 64, "2", "}]"),
            ("{\"a\":", 127, "[]", "}"),
            ("{\"a\":0,\"b\":", 127, "1", ",\"c\":[]}"),
        ] {
            for read in [skipped, walked] {
                let read = |levels| read(&nested(open, levels, inmost, close));
                assert_eq!(read(levels), Ok(()), "{open}");
                assert_eq!(read(levels + 1), Err(Error::TooDeep), "{open}");
                assert_eq!(read(100_000), Err(Error::TooDeep), "{open}");
            }
        }
        let wide = format!("[{}]", vec!["[{}]"; 10_000].join(","));
        assert_eq!(skipped(&wide), Ok(()));
        // What is skipped stands in what is open already.
        let mut reader = Reader::new("[[[]]]", 2);
        assert_eq!(reader.elements(Reader::skip), Err(Error::TooDeep));
        let mut reader = Reader::new("[[{}],[]]", 3);
        assert_eq!(reader.elements(Reader::skip), Ok(true));
    }

    #[test]
    fn a_value_of_another_type_is_read_past() {
        let mut reader = Reader::new(r#"[ [1,"a"] , {"b":[]}, "c\n", 7 ]"#, 3);
        let mut seen = Vec::new();
        let read = reader.elements(|reader| {
            seen.push(match seen.len() {
                0 => format!("{}", reader.members(|_, _| Ok(()))?),
                1 => format!("{:?}", reader.text()?),
                2 => format!("{:?}", reader.text()?),
                _ => format!("{}", reader.elements(|_| Ok(()))?),
            });
            Ok(())
        });
        assert_eq!(read, Ok(true));
        assert_eq!(seen, ["false", "None", "Some(\"c\\n\")", "false"]);
        assert_eq!(reader.end(), Ok(()));
    }

    #[test]
    fn every_character_is_looked_at_wherever_it_stands() {
        for place in 0..20 {
            for character in '\0'..='\u{ff}' {
                let text = format!(
                    "\"{}{character}{}\"",
                    "x".repeat(place),
                    "x".repeat(19 - place)
                );
                let is_json = !matches!(character, '"' | '\\' | ..='\u{1f}');
                assert_eq!(skipped(&text).is_ok(), is_json, "{text:?}");
            }
        }
    }

    #[test]
    fn half_a_surrogate_pair_is_json_and_no_text() {
        for half in [r#""\ud800""#, r#""\udc00\ud800""#, r#""\ud800\u0041""#] {
            assert_eq!(skipped(half), Ok(()), "{half}");
            assert_eq!(walked(half), Err(Error::Malformed), "{half}");
        }
    }

    /// Pieces of JSON, right and wrong, in any order.
    fn pieces() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            4 => "[\\[\\]{},:]",
            2 => "\"([ -!#-\\[\\]-~é€😀]|\\\\[\"\\\\/bfnrt]|\\\\u[0-9a-fA-F]{4}){0,20}\"",
            1 => "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,2})?([eE][+-]?[0-9]{1,2})?",
            1 => "true|false|null",
            1 => "[ \t\n\r]{1,3}",
            1 => "[\\[\\]{}:,\"\\\\a-z0-9 .eE+-]{1,3}|[\u{0}-\u{20}]",
        ];
        prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    /// JSON, with a few characters changed.
    fn nearly_json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            (-1e9..1e9).prop_map(Into::into),
            ".{0,20}".prop_map(Into::into),
        ];
        let json = leaf.prop_recursive(6, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::hash_map(".{0,12}", inner, 0..6)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        });
        let change = (
            any::<prop::sample::Index>(),
            "[ -~\u{0}-\u{1f}é]{0,2}",
            0..3usize,
        );
        let texts = (json, any::<bool>(), prop::collection::vec(change, 0..3));
        texts.prop_map(|(json, is_pretty, changes)| {
            let text = if is_pretty {
                serde_json::to_string_pretty(&json)
            } else {
                serde_json::to_string(&json)
            };
            let mut chars: Vec<char> = text.unwrap().chars().collect();
            for (place, with, length) in changes {
                let start = place.index(chars.len() + 1);
                let end = (start + length).min(chars.len());
                chars.splice(start..end, with.chars());
            }
            chars.into_iter().collect()
        })
    }

    proptest! {
        #[test]
        fn all_that_serde_json_reads_and_nothing_else_is_read(
            text in prop_oneof![pieces(), nearly_json()],
        ) {
            let is_json = serde_json::from_str::<IgnoredAny>(&text).is_ok();
            prop_assert_eq!(skipped(&text).is_ok(), is_json);
            let mut reader = Reader::new(&text, 128);
            if let Ok(json) = serde_json::from_str::<&RawValue>(&text) {
                prop_assert_eq!(reader.json(), Ok(json.get()));
            }
            let mut reader = Reader::new(&text, 128);
            if let Ok(string) = serde_json::from_str::<String>(&text) {
                prop_assert_eq!(reader.text(), Ok(Some(string.into())));
            }
            if walked(&text).is_ok() {
                prop_assert!(is_json);
            }
            // `Value` refuses what is out of range, and reads 128 levels as well.
            if serde_json::from_str::<serde_json::Value>(&text).is_ok() {
                prop_assert_eq!(walked(&text), Ok(()));
            }
        }
    }
}
