//! Members of JSON objects, read without trusting their type.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use crate::mcp::keys::Keys;

/// A member of an object.
#[derive(Debug, Default)]
pub(super) enum Member<T> {
    #[default]
    Absent,
    Is(T),
    /// It is there and of another type: `null` too.
    OtherType,
}

impl<T> Member<T> {
    pub(super) const fn get(&self) -> Option<&T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Absent | Self::OtherType => None,
        }
    }
}

/// What an object's members mean. Only objects are read: never an array in its place, as derived
/// readers would.
pub(super) trait Object<'de>: Default {
    /// The names that mean something here, 32 at most. See [`reserved`].
    const RESERVED: &'static [&'static str];

    /// The one that `name` is, and its bit among them.
    fn reserved(name: &str) -> Option<(&'static str, u32)>;

    /// Reads the value of the reserved member `name`, which comes once.
    fn read<A: MapAccess<'de>>(&mut self, name: &'static str, map: &mut A) -> Result<(), A::Error>;

    /// Keeps the first reason for which the object cannot be read in one way only.
    fn fault(&mut self, fault: &'static str);
}

/// The names that mean something in an object.
//
// Each is compared as a constant: a loop over the names cost as much as the parser needs to find one.
macro_rules! reserved {
    ($($name:literal)*) => {
        const RESERVED: &'static [&'static str] = &[$($name),*];

        fn reserved(name: &str) -> Option<(&'static str, u32)> {
            let bit = 1;
            $(
                if name == $name {
                    return Some(($name, bit));
                }
                let bit = bit << 1;
            )*
            let _ = bit;
            None
        }
    };
}
pub(super) use reserved;

/// Methods of a visitor for the types that are not wanted.
macro_rules! other_types {
    ($($method:ident($type:ty))*) => {
        $(fn $method<E: Error>(self, _: $type) -> Result<Self::Value, E> {
            Ok(Member::OtherType)
        })*
    };
}

macro_rules! other_scalars {
    () => {
        other_types! { visit_bool(bool) visit_i64(i64) visit_u64(u64) visit_f64(f64) }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(Member::OtherType)
        }
    };
}

macro_rules! other_arrays {
    () => {
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok(Member::OtherType)
        }
    };
}

macro_rules! other_objects {
    () => {
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(Member::OtherType)
        }
    };
}

/// A member that should be an object. It is read where it stands, for it is large and would be
/// moved at every level.
#[derive(Debug, Default)]
pub(super) struct Slot<T> {
    member: Member<()>,
    object: T,
}

impl<T> Slot<T> {
    /// The object, as [`Member`] has it.
    pub(super) const fn member(&self) -> Member<&T> {
        match self.member {
            Member::Absent => Member::Absent,
            Member::Is(()) => Member::Is(&self.object),
            Member::OtherType => Member::OtherType,
        }
    }

    pub(super) const fn get(&self) -> Option<&T> {
        match self.member {
            Member::Is(()) => Some(&self.object),
            Member::Absent | Member::OtherType => None,
        }
    }

    /// The object, an empty one where there is none; the error says that something else is there.
    pub(super) const fn get_or_empty(&self) -> Result<&T, ()> {
        match self.member {
            Member::Is(()) | Member::Absent => Ok(&self.object),
            Member::OtherType => Err(()),
        }
    }
}

/// Reads a value into the slot.
impl<'de, T: Object<'de>> DeserializeSeed<'de> for &mut Slot<T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.member = deserializer.deserialize_any(ObjectVisitor(&mut self.object))?;
        Ok(())
    }
}

struct ObjectVisitor<'x, T>(&'x mut T);

impl<'de, T: Object<'de>> Visitor<'de> for ObjectVisitor<'_, T> {
    type Value = Member<()>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut keys = Some(Keys::new(T::RESERVED));
        while let Some(Key(key)) = map.next_key()? {
            let reserved = T::reserved(&key);
            let admitted = match (&mut keys, reserved) {
                (Some(keys), Some((_, bit))) => keys.admit_reserved(bit),
                (Some(keys), None) => keys.admit(key),
                (None, _) => Ok(()),
            };
            if let Err(fault) = admitted {
                // Read on to the end, for what is no JSON is another error, but look at nothing
                // any more.
                self.0.fault(fault);
                keys = None;
            }
            match reserved {
                Some((name, _)) if keys.is_some() => self.0.read(name, &mut map)?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Member::Is(()))
    }

    other_types! { visit_str(&str) }
    other_scalars! {}
    other_arrays! {}
}

/// A member that should be a string.
#[derive(Debug, Default)]
pub(super) struct Text<'a>(pub(super) Member<Cow<'a, str>>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor).map(Text)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Member<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Member::Is(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Member::Is(Cow::Owned(text.to_owned())))
    }

    other_scalars! {}
    other_arrays! {}
    other_objects! {}
}

/// A member that should be an array of strings.
#[derive(Debug, Default)]
pub(super) struct Texts<'a>(pub(super) Member<Vec<Cow<'a, str>>>);

impl<'de> Deserialize<'de> for Texts<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextsVisitor).map(Texts)
    }
}

/// More subscriptions than one stream is asked for.
const MAX_TEXTS: usize = 1000;

struct TextsVisitor;

impl<'de> Visitor<'de> for TextsVisitor {
    type Value = Member<Vec<Cow<'de, str>>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut texts = Vec::new();
        while let Some(Text(text)) = seq.next_element()? {
            match text {
                Member::Is(text) if texts.len() < MAX_TEXTS => texts.push(text),
                _ => {
                    while seq.next_element::<IgnoredAny>()?.is_some() {}
                    return Ok(Member::OtherType);
                }
            }
        }
        Ok(Member::Is(texts))
    }

    other_types! { visit_str(&str) }
    other_scalars! {}
    other_objects! {}
}

/// The name of a member, its escapes decoded.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor).map(Key)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_borrowed_str<E: Error>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}

/// Objects in an array, and nothing but an array: `None` where there are more than `limit`.
pub(super) struct Elements<T> {
    limit: usize,
    of: PhantomData<T>,
}

impl<T> Elements<T> {
    pub(super) const fn at_most(limit: usize) -> Self {
        Self {
            limit,
            of: PhantomData,
        }
    }
}

impl<'de, T: Object<'de>> DeserializeSeed<'de> for Elements<T> {
    type Value = Option<Vec<Slot<T>>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: Object<'de>> Visitor<'de> for Elements<T> {
    type Value = Option<Vec<Slot<T>>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while elements.len() < self.limit {
            let mut element = Slot::default();
            if seq.next_element_seed(&mut element)?.is_none() {
                return Ok(Some(elements));
            }
            elements.push(element);
        }
        let mut more = false;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            more = true;
        }
        Ok((!more).then_some(elements))
    }
}
