//! Who is calling: what a token says, and the proof that it was checked.

mod claims;
mod principal;
mod scope;
mod verified;

pub use self::{
    claims::Claims,
    principal::Principal,
    scope::{Scope, ScopeToken},
    verified::VerifiedToken,
};
