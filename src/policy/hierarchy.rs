//! Scopes that imply others.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::{
    error::ConfigError,
    token::{Scope, ScopeToken},
};

/// More scopes than stand in any hierarchy: what they imply is written out in full.
const MAX_SCOPES: usize = 1000;

/// Which scopes imply which others, as it was written down and across any number of steps. Nothing
/// is guessed from names.
///
/// MCP 2026-07-28 demands that hierarchies count when sufficiency is decided ("Step-Up
/// Authorization Flow"), and not in what a challenge asks for.
///
/// ```
/// use mcp_auth::ScopeHierarchy;
///
/// let hierarchy = ScopeHierarchy::new([
///     ("admin".parse()?, "write:data".parse()?),
///     ("write:data".parse()?, "read:data".parse()?),
/// ])?;
/// assert!(hierarchy.covers(&"admin".parse()?, &"read:data".parse()?));
/// assert!(!hierarchy.covers(&"read:data".parse()?, &"admin".parse()?));
/// # Ok::<(), mcp_auth::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ScopeHierarchy {
    /// All that a scope implies, sorted.
    implied: HashMap<ScopeToken, Box<[ScopeToken]>>,
    /// All that imply a scope, sorted: one look answers for a scope that is needed.
    implied_by: HashMap<ScopeToken, Box<[ScopeToken]>>,
}

impl ScopeHierarchy {
    /// A hierarchy of scopes, each with those that it implies.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where a scope comes twice, where scopes imply each other in a cycle (the
    /// message shows it), and where there are more than 1000 scopes.
    pub fn new(
        implied: impl IntoIterator<Item = (ScopeToken, Scope)>,
    ) -> Result<Self, ConfigError> {
        let mut direct = BTreeMap::new();
        let mut names = BTreeSet::new();
        for (scope, implied) in implied {
            names.extend(implied.iter().cloned().chain([scope.clone()]));
            if names.len() > MAX_SCOPES {
                return Err(ConfigError::new(format!(
                    "the hierarchy has more than {MAX_SCOPES} scopes"
                )));
            }
            if direct.insert(scope.clone(), implied).is_some() {
                return Err(ConfigError::new(format!(
                    "the hierarchy has {:?} twice",
                    scope.as_str()
                )));
            }
        }
        let implied = close(&direct)?;
        let mut implied_by = HashMap::<_, BTreeSet<_>>::new();
        for (scope, lower) in &implied {
            for lower in lower {
                let above = implied_by.entry(lower.clone()).or_default();
                above.insert(scope.clone());
            }
        }
        Ok(Self {
            implied: boxed(implied),
            implied_by: boxed(implied_by),
        })
    }

    /// Whether every scope of `required` is held, or implied by one that is.
    #[must_use]
    pub fn covers(&self, held: &Scope, required: &Scope) -> bool {
        self.missing(held, required) == 0
    }

    /// How many scopes of `required` are neither held nor implied.
    pub(super) fn missing(&self, held: &Scope, required: &Scope) -> usize {
        required
            .iter()
            .filter(|scope| !held.contains(scope.as_str()) && !self.is_implied(held, scope))
            .count()
    }

    fn is_implied(&self, held: &Scope, required: &ScopeToken) -> bool {
        self.implied_by
            .get(required)
            .is_some_and(|above| held.iter().any(|held| above.binary_search(held).is_ok()))
    }

    /// The held scopes, and behind them all that they imply.
    #[must_use]
    pub fn widen(&self, held: &Scope) -> Scope {
        let mut wide = held.clone();
        for implied in held.iter().filter_map(|held| self.implied.get(held)) {
            wide.extend(implied.iter().cloned());
        }
        wide
    }

    /// Whether it has this scope at all.
    pub(super) fn names(&self, scope: &ScopeToken) -> bool {
        self.implied.contains_key(scope) || self.implied_by.contains_key(scope)
    }
}

type Closure = HashMap<ScopeToken, BTreeSet<ScopeToken>>;

fn boxed(sets: Closure) -> HashMap<ScopeToken, Box<[ScopeToken]>> {
    sets.into_iter()
        .map(|(scope, set)| (scope, set.into_iter().collect()))
        .collect()
}

/// All that each scope implies across any number of steps. Depth first and without recursion, so
/// that no chain is too long.
fn close(direct: &BTreeMap<ScopeToken, Scope>) -> Result<Closure, ConfigError> {
    let mut closed = Closure::new();
    for start in direct.keys() {
        // The scopes on the way down, each with those below it that are still to be seen.
        let mut way = vec![(start, below(direct, start))];
        while let Some((scope, rest)) = way.last_mut() {
            let scope = *scope;
            match rest.next() {
                Some(next) if way.iter().any(|(above, _)| *above == next) => {
                    return Err(cycle(way.iter().map(|(scope, _)| *scope), next));
                }
                Some(next) => {
                    if !closed.contains_key(next) {
                        way.push((next, below(direct, next)));
                    }
                }
                None => {
                    let mut all = BTreeSet::new();
                    for lower in below(direct, scope) {
                        all.extend(closed.get(lower).into_iter().flatten().cloned());
                        all.insert(lower.clone());
                    }
                    closed.insert(scope.clone(), all);
                    way.pop();
                }
            }
        }
    }
    Ok(closed)
}

fn below<'a>(
    direct: &'a BTreeMap<ScopeToken, Scope>,
    scope: &ScopeToken,
) -> std::slice::Iter<'a, ScopeToken> {
    direct.get(scope).map(Scope::iter).unwrap_or_default()
}

fn cycle<'a>(way: impl Iterator<Item = &'a ScopeToken>, again: &ScopeToken) -> ConfigError {
    let mut names: Vec<&str> = way
        .skip_while(|scope| *scope != again)
        .map(ScopeToken::as_str)
        .collect();
    names.push(again.as_str());
    ConfigError::new(format!("the hierarchy has a cycle: {}", names.join(" > ")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn scope(text: &str) -> Scope {
        text.parse().unwrap()
    }

    fn hierarchy(rows: &[(&str, &str)]) -> Result<ScopeHierarchy, ConfigError> {
        ScopeHierarchy::new(
            rows.iter()
                .map(|(name, implied)| (name.parse().unwrap(), scope(implied))),
        )
    }

    #[test]
    fn implication_is_transitive_and_one_way() {
        let it = hierarchy(&[("admin", "write audit"), ("write", "read"), ("x", "read")]).unwrap();
        for (held, required, expected) in [
            ("admin", "read", true),
            ("admin", "audit read write", true),
            ("write", "read", true),
            ("write", "audit", false),
            ("read", "write", false),
            ("x audit", "read audit", true),
            ("Admin", "read", false),
            ("", "", true),
            ("", "read", false),
            ("other", "other", true),
        ] {
            assert_eq!(
                it.covers(&scope(held), &scope(required)),
                expected,
                "{held} {required}"
            );
        }
        assert_eq!(
            it.widen(&scope("z admin")),
            scope("z admin audit read write")
        );
        assert_eq!(it.widen(&scope("read")), scope("read"));
    }

    #[test]
    fn a_cycle_is_named() {
        for (rows, expected) in [
            (&[("a", "a")][..], "the hierarchy has a cycle: a > a"),
            (
                &[("z", "a"), ("a", "b c"), ("c", "d"), ("d", "a")],
                "the hierarchy has a cycle: a > c > d > a",
            ),
        ] {
            assert_eq!(hierarchy(rows).unwrap_err().to_string(), expected);
        }
        // A diamond is none.
        assert!(hierarchy(&[("a", "b c"), ("b", "d"), ("c", "d")]).is_ok());
    }

    #[test]
    fn there_is_an_end_to_it() {
        let chain = |length: usize| -> Vec<_> {
            (1..length)
                .map(|n| {
                    (
                        format!("s{n}").parse().unwrap(),
                        scope(&format!("s{}", n + 1)),
                    )
                })
                .collect()
        };
        let longest = ScopeHierarchy::new(chain(1000)).unwrap();
        assert!(longest.covers(&scope("s1"), &scope("s1000")));
        assert!(ScopeHierarchy::new(chain(1001)).is_err());
        assert_eq!(
            hierarchy(&[("a", "b"), ("a", "c")])
                .unwrap_err()
                .to_string(),
            "the hierarchy has \"a\" twice"
        );
    }
}
