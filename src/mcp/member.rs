//! Members of JSON objects, read without trusting their type.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

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
    /// The names that mean something here, 32 at most.
    const RESERVED: &'static [&'static str];

    /// The bit of a name among them: 0 where it is none of them.
    fn reserved(name: &str) -> u32;

    /// Reads the value of the member with this bit. It comes once.
    fn read<A: MapAccess<'de>>(&mut self, bit: u32, map: &mut A) -> Result<(), A::Error>;

    /// Keeps the first reason for which the object cannot be read in one way only.
    fn fault(&mut self, fault: &'static str);
}

/// The names that mean something in an object, and how their values are read.
//
// Each is compared as a constant: a loop over the names cost as much as the parser needs to find one.
// Each object has one reader, into which both belong.
macro_rules! members {
    (($this:ident, $map:ident) $($name:literal => $read:expr,)*) => {
        const RESERVED: &'static [&'static str] = &[$($name),*];

        #[inline(always)]
        fn reserved(name: &str) -> u32 {
            let bit = 1;
            $(
                if name == $name {
                    return bit;
                }
                let bit = bit << 1;
            )*
            let _ = bit;
            0
        }

        #[inline(always)]
        fn read<A: MapAccess<'de>>(&mut $this, wanted: u32, $map: &mut A) -> Result<(), A::Error> {
            let bit = 1;
            $(
                if wanted == bit {
                    $read;
                    return Ok(());
                }
                let bit = bit << 1;
            )*
            let _ = bit;
            ignore($map)
        }
    };
}
pub(super) use members;

/// The value as its JSON text.
pub(super) fn json<'de, A: MapAccess<'de>>(map: &mut A) -> Result<&'de str, A::Error> {
    Ok(map.next_value::<&RawValue>()?.get())
}

/// The value, where it is a string.
pub(super) fn text<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Member<Cow<'de, str>>, A::Error> {
    Ok(map.next_value::<Text<'de>>()?.0)
}

/// The value, where it is an array of strings.
pub(super) fn texts<'de, A: MapAccess<'de>>(
    map: &mut A,
) -> Result<Member<Vec<Cow<'de, str>>>, A::Error> {
    Ok(map.next_value::<Texts<'de>>()?.0)
}

/// Reads past the value.
pub(super) fn ignore<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(drop)
}

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

    /// The object, an empty one where there is none or something else.
    pub(super) const fn object(&self) -> &T {
        &self.object
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
        let mut keys = Keys::new(T::RESERVED);
        while let Some(admitted) = map.next_key_seed(Name::<T>(&mut keys, PhantomData))? {
            match admitted {
                Ok(bit) => self.0.read(bit, &mut map)?,
                Err(fault) => {
                    self.0.fault(fault);
                    skip_rest(&mut map)?;
                }
            }
        }
        Ok(Member::Is(()))
    }

    other_types! { visit_str(&str) }
    other_scalars! {}
    other_arrays! {}
}

/// Reads on to the end, from the value of a member on, for what is no JSON is another error, but
/// looks at nothing any more.
#[cold]
fn skip_rest<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    ignore(map)?;
    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
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

    // With escapes: rare, and kept out of the way.
    #[cold]
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

/// Takes in the name of a member, its escapes decoded: its bit, or why it cannot be.
struct Name<'x, 'de, T>(&'x mut Keys<'de>, PhantomData<T>);

impl<'de, T: Object<'de>> Name<'_, 'de, T> {
    #[inline(always)]
    fn admit(self, name: Cow<'de, str>) -> Result<u32, &'static str> {
        match T::reserved(&name) {
            0 => self.0.admit(name).map(|()| 0),
            bit => self.0.admit_reserved(bit).map(|()| bit),
        }
    }
}

impl<'de, T: Object<'de>> DeserializeSeed<'de> for Name<'_, 'de, T> {
    type Value = Result<u32, &'static str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de, T: Object<'de>> Visitor<'de> for Name<'_, 'de, T> {
    type Value = Result<u32, &'static str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(self.admit(Cow::Borrowed(name)))
    }

    // With escapes: rare, and kept out of the way.
    #[cold]
    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.admit(Cow::Owned(name.to_owned())))
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
