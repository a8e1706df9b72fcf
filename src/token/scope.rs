//! Scopes as RFC 6749 section 3.3 writes them.

use std::{collections::HashSet, fmt, str::FromStr, sync::Arc};

use crate::error::ConfigError;

/// One `scope-token` of RFC 6749 section 3.3: printable ASCII without space, `"` and `\`.
///
/// It cannot hold a character that would need escaping in a challenge. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeToken(Arc<str>);

impl ScopeToken {
    /// The scope as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn is_valid(text: &str) -> bool {
        // %x21 / %x23-5B / %x5D-7E
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E))
    }
}

impl FromStr for ScopeToken {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        if Self::is_valid(text) {
            Ok(Self(text.into()))
        } else {
            Err(ConfigError::new(format!(
                "{text:?} is not a scope (RFC 6749 section 3.3)"
            )))
        }
    }
}

impl fmt::Display for ScopeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for ScopeToken {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Up to so many scopes are compared one by one; more are hashed.
const FEW: usize = 16;

/// A set of scopes that keeps the order in which they were added: what a token holds, or what an
/// operation needs.
///
/// ```
/// use mcp_auth::Scope;
///
/// let held: Scope = "read:data write:data".parse()?;
/// assert!(held.contains("read:data"));
/// assert_eq!(held.to_string(), "read:data write:data");
/// # Ok::<(), mcp_auth::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Shared, because every request hands it on several times. `None` where there are none.
    tokens: Option<Arc<Vec<ScopeToken>>>,
}

impl Scope {
    /// No scope at all.
    pub const EMPTY: Self = Self { tokens: None };

    /// Reads the scopes of a token: split at U+0020 and at nothing else; what is no `scope-token`
    /// grants nothing and is left out.
    #[must_use]
    pub fn from_claim(text: &str) -> Self {
        Self::from_claim_items(text.split(' '))
    }

    /// The same for a claim that lists its scopes in an array.
    pub(crate) fn from_claim_items<'a>(items: impl IntoIterator<Item = &'a str>) -> Self {
        let mut tokens: Vec<ScopeToken> = Vec::with_capacity(FEW / 2);
        let mut many = HashSet::new();
        for item in items.into_iter().filter(|item| ScopeToken::is_valid(item)) {
            let is_new = if tokens.len() < FEW {
                tokens.iter().all(|token| token.as_str() != item)
            } else {
                if many.is_empty() {
                    many.extend(tokens.iter().map(|token| Arc::clone(&token.0)));
                }
                many.insert(item.into())
            };
            if is_new {
                tokens.push(ScopeToken(item.into()));
            }
        }
        Self {
            tokens: (!tokens.is_empty()).then(|| Arc::new(tokens)),
        }
    }

    fn as_slice(&self) -> &[ScopeToken] {
        self.tokens.as_deref().map_or(&[], Vec::as_slice)
    }

    /// Adds all of `other`. Where one has all that the other has, nothing is copied.
    pub(crate) fn join(&mut self, other: &Self) {
        if self.is_empty() {
            self.clone_from(other);
        } else {
            for token in other {
                if !self.contains(token.as_str()) {
                    self.insert(token.clone());
                }
            }
        }
    }

    /// Whether the very scope is in the set. No hierarchy, no wildcard, no folding of case.
    #[must_use]
    pub fn contains(&self, scope: &str) -> bool {
        self.iter().any(|token| token.as_str() == scope)
    }

    /// Adds a scope at the end unless it is there.
    pub fn insert(&mut self, scope: ScopeToken) {
        if !self.as_slice().contains(&scope) {
            Arc::make_mut(self.tokens.get_or_insert_default()).push(scope);
        }
    }

    /// The scopes in the order in which they were added.
    pub fn iter(&self) -> std::slice::Iter<'_, ScopeToken> {
        self.as_slice().iter()
    }

    /// How many scopes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.tokens.is_none()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, token) in self.iter().enumerate() {
            if position > 0 {
                f.write_str(" ")?;
            }
            f.write_str(token.as_str())?;
        }
        Ok(())
    }
}

/// Reads a setting: scopes separated by single spaces; anything that is no scope is an error.
impl FromStr for Scope {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        if text.is_empty() {
            return Ok(Self::EMPTY);
        }
        text.split(' ').map(ScopeToken::from_str).collect()
    }
}

impl FromIterator<ScopeToken> for Scope {
    fn from_iter<I: IntoIterator<Item = ScopeToken>>(tokens: I) -> Self {
        let mut scope = Self::EMPTY;
        scope.extend(tokens);
        scope
    }
}

impl Extend<ScopeToken> for Scope {
    fn extend<I: IntoIterator<Item = ScopeToken>>(&mut self, tokens: I) {
        for token in tokens {
            self.insert(token);
        }
    }
}

impl IntoIterator for Scope {
    type Item = ScopeToken;
    type IntoIter = std::vec::IntoIter<ScopeToken>;

    fn into_iter(self) -> Self::IntoIter {
        Arc::unwrap_or_clone(self.tokens.unwrap_or_default()).into_iter()
    }
}

impl<'a> IntoIterator for &'a Scope {
    type Item = &'a ScopeToken;
    type IntoIter = std::slice::Iter<'a, ScopeToken>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_split_at_single_spaces_only() {
        let held = Scope::from_claim("mcp:tools\tadmin:write read:data  x\u{a0}y read:data");
        assert_eq!(held.to_string(), "read:data");
        assert!(!held.contains("admin:write"));
    }

    #[test]
    fn each_scope_is_kept_once_however_many_there_are() {
        for count in [FEW - 1, FEW, FEW + 1, 500] {
            let once: Vec<_> = (0..count).map(|n| format!("s{n}")).collect();
            let twice = format!("{} {0}", once.join(" "));
            assert_eq!(Scope::from_claim(&twice).to_string(), once.join(" "));
            let next_to_each_other: Vec<_> = once.iter().flat_map(|it| [it.as_str(); 2]).collect();
            let held = Scope::from_claim(&next_to_each_other.join(" "));
            assert_eq!(held.to_string(), once.join(" "));
        }
    }

    #[test]
    fn a_setting_is_strict() {
        for wrong in ["a  b", " a", "a ", "a\tb", "\"a\"", "a\\b", "caf\u{e9}"] {
            assert!(wrong.parse::<Scope>().is_err(), "{wrong:?}");
        }
        assert_eq!("".parse::<Scope>(), Ok(Scope::EMPTY));
    }
}
