//! JSON (RFC 8259) as it comes from outside: messages, tokens, keys.

mod object;
mod reader;
mod scan;

pub(crate) use self::{
    object::{SERDE_MARK, Value, read_object},
    reader::{Error, Reader},
};
