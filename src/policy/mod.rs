//! May they: a pure decision, with no HTTP, no runtime and no clock.

mod decision;
mod explanation;
mod file;
mod granted;
mod hierarchy;
mod judge;
mod requirement;
mod rules;
mod scope_policy;
mod uri;

use std::{fmt, sync::Arc};

pub use self::{
    decision::{Decision, Denial, DenialKind, Grant},
    explanation::Explanation,
    granted::Granted,
    hierarchy::ScopeHierarchy,
    requirement::Requirement,
    scope_policy::ScopePolicy,
};
use crate::{
    clock::UnixTime,
    mcp::{Operation, ProtocolVersion},
    token::{Scope, VerifiedToken},
};

/// All that a policy may look at. The time is handed in.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
#[must_use]
pub struct Access<'a> {
    /// Who is calling.
    pub token: &'a VerifiedToken,
    /// What is asked for.
    pub operation: &'a Operation,
    /// The JSON text of the tool's or prompt's arguments, as it came: a member may stand in it twice,
    /// or once more in another case. A policy that decides by one refuses that, for the service behind
    /// may take the other.
    pub arguments: Option<&'a [u8]>,
    /// The revision of the request.
    pub version: ProtocolVersion,
    /// The present instant.
    pub now: UnixTime,
}

impl<'a> Access<'a> {
    /// An access in the newest revision, without arguments.
    pub const fn new(token: &'a VerifiedToken, operation: &'a Operation, now: UnixTime) -> Self {
        Self {
            token,
            operation,
            arguments: None,
            version: ProtocolVersion::V2026_07_28,
            now,
        }
    }

    /// The same with the JSON text of the arguments.
    pub const fn with_arguments(mut self, arguments: &'a [u8]) -> Self {
        self.arguments = Some(arguments);
        self
    }

    /// The same in another revision.
    pub const fn with_version(mut self, version: ProtocolVersion) -> Self {
        self.version = version;
        self
    }
}

/// Decides whether an operation is allowed.
///
/// ```
/// use mcp_auth::{Decision, policy_fn};
///
/// // Nobody deletes anything, whatever their scopes.
/// let policy = policy_fn(|access| match access.operation.target() {
///     Some(target) if target.name().starts_with("delete_") => Decision::forbid(),
///     _ => Decision::allow(),
/// });
/// # let _: &dyn mcp_auth::Policy = &policy;
/// ```
pub trait Policy: fmt::Debug + Send + Sync {
    /// The decision. It must not block.
    fn decide(&self, access: &Access<'_>) -> Decision;

    /// The scopes that everything needs: what the first challenge asks for and the resource
    /// metadata lists. Default: none.
    fn base(&self) -> Scope {
        Scope::EMPTY
    }

    /// Whether a scope means something to this policy: held ones that do are repeated in a
    /// challenge, because many clients replace the scopes they had. Default: none does.
    fn knows(&self, scope: &str) -> bool {
        let _ = scope;
        false
    }
}

impl<P: Policy + ?Sized> Policy for Arc<P> {
    fn decide(&self, access: &Access<'_>) -> Decision {
        (**self).decide(access)
    }

    fn base(&self) -> Scope {
        (**self).base()
    }

    fn knows(&self, scope: &str) -> bool {
        (**self).knows(scope)
    }
}

/// A policy made of a closure.
pub const fn policy_fn<F>(decide: F) -> PolicyFn<F>
where
    F: Fn(&Access<'_>) -> Decision + Send + Sync,
{
    PolicyFn { decide }
}

/// What [`policy_fn`] makes.
#[derive(Clone, Copy)]
#[must_use]
pub struct PolicyFn<F> {
    decide: F,
}

impl<F> fmt::Debug for PolicyFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicyFn").finish_non_exhaustive()
    }
}

impl<F> Policy for PolicyFn<F>
where
    F: Fn(&Access<'_>) -> Decision + Send + Sync,
{
    fn decide(&self, access: &Access<'_>) -> Decision {
        (self.decide)(access)
    }
}
