//! What was granted, for the handler that does the work.

use std::sync::Arc;

use crate::{
    clock::UnixTime,
    mcp::{McpRequest, Operation},
    policy::{Access, Decision, Grant, Policy},
    token::VerifiedToken,
};

/// What was granted to whom, and by which policy: a handler checks again where the work is done,
/// so that a gap in front of it is not the end.
///
/// [`ScopeGuardLayer`](crate::ScopeGuardLayer) puts it into the request's extensions. With feature
/// `axum` it is an extractor; a tool of rmcp finds it in the HTTP parts of its request. Cheap to
/// clone.
///
/// ```
/// use mcp_auth::{Granted, Operation};
///
/// fn delete_note(granted: &Granted, name: &str) -> Result<(), &'static str> {
///     // A tool that deletes is guarded by the rule of the tool that it stands for.
///     if !granted.decide(&Operation::tool("delete_note")).is_allowed() {
///         return Err("this is not allowed");
///     }
///     # let _ = name;
///     Ok(())
/// }
/// # let _ = delete_note;
/// ```
#[derive(Clone, Debug)]
pub struct Granted {
    token: VerifiedToken,
    request: McpRequest,
    grant: Grant,
    policy: Arc<dyn Policy>,
    now: UnixTime,
}

impl Granted {
    pub(crate) fn new(
        token: VerifiedToken,
        request: McpRequest,
        grant: Grant,
        policy: Arc<dyn Policy>,
        now: UnixTime,
    ) -> Self {
        Self {
            token,
            request,
            grant,
            policy,
            now,
        }
    }

    /// Who is calling.
    #[must_use]
    pub const fn token(&self) -> &VerifiedToken {
        &self.token
    }

    pub(crate) const fn request(&self) -> &McpRequest {
        &self.request
    }

    /// What was asked for, and granted.
    pub fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.request
            .messages()
            .iter()
            .map(|message| message.operation())
    }

    /// By which scopes it was granted.
    #[must_use]
    pub const fn grant(&self) -> &Grant {
        &self.grant
    }

    /// What the policy says of another operation of the same caller, at the time of the request.
    #[must_use]
    pub fn decide(&self, operation: &Operation) -> Decision {
        let access =
            Access::new(&self.token, operation, self.now).with_version(self.request.version());
        self.policy.decide(&access)
    }
}
