//! Rules in their order, of which the first that matches counts.

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;

use super::{keys::Keys, rule::KeyRule};
use crate::token::VerifiedToken;

/// The rules. Those that name a user or a client are found by that name, so that a rule for each of
/// ten thousand users costs what ten cost.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    all: Vec<KeyRule>,
    // Each has the places of its rules, in order. Whoever asks adds none, so a quick hash will do.
    of_subject: HashMap<Arc<str>, Vec<usize>, RandomState>,
    of_client: HashMap<Arc<str>, Vec<usize>, RandomState>,
    of_others: Vec<usize>,
}

impl Rules {
    pub(super) fn push(&mut self, rule: KeyRule) {
        let places = match (rule.value_of("sub"), rule.value_of("client_id")) {
            (Some(subject), _) => self.of_subject.entry(subject.into()).or_default(),
            (None, Some(client)) => self.of_client.entry(client.into()).or_default(),
            (None, None) => &mut self.of_others,
        };
        places.push(self.all.len());
        self.all.push(rule);
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &KeyRule> {
        self.all.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut KeyRule> {
        self.all.iter_mut()
    }

    /// The keys of the first rule that matches.
    pub(super) fn keys_of(&self, token: &VerifiedToken) -> Option<&Keys> {
        let principal = token.principal();
        let client = principal.client_id();
        let first = |places: &Vec<usize>| {
            let rules = places.iter().map(|place| (*place, self.all.get(*place)));
            let mut rules = rules.filter_map(|(place, rule)| Some((place, rule?)));
            rules.find(|(_, rule)| rule.matches(token))
        };
        let firsts = [
            self.of_subject.get(principal.subject()).and_then(first),
            client.and_then(|client| self.of_client.get(client).and_then(first)),
            first(&self.of_others),
        ];
        let firsts = firsts.into_iter().flatten();
        let (_, rule) = firsts.min_by_key(|(place, _)| *place)?;
        Some(&rule.keys)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        keys::UpstreamKey,
        token::{Claims, Scope},
    };

    /// A rule by some of these claims, and a key with the rule's place for its name.
    fn rule(place: usize, claims: &[(&'static str, char)]) -> Option<KeyRule> {
        let mut claims = claims
            .iter()
            .map(|(path, value)| (*path, value.to_string()));
        let (path, value) = claims.next()?;
        let rule = claims.fold(KeyRule::new(path, value), |rule, (path, value)| {
            rule.with_claim(path, value)
        });
        let key = UpstreamKey::new(place.to_string(), "k").unwrap();
        Some(rule.with_key(key, Scope::EMPTY))
    }

    proptest! {
        #[test]
        fn the_first_of_all_that_match_is_found(
            rules in proptest::collection::vec(
                proptest::collection::btree_map(
                    proptest::sample::select(vec!["iss", "sub", "client_id", "role"]),
                    proptest::char::range('a', 'c'),
                    1..4,
                ),
                0..12,
            ),
            token in "[a-c]{4}",
        ) {
            let mut indexed = Rules::default();
            let mut all = Vec::new();
            for claims in rules {
                let claims: Vec<_> = claims.into_iter().collect();
                let rule = rule(all.len(), &claims).unwrap();
                indexed.push(rule.clone());
                all.push(rule);
            }
            let mut claims = token.chars();
            let mut next = || claims.next().unwrap_or_default();
            let json = format!(
                r#"{{"iss":"{}","sub":"{}","client_id":"{}","role":"{}","exp":1}}"#,
                next(), next(), next(), next()
            );
            let token = VerifiedToken::assertion(Claims::from_json(&json).unwrap());
            let name = |keys: &Keys| keys.weakest(&Scope::EMPTY).map(|key| key.name().to_owned());
            let expected = all.iter().find(|rule| rule.matches(&token));
            let expected = expected.and_then(|rule| name(&rule.keys));
            prop_assert_eq!(indexed.keys_of(&token).and_then(name), expected);
        }
    }
}
