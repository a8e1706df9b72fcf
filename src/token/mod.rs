//! Who is calling: what a token says, and the proof that it was checked.

#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
mod cache;
mod claims;
mod error;
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
mod header;
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
mod known;
mod names;
mod principal;
mod registered;
mod scope;
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
mod segments;
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
mod unverified;
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
mod validator;
mod verified;
#[cfg(all(test, any(feature = "aws-lc-rs", feature = "rust-crypto")))]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod wycheproof;

#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
pub(crate) use self::cache::TokenCache;
pub(crate) use self::names::{Name, Names};
pub use self::{
    claims::Claims,
    error::TokenError,
    principal::Principal,
    scope::{Scope, ScopeToken},
    verified::VerifiedToken,
};
#[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))]
pub use self::{unverified::UnverifiedToken, validator::JwtValidator};
