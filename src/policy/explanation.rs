//! A decision with the rule that made it.

use std::fmt;

use crate::{
    mcp::{Operation, ProtocolVersion, Target},
    policy::{Decision, DenialKind, rules::Rule},
    token::Scope,
};

/// Which part of the policy decided.
#[derive(Clone, Copy, Debug)]
pub(super) enum Because<'a> {
    /// The base is all that is asked for, or what is missing.
    Base,
    /// A rule.
    Rule(Rule<'a>),
    /// No rule names what it is about.
    NoRule(&'a Target),
    /// No rule names the method, which needs one.
    NoMethodRule,
    /// It names nothing, where all depends on what it names.
    NoTarget,
    /// The revision has no such method.
    NotDefined(ProtocolVersion),
}

impl fmt::Display for Because<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base => f.write_str("base"),
            Self::Rule(Rule { table, pattern, .. }) => write!(f, "{table} {pattern:?}"),
            Self::NoRule(target) => {
                write!(f, "no rule for the {} {:?}", target.kind(), target.name())
            }
            Self::NoMethodRule => f.write_str("no rule for the method"),
            Self::NoTarget => f.write_str("names no tool, prompt or resource"),
            Self::NotDefined(version) => write!(f, "no such method in {version}"),
        }
    }
}

/// A decision with the rule that made it. `Display` writes it in one line.
///
/// Made by [`ScopePolicy::explain`](crate::ScopePolicy::explain).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    decision: Decision,
    rule: String,
    asked: String,
}

impl Explanation {
    pub(super) fn new(decision: Decision, because: Because<'_>, operation: &Operation) -> Self {
        let mut asked = operation.method().escape_debug().to_string();
        for target in operation.targets() {
            asked.push_str(&format!(" {:?}", target.name()));
        }
        Self {
            decision,
            rule: because.to_string(),
            asked,
        }
    }

    /// The decision.
    #[must_use]
    pub const fn decision(&self) -> &Decision {
        &self.decision
    }

    /// What decided: a rule as `tools "put_*"`, `base`, or a few words where no rule spoke.
    #[must_use]
    pub fn rule(&self) -> &str {
        &self.rule
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, scope) = match &self.decision {
            Decision::Allow(grant) => ("allow", grant.scope()),
            Decision::Deny(denial) => match denial.kind() {
                DenialKind::InsufficientScope => ("insufficient_scope", denial.required()),
                DenialKind::Forbidden => ("denied", &Scope::EMPTY),
                DenialKind::UnknownMethod => ("unknown_method", &Scope::EMPTY),
            },
        };
        write!(f, "{word}: {} ({})", self.asked, self.rule)?;
        if !scope.is_empty() {
            write!(f, " needs {scope}")?;
        }
        Ok(())
    }
}
