//! How we say no, and how clients find the authorization server.

mod challenge;
mod metadata;
mod url;

pub use self::metadata::ResourceMetadata;
#[cfg(feature = "fetch")]
pub(crate) use self::url::shown as shown_url;
pub(crate) use self::{
    challenge::{Challenge, Challenger, ErrorCode},
    url::{is_loopback, parse_issuer},
};
