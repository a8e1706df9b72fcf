//! How we say no, and how clients find the authorization server.

mod challenge;
mod metadata;
mod url;

#[cfg(feature = "fetch")]
pub(crate) use self::url::is_loopback;
pub(crate) use self::{
    challenge::Challenger,
    url::{is_secure_or_loopback, parse as parse_url},
};
pub use self::{
    challenge::{Challenge, ErrorCode},
    metadata::ResourceMetadata,
};
