//! Objects that every parser reads alike.
//!
//! One value and nothing after it, no byte order mark, no lone surrogate, no number out of range, no
//! member twice at any level (an escaped twin is a twin), none by which serde_json marks what it reads
//! otherwise, nested at most [`MAX_DEPTH`] deep, ignored members included.

use std::{borrow::Cow, collections::HashSet, mem};

use super::{Error, Reader};

/// How deep arrays and objects may nest.
const MAX_DEPTH: u8 = 32;

/// Up to so many names of an object are compared one by one; more are hashed, with a random seed.
const FEW_NAMES: usize = 16;

/// How the names begin by which serde_json marks that an object is none: it reads the text in such a
/// member as JSON, and takes what that says for the object.
pub(crate) const SERDE_MARK: &str = "$serde_json::private::";

/// A member of an object, as far as its reader cares.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Bool,
    /// A whole number from 0 to `u64::MAX`.
    Integer(u64),
    /// Any other number. Finite.
    Number(f64),
    String(Cow<'a, str>),
    /// An array of nothing but strings, maybe empty.
    Strings(Vec<Cow<'a, str>>),
    /// Any other array.
    Array,
    Object,
}

/// Reads one strict JSON object and hands its members over in their order.
///
/// # Errors
///
/// Where the text is none.
pub(crate) fn read_object<'a>(
    text: &'a str,
    mut member: impl FnMut(&str, Value<'a>),
) -> Result<(), Error> {
    let mut reader = Reader::new(text, MAX_DEPTH);
    let mut names = Names::default();
    let is_object = reader.members(|reader, name| {
        names.insert(name.clone())?;
        member(&name, value(reader, true)?);
        Ok(())
    })?;
    if !is_object {
        return Err(Error::Malformed);
    }
    reader.end()
}

/// Reads any value; `keeps` the strings of an array, where somebody wants to see them.
fn value<'a>(reader: &mut Reader<'a>, keeps: bool) -> Result<Value<'a>, Error> {
    Ok(match reader.peek()? {
        b'"' => reader.text()?.map_or(Value::Null, Value::String),
        b'{' => {
            object(reader)?;
            Value::Object
        }
        b'[' => array(reader, keeps)?,
        b'-' | b'0'..=b'9' => number(reader.json()?)?,
        b'n' => {
            reader.skip()?;
            Value::Null
        }
        _ => {
            reader.skip()?;
            Value::Bool
        }
    })
}

fn array<'a>(reader: &mut Reader<'a>, keeps: bool) -> Result<Value<'a>, Error> {
    let mut strings = keeps.then(Vec::new);
    reader.elements(|reader| {
        match (value(reader, false)?, &mut strings) {
            (Value::String(item), Some(strings)) => strings.push(item),
            _ => strings = None,
        }
        Ok(())
    })?;
    Ok(strings.map_or(Value::Array, Value::Strings))
}

fn object(reader: &mut Reader<'_>) -> Result<(), Error> {
    let mut names = Names::default();
    reader.members(|reader, name| {
        names.insert(name)?;
        value(reader, false).map(drop)
    })?;
    Ok(())
}

fn number<'a>(json: &str) -> Result<Value<'a>, Error> {
    if let Ok(integer) = json.parse() {
        return Ok(Value::Integer(integer));
    }
    match json.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(Value::Number(number)),
        _ => Err(Error::Malformed),
    }
}

/// The names that an object had so far.
struct Names<'a> {
    few: [Cow<'a, str>; FEW_NAMES],
    count: usize,
    /// The hashes of the few, a bit each: a name without its bit is none of them.
    hashes: u64,
    many: Option<HashSet<Cow<'a, str>>>,
}

impl Default for Names<'_> {
    fn default() -> Self {
        Self {
            few: [const { Cow::Borrowed("") }; FEW_NAMES],
            count: 0,
            hashes: 0,
            many: None,
        }
    }
}

impl<'a> Names<'a> {
    fn insert(&mut self, name: Cow<'a, str>) -> Result<(), Error> {
        if !name.starts_with(SERDE_MARK) && self.is_new(name) {
            Ok(())
        } else {
            Err(Error::Malformed)
        }
    }

    fn is_new(&mut self, name: Cow<'a, str>) -> bool {
        if let Some(many) = &mut self.many {
            return many.insert(name);
        }
        let bit = bit(&name);
        let few = self.few.get(..self.count).unwrap_or_default();
        if self.hashes & bit != 0 && few.contains(&name) {
            return false;
        }
        self.hashes |= bit;
        match self.few.get_mut(self.count) {
            Some(place) => *place = name,
            None => {
                let all = self.few.iter_mut().map(mem::take).chain([name]);
                self.many = Some(all.collect());
            }
        }
        self.count += 1;
        true
    }
}

/// A bit that depends on the length and the first and last letter, in which most names differ.
fn bit(name: &str) -> u64 {
    let letter = |byte: Option<&u8>| byte.map_or(0, |byte| usize::from(*byte));
    let (first, last) = (
        letter(name.as_bytes().first()),
        letter(name.as_bytes().last()),
    );
    1 << ((name.len() + 7 * first + 3 * last) % 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether `text` is one strict JSON value.
    fn check(text: &str) -> Result<(), Error> {
        let mut reader = Reader::new(text, MAX_DEPTH);
        value(&mut reader, false)?;
        reader.end()
    }

    #[test]
    fn what_parsers_read_differently_is_refused() {
        for wrong in [
            "",
            "{",
            "{} {}",
            "{}x",
            "\u{feff}{}",
            "{'a':1}",
            "{\"a\":1,}",
            "{\"a\":NaN}",
            "{\"a\":1e400}",
            "{\"a\":1 /* */}",
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"x":{"a":1,"\u0061":2}}"#,
            r#"{"x":[{"a":1,"a":2}]}"#,
            r#"{"x":"\ud800"}"#,
            r#"{"x":["\udc00"]}"#,
            r#"{"x":{"\ud800":1}}"#,
            r#"{"\ud800":1}"#,
            r#"{"$serde_json::private::Number":"1"}"#,
            r#"{"x":[{"$serde_json::private::RawValue":"1"}]}"#,
        ] {
            assert!(check(wrong).is_err(), "{wrong}");
            assert!(read_object(wrong, |_, _| ()).is_err(), "{wrong}");
        }
        for no_object in ["[]", "null", "1", "\"{}\"", "[\"a\",1]", "[{}]"] {
            assert!(check(no_object).is_ok(), "{no_object}");
            assert!(read_object(no_object, |_, _| ()).is_err(), "{no_object}");
        }
    }

    #[test]
    fn depth_ends_at_the_limit() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(check(&nested(32)).is_ok());
        assert!(check(&nested(33)).is_err());
        assert!(check(&nested(100_000)).is_err());
        let member = |depth: usize| format!("{{\"ignored\":{}}}", nested(depth));
        assert!(read_object(&member(31), |_, _| ()).is_ok());
        assert!(read_object(&member(32), |_, _| ()).is_err());
    }

    #[test]
    fn a_twin_among_thousands_is_found() {
        let mut text: String = (0..5_000).map(|n| format!("\"{n}\":{n},")).collect();
        text.insert(0, '{');
        assert!(check(&format!("{text}\"x\":1}}")).is_ok());
        for twin in [0, 15, 16, 17, 4_999] {
            assert!(check(&format!("{text}\"{twin}\":1}}")).is_err(), "{twin}");
        }
    }

    #[test]
    fn members_come_with_their_kind() {
        let mut seen = Vec::new();
        let text = r#"{"n":null,"b":true,"i":7,"m":-7,"f":1.5,"s":"x","e":"\u0078","l":["a","b"],
                       "z":[],"m2":["a",1],"l2":[["a"]],"o":{"l":["a"]}}"#;
        assert!(read_object(text, |name, value| seen.push((name.to_owned(), value))).is_ok());
        let values: Vec<_> = seen.iter().map(|(_, value)| value.clone()).collect();
        assert_eq!(
            values,
            [
                Value::Null,
                Value::Bool,
                Value::Integer(7),
                Value::Number(-7.0),
                Value::Number(1.5),
                Value::String("x".into()),
                Value::String("x".into()),
                Value::Strings(vec!["a".into(), "b".into()]),
                Value::Strings(Vec::new()),
                Value::Array,
                Value::Array,
                Value::Object,
            ]
        );
        assert_eq!(seen.first().map(|(name, _)| name.as_str()), Some("n"));
    }
}
