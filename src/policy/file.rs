//! A policy as it stands in a file.

use std::{fmt, marker::PhantomData};

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::{
    error::ConfigError,
    policy::{Requirement, ScopeHierarchy, ScopePolicy},
    token::{Scope, ScopeToken},
};

/// Reads what [`ScopePolicy::from_json`] reads, from any self-describing format.
impl<'de> Deserialize<'de> for ScopePolicy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PolicyVisitor)
    }
}

struct PolicyVisitor;

impl<'de> Visitor<'de> for PolicyVisitor {
    type Value = ScopePolicy;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the rules of a policy")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ScopePolicy, A::Error> {
        const MEMBERS: &[&str] = &[
            "base",
            "hierarchy",
            "methods",
            "tools",
            "prompts",
            "resources",
        ];
        let mut policy = ScopePolicy::new();
        let mut seen = Vec::new();
        while let Some(member) = map.next_key::<String>()? {
            if seen.contains(&member) {
                return Err(A::Error::custom(format_args!("{member:?} comes twice")));
            }
            policy = match member.as_str() {
                "base" => {
                    let base: ScopeList = map.next_value().map_err(at("base"))?;
                    policy.with_base(base.0)
                }
                "hierarchy" => policy.with_hierarchy(hierarchy(&mut map)?),
                "methods" => with_rules(policy, "methods", ScopePolicy::method, &mut map)?,
                "tools" => with_rules(policy, "tools", ScopePolicy::tool, &mut map)?,
                "prompts" => with_rules(policy, "prompts", ScopePolicy::prompt, &mut map)?,
                "resources" => with_rules(policy, "resources", ScopePolicy::resource, &mut map)?,
                _ => return Err(A::Error::unknown_field(&member, MEMBERS)),
            };
            seen.push(member);
        }
        Ok(policy)
    }
}

fn hierarchy<'de, A: MapAccess<'de>>(map: &mut A) -> Result<ScopeHierarchy, A::Error> {
    let mut rows = Vec::new();
    for (name, implied) in map.next_value_seed(Entries::<ScopeList>::of("hierarchy"))? {
        let name: ScopeToken = name.parse().map_err(at("hierarchy"))?;
        rows.push((name, implied.0));
    }
    ScopeHierarchy::new(rows).map_err(A::Error::custom)
}

fn with_rules<'de, A: MapAccess<'de>>(
    mut policy: ScopePolicy,
    table: &'static str,
    with_rule: fn(ScopePolicy, &str, Requirement) -> Result<ScopePolicy, ConfigError>,
    map: &mut A,
) -> Result<ScopePolicy, A::Error> {
    for (pattern, requirement) in map.next_value_seed(Entries::of(table))? {
        policy = with_rule(policy, &pattern, requirement).map_err(A::Error::custom)?;
    }
    Ok(policy)
}

/// Puts the place in front of an error.
fn at<F: fmt::Display, E: Error>(place: &str) -> impl Fn(F) -> E {
    move |error| E::custom(format_args!("{place}: {error}"))
}

/// The entries of an object, in their order; whoever takes them refuses a name that comes twice.
struct Entries<V> {
    member: &'static str,
    of: PhantomData<V>,
}

impl<V> Entries<V> {
    const fn of(member: &'static str) -> Self {
        Self {
            member,
            of: PhantomData,
        }
    }
}

impl<'de, V: Deserialize<'de>> DeserializeSeed<'de> for Entries<V> {
    type Value = Vec<(String, V)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let member = self.member;
        deserializer.deserialize_map(self).map_err(at(member))
    }
}

impl<'de, V: Deserialize<'de>> Visitor<'de> for Entries<V> {
    type Value = Vec<(String, V)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            // The member itself is named one level up.
            let value = map.next_value().map_err(at(&format!("{name:?}")))?;
            entries.push((name, value));
        }
        Ok(entries)
    }
}

/// A list of scopes.
struct ScopeList(Scope);

impl<'de> Deserialize<'de> for ScopeList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let scopes = Vec::<Item>::deserialize(deserializer)?;
        scopes
            .into_iter()
            .map(Item::scope)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// Reads a rule's value: a list of scopes (all), a list of lists (any one of them), or an empty
/// list (the base only).
impl<'de> Deserialize<'de> for Requirement {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items = Vec::<Item>::deserialize(deserializer)?;
        if items.iter().any(|item| matches!(item, Item::Set(_))) {
            let sets = items.into_iter().map(Item::set);
            let sets = sets.collect::<Result<Vec<_>, _>>()?;
            return Self::any(sets).map_err(D::Error::custom);
        }
        let scopes = items.into_iter().map(Item::scope);
        scopes.collect::<Result<_, _>>().map(Self::all)
    }
}

/// What stands in the list of a rule.
enum Item {
    Scope(ScopeToken),
    Set(Scope),
}

impl Item {
    fn scope<E: Error>(self) -> Result<ScopeToken, E> {
        match self {
            Self::Scope(scope) => Ok(scope),
            Self::Set(_) => Err(E::custom("a list stands where a scope belongs")),
        }
    }

    fn set<E: Error>(self) -> Result<Scope, E> {
        match self {
            Self::Set(scope) => Ok(scope),
            Self::Scope(_) => Err(E::custom("scopes and lists of scopes stand side by side")),
        }
    }
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ItemVisitor)
    }
}

struct ItemVisitor;

impl<'de> Visitor<'de> for ItemVisitor {
    type Value = Item;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a scope or a list of scopes")
    }

    fn visit_str<E: Error>(self, scope: &str) -> Result<Item, E> {
        scope.parse().map(Item::Scope).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Item, A::Error> {
        let mut set = Scope::EMPTY;
        while let Some(scope) = seq.next_element::<String>()? {
            set.insert(scope.parse().map_err(A::Error::custom)?);
        }
        Ok(Item::Set(set))
    }
}
