//! Members of JSON objects, read without trusting their type.

use std::borrow::Cow;

use crate::{
    json::{Error, Reader},
    mcp::keys::Keys,
};

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

/// A value that is there: `None` where it is of another type.
impl<T> From<Option<T>> for Member<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::OtherType, Self::Is)
    }
}

/// What an object's members mean. Only objects are read: never an array in its place, as derived
/// readers would.
pub(super) trait Object<'a>: Default {
    /// The names that mean something here, 32 at most.
    const RESERVED: &'static [&'static str];

    /// The bit of a name among them: 0 where it is none of them.
    fn reserved(name: &str) -> u32;

    /// Reads the value of the member with this bit. It comes once.
    fn read(&mut self, bit: u32, reader: &mut Reader<'a>) -> Result<(), Error>;

    /// Keeps the first reason for which the object cannot be read in one way only.
    fn fault(&mut self, fault: &'static str);
}

/// The names that mean something in an object, and how their values are read.
//
// Each is compared as a constant: a loop over the names cost as much as the parser needs to find one.
// Each object has one reader, into which both belong.
macro_rules! members {
    (($this:ident, $reader:ident) $($name:literal => $read:expr,)*) => {
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
        fn read(
            &mut $this,
            wanted: u32,
            $reader: &mut $crate::json::Reader<'a>,
        ) -> Result<(), $crate::json::Error> {
            let bit = 1;
            $(
                if wanted == bit {
                    $read;
                    return Ok(());
                }
                let bit = bit << 1;
            )*
            let _ = bit;
            $reader.skip()
        }
    };
}
pub(super) use members;

impl<'a> Member<Cow<'a, str>> {
    /// Reads a value, which should be a string.
    pub(super) fn read(&mut self, reader: &mut Reader<'a>) -> Result<(), Error> {
        *self = reader.text()?.into();
        Ok(())
    }
}

/// More subscriptions than one stream is asked for.
const MAX_TEXTS: usize = 1000;

impl<'a> Member<Vec<Cow<'a, str>>> {
    /// Reads a value, which should be an array of strings.
    pub(super) fn read(&mut self, reader: &mut Reader<'a>) -> Result<(), Error> {
        let mut texts = Some(Vec::new());
        let is_array = reader.elements(|reader| {
            match (reader.text()?, &mut texts) {
                (Some(text), Some(texts)) if texts.len() < MAX_TEXTS => texts.push(text),
                _ => texts = None,
            }
            Ok(())
        })?;
        *self = texts.filter(|_| is_array).into();
        Ok(())
    }
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

    /// Reads a value into the slot. Behind a fault nothing in the object is looked at any more.
    pub(super) fn read<'a>(&mut self, reader: &mut Reader<'a>) -> Result<(), Error>
    where
        T: Object<'a>,
    {
        let object = &mut self.object;
        let mut keys = Keys::new(T::RESERVED);
        let mut is_faulty = false;
        let is_object = reader.members(|reader, name| {
            if is_faulty {
                return reader.skip();
            }
            let bit = T::reserved(&name);
            match keys.admit(bit, name) {
                Ok(()) => object.read(bit, reader),
                Err(fault) => {
                    is_faulty = true;
                    object.fault(fault);
                    reader.skip()
                }
            }
        })?;
        self.member = is_object.then_some(()).into();
        Ok(())
    }
}
