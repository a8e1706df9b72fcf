//! The name of what an operation is about.

use std::{fmt, ops::Deref};

use smol_str::SmolStr;

/// The name of a tool or prompt, the URI of a resource, the id of a task. It reads as `str`, and is
/// cheap to clone: up to 23 bytes stand in it, longer text is shared.
///
/// ```
/// use mcp_auth::TargetName;
///
/// let name = TargetName::from("put_note");
/// assert!(name.starts_with("put_"));
/// ```
//
// Nearly every request has one, which lives until the request is recorded. As an `Arc<str>` it was one
// of the many small pieces of memory that are alive at once, of which the allocator of glibc keeps
// seven at hand: it cost 100 ns of a request over the wire.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetName(SmolStr);

impl TargetName {
    pub(crate) const fn text(&self) -> &SmolStr {
        &self.0
    }
}

impl Deref for TargetName {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for TargetName {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl From<String> for TargetName {
    fn from(name: String) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for TargetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl fmt::Debug for TargetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
