//! Strict reading of JSON (RFC 8259): what every parser reads alike, and nothing else.
//!
//! One value and nothing after it, no byte order mark, no lone surrogate, no member twice at any
//! level (an escaped twin is a twin), nested at most [`MAX_DEPTH`] deep, ignored members included.

use std::{borrow::Cow, collections::HashSet, fmt, mem};

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// How deep arrays and objects may nest.
pub(crate) const MAX_DEPTH: u8 = 32;

/// Up to so many names of an object are compared one by one; more are hashed, with a random seed.
const FEW_NAMES: usize = 16;

/// The member that stands for a number where any crate in the tree has turned on the feature
/// `arbitrary_precision` of `serde_json`.
const NUMBER_TOKEN: &str = "$serde_json::private::Number";

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

/// Checks that `text` is one strict JSON value.
///
/// # Errors
///
/// The parser's, with line and column. It repeats nothing of the text.
#[cfg(test)]
pub(crate) fn check(text: &str) -> Result<(), serde_json::Error> {
    read(
        text,
        Any {
            depth: 0,
            keep: false,
        },
    )
    .map(drop)
}

/// Reads one strict JSON object and hands its members over in their order.
///
/// # Errors
///
/// As [`check`], and where the value is no object.
pub(crate) fn read_object<'a>(
    text: &'a str,
    member: impl FnMut(&str, Value<'a>),
) -> Result<(), serde_json::Error> {
    read(text, Object(member))
}

fn read<'a, S: DeserializeSeed<'a>>(text: &'a str, seed: S) -> Result<S::Value, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = seed.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// Reads an object and hands its members over.
struct Object<F>(F);

impl<'de, F: FnMut(&str, Value<'de>)> DeserializeSeed<'de> for Object<F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, F: FnMut(&str, Value<'de>)> Visitor<'de> for Object<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut names = Names::default();
        while let Some(name) = map.next_key_seed(Name)? {
            names.insert(name.clone())?;
            let value = map.next_value_seed(Any {
                depth: 1,
                keep: true,
            })?;
            (self.0)(&name, value);
        }
        Ok(())
    }
}

/// Reads any value that has `depth` arrays and objects around it.
#[derive(Clone, Copy)]
struct Any {
    depth: u8,
    /// Whether somebody wants to see the strings of an array.
    keep: bool,
}

impl Any {
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom("nested too deep"));
        }
        Ok(Self {
            depth: self.depth + 1,
            keep: false,
        })
    }
}

impl<'de> DeserializeSeed<'de> for Any {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Any {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value<'de>, E> {
        Ok(Value::Bool)
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value<'de>, E> {
        Ok(Value::Integer(value))
    }

    #[allow(clippy::cast_precision_loss)] // negative: refused or irrelevant, whatever its last digit
    fn visit_i64<E>(self, value: i64) -> Result<Value<'de>, E> {
        Ok(u64::try_from(value).map_or(Value::Number(value as f64), Value::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value<'de>, E> {
        Ok(Value::Number(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::String(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value<'de>, E> {
        Ok(Value::String(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value<'de>, A::Error> {
        let inner = self.inner()?;
        let mut strings = self.keep.then(Vec::new);
        while let Some(item) = seq.next_element_seed(inner)? {
            match (item, &mut strings) {
                (Value::String(item), Some(strings)) => strings.push(item),
                _ => strings = None,
            }
        }
        Ok(strings.map_or(Value::Array, Value::Strings))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
        let inner = self.inner()?;
        let mut names = Names::default();
        while let Some(name) = map.next_key_seed(Name)? {
            if name == NUMBER_TOKEN {
                return number(map);
            }
            names.insert(name)?;
            map.next_value_seed(inner)?;
        }
        Ok(Value::Object)
    }
}

fn number<'de, A: MapAccess<'de>>(mut map: A) -> Result<Value<'de>, A::Error> {
    let text: Cow<'de, str> = map.next_value_seed(Name)?;
    if map.next_key_seed(Name)?.is_some() {
        return Err(A::Error::custom("not a number"));
    }
    if let Ok(integer) = text.parse() {
        return Ok(Value::Integer(integer));
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(Value::Number(number)),
        _ => Err(A::Error::custom("number out of range")),
    }
}

/// A string, borrowed where nothing in it is escaped.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(value))
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
    fn insert<E: serde::de::Error>(&mut self, name: Cow<'a, str>) -> Result<(), E> {
        if self.is_new(name) {
            Ok(())
        } else {
            Err(E::custom("a member stands twice"))
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

    #[test]
    fn a_number_in_its_precise_form_is_a_number() {
        let mut value = None;
        let text = r#"{"exp":{"$serde_json::private::Number":"17"}}"#;
        assert!(read_object(text, |_, read| value = Some(read)).is_ok());
        assert_eq!(value, Some(Value::Integer(17)));
        for wrong in [
            r#"{"exp":{"$serde_json::private::Number":"1e400"}}"#,
            r#"{"exp":{"$serde_json::private::Number":"17","x":1}}"#,
            r#"{"exp":{"$serde_json::private::Number":17}}"#,
        ] {
            assert!(read_object(wrong, |_, _| ()).is_err(), "{wrong}");
        }
    }
}
