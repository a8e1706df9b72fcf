//! Rules by name: exact ones, and globs that end in `*`.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    ops::Bound,
};

use foldhash::fast::RandomState;

use crate::{
    error::ConfigError,
    policy::{Requirement, uri},
};

/// The rules for one kind of thing. A look-up costs the same for ten rules and for ten thousand.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// What the policy file calls it: `tools`.
    table: &'static str,
    /// What names are compared by.
    sense: fn(&str) -> Cow<'_, str>,
    /// Whether nothing that begins so can be matched.
    is_dead: fn(&str) -> bool,
    /// Whoever asks adds none, so a quick hash will do.
    exact: HashMap<Box<str>, Requirement, RandomState>,
    /// By what stands before the `*`, in order: all that a name begins with stands at or before it.
    globs: BTreeMap<Box<[u8]>, (Box<str>, Requirement)>,
}

/// One rule.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule<'a> {
    pub(super) table: &'static str,
    pub(super) pattern: &'a str,
    pub(super) requirement: &'a Requirement,
    /// How much of a name it tells, and whether all of it: of the rules that match a name, the one
    /// that tells most counts.
    pub(super) tells: (usize, bool),
}

impl Rule<'_> {
    pub(super) const fn is_exact(&self) -> bool {
        self.tells.1
    }
}

impl Rules {
    pub(super) fn new(table: &'static str) -> Self {
        Self {
            table,
            sense: |name| Cow::Borrowed(name),
            is_dead: |_| false,
            exact: HashMap::default(),
            globs: BTreeMap::new(),
        }
    }

    /// Rules for URIs.
    pub(super) fn of_uris(table: &'static str) -> Self {
        Self {
            sense: uri::sense,
            is_dead: uri::is_dead,
            ..Self::new(table)
        }
    }

    pub(super) fn insert(
        &mut self,
        pattern: &str,
        requirement: Requirement,
    ) -> Result<(), ConfigError> {
        let table = self.table;
        let refuse = |what| ConfigError::new(format!("{table}: {pattern:?} {what}"));
        let is_new = match pattern.split_once('*') {
            None if pattern.is_empty() => return Err(refuse("names nothing")),
            None => {
                let name = (self.sense)(pattern).into();
                self.exact.insert(name, requirement).is_none()
            }
            Some((prefix, "")) if (self.is_dead)(prefix) => {
                return Err(refuse("matches no URI as parsers write it"));
            }
            Some((prefix, "")) => {
                let prefix = (self.sense)(prefix).as_bytes().into();
                let rule = (pattern.into(), requirement);
                self.globs.insert(prefix, rule).is_none()
            }
            Some(_) => return Err(refuse("has a `*` that is not at its end")),
        };
        is_new.then_some(()).ok_or_else(|| refuse("comes twice"))
    }

    /// The most specific rule: the exact one, else the longest glob.
    pub(super) fn find(&self, name: &str) -> Option<Rule<'_>> {
        let name = (self.sense)(name);
        self.exactly(&name).or_else(|| self.find_glob(&name))
    }

    pub(super) fn find_exact(&self, name: &str) -> Option<Rule<'_>> {
        self.exactly(&(self.sense)(name))
    }

    fn exactly(&self, name: &str) -> Option<Rule<'_>> {
        let (pattern, requirement) = self.exact.get_key_value(name)?;
        Some(self.rule(pattern, requirement, (name.len(), true)))
    }

    fn find_glob(&self, name: &str) -> Option<Rule<'_>> {
        let mut begin = name.as_bytes();
        loop {
            let up_to = (Bound::Unbounded, Bound::Included(begin));
            let (prefix, (pattern, requirement)) =
                self.globs.range::<[u8], _>(up_to).next_back()?;
            let common = prefix.iter().zip(begin).take_while(|(a, b)| a == b).count();
            if common == prefix.len() {
                return Some(self.rule(pattern, requirement, (common, false)));
            }
            // What matches begins no later than where these two part.
            begin = begin.get(..common)?;
        }
    }

    const fn rule<'a>(
        &self,
        pattern: &'a str,
        requirement: &'a Requirement,
        tells: (usize, bool),
    ) -> Rule<'a> {
        Rule {
            table: self.table,
            pattern,
            requirement,
            tells,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules(patterns: &[&str]) -> Rules {
        let mut rules = Rules::new("tools");
        for pattern in patterns {
            rules.insert(pattern, Requirement::base()).unwrap();
        }
        rules
    }

    #[test]
    fn the_most_specific_rule_is_found() {
        let rules = rules(&[
            "*",
            "get_*",
            "get_note*",
            "get_note",
            "get_o*",
            "h*",
            "caf\u{e9}*",
        ]);
        for (name, expected) in [
            ("get_note", "get_note"),
            ("get_note_2", "get_note*"),
            ("get_not", "get_*"),
            ("get_", "get_*"),
            ("get_p", "get_*"),
            ("get", "*"),
            ("Get_note", "*"),
            ("", "*"),
            ("caf\u{e9}s", "caf\u{e9}*"),
            ("caf\u{e8}", "*"),
        ] {
            assert_eq!(rules.find(name).unwrap().pattern, expected, "{name}");
        }
    }

    #[test]
    fn wrong_patterns_are_named() {
        let mut rules = rules(&["a", "a*"]);
        for (pattern, expected) in [
            ("a", "tools: \"a\" comes twice"),
            ("a*", "tools: \"a*\" comes twice"),
            ("", "tools: \"\" names nothing"),
            ("a*b", "tools: \"a*b\" has a `*` that is not at its end"),
            ("a**", "tools: \"a**\" has a `*` that is not at its end"),
        ] {
            let error = rules.insert(pattern, Requirement::base()).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }

    proptest! {
        #[test]
        fn the_look_up_agrees_with_looking_at_every_rule(
            patterns in proptest::collection::btree_set("[ab\u{e9}]{0,5}[*]", 0..20),
            name in "[ab\u{e9}]{0,7}",
        ) {
            let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
            let expected = patterns
                .iter()
                .filter(|pattern| name.starts_with(pattern.trim_end_matches('*')))
                .max_by_key(|pattern| pattern.len());
            let rules = rules(&patterns);
            let found = rules.find(&name).map(|rule| rule.pattern);
            prop_assert_eq!(found, expected.copied());
        }
    }
}
