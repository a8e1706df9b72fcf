//! A map of keys as it stands in a file.
//!
//! The tree is read by hand, because the messages of serde show what they trip over, and that can be
//! a key. The messages here say where it is and what it is called.

use std::{collections::HashMap, sync::Arc};

use super::{KeyMap, KeyRule, keys::Keys, node::Node};
use crate::{
    keys::UpstreamKey,
    policy::ScopeHierarchy,
    token::{Scope, ScopeToken},
};

/// What is wrong, to be read after "the key map".
type Wrong = String;

pub(super) fn read(json: &str) -> Result<KeyMap, Wrong> {
    let root: Node = serde_json::from_str(json).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("is not JSON (line {line}, column {column})")
    })?;
    match root {
        Node::Object(users) => read_users(users),
        Node::List(rules) => read_rules(rules),
        _ => Err("is neither an object of subjects nor a list of rules".into()),
    }
}

fn read_users(members: Vec<(String, Node)>) -> Result<KeyMap, Wrong> {
    let mut map = KeyMap::new();
    let users = &mut Arc::make_mut(&mut map.0).users;
    for (subject, node) in members {
        let at = format!("at {subject:?}");
        let subject: Arc<str> = subject.into();
        if subject.is_empty() {
            return Err("has an empty subject".into());
        }
        let mut keys = Keys::default();
        match node {
            Node::Text(key) => add(&mut keys, &at, Arc::clone(&subject), &key, Scope::EMPTY)?,
            Node::Object(members) => read_key(&mut keys, &at, &subject, members)?,
            Node::List(list) => read_keys(&mut keys, &at, &subject, list)?,
            Node::Bool(_) | Node::Other => {
                return Err(format!("{at} has neither a key nor an object nor a list"));
            }
        }
        if users.insert(subject, keys).is_some() {
            return Err(format!("{at} has the subject twice"));
        }
    }
    Ok(map)
}

fn read_rules(list: Vec<Node>) -> Result<KeyMap, Wrong> {
    let mut map = KeyMap::new();
    let rules = &mut Arc::make_mut(&mut map.0).rules;
    let mut seen = HashMap::new();
    for (position, node) in list.into_iter().enumerate() {
        let at = format!("in rule {}", position + 1);
        let Node::Object(members) = node else {
            return Err(format!("{at} is no object of match and keys"));
        };
        let (mut rule, mut keys) = (None, None);
        for (name, node) in members {
            match (name.as_str(), node) {
                ("match", Node::Object(claims)) if rule.is_none() => {
                    rule = Some(read_match(&at, claims)?);
                }
                ("keys", Node::List(list)) if keys.is_none() => keys = Some(list),
                ("match", Node::Object(_)) | ("keys", Node::List(_)) => {
                    return Err(format!("{at} has {name:?} twice"));
                }
                ("match", _) => return Err(format!("{at} has a match that is no object")),
                ("keys", _) => return Err(format!("{at} has keys that are no list")),
                _ => return Err(format!("{at} has another member than match and keys")),
            }
        }
        let (Some(mut rule), Some(list)) = (rule, keys) else {
            return Err(format!("{at} lacks match or keys"));
        };
        if rule.is_void() {
            return Err(format!(
                "{at} can match nobody: a sub that is its own client_id needs \"machine\": true"
            ));
        }
        if let Some(first) = seen.insert(rule.words(), position) {
            return Err(format!("{at} repeats the match of rule {}", first + 1));
        }
        let subject = rule.subject();
        read_keys(&mut rule.keys, &at, &subject, list)?;
        rules.push(rule);
    }
    Ok(map)
}

fn read_match(at: &str, members: Vec<(String, Node)>) -> Result<KeyRule, Wrong> {
    let mut rule: Option<KeyRule> = None;
    let mut machine = None;
    for (path, node) in members {
        match node {
            Node::Bool(is) if path == "machine" => {
                if machine.replace(is).is_some() {
                    return Err(format!("{at} has \"machine\" twice"));
                }
            }
            Node::Text(value) if path != "machine" && !path.is_empty() && !value.is_empty() => {
                rule = Some(match rule {
                    None => KeyRule::new(path, value.as_str()),
                    Some(rule) if rule.value_of(&path).is_some() => {
                        return Err(format!("{at} has the claim {path:?} twice"));
                    }
                    Some(rule) => rule.with_claim(path, value.as_str()),
                });
            }
            _ => {
                return Err(format!(
                    "{at} has a match on {path:?} that cannot be: a claim is a text that is not \
                     empty, and \"machine\" is true or false"
                ));
            }
        }
    }
    match (rule, machine) {
        (None, _) => Err(format!("{at} has a match that names no claim")),
        (Some(rule), None) => Ok(rule),
        (Some(rule), Some(machine)) => Ok(rule.with_machine(machine)),
    }
}

fn read_keys(keys: &mut Keys, at: &str, subject: &Arc<str>, list: Vec<Node>) -> Result<(), Wrong> {
    if list.is_empty() {
        return Err(format!("{at} has an empty list of keys"));
    }
    for (position, node) in list.into_iter().enumerate() {
        let at = format!("{at}, key {},", position + 1);
        let Node::Object(members) = node else {
            return Err(format!("{at} is no object of key, name and scopes"));
        };
        read_key(keys, &at, subject, members)?;
    }
    Ok(())
}

fn read_key(
    keys: &mut Keys,
    at: &str,
    subject: &Arc<str>,
    members: Vec<(String, Node)>,
) -> Result<(), Wrong> {
    let (mut key, mut name, mut scopes) = (None, None, None);
    for (member, node) in members {
        let is_new = match (member.as_str(), node) {
            ("key", Node::Text(text)) => key.replace(text).is_none(),
            ("name", Node::Text(text)) if !text.is_empty() => name.replace(text).is_none(),
            ("scopes", Node::List(list)) => scopes.replace(read_scopes(at, &list)?).is_none(),
            ("key", _) => return Err(format!("{at} has a key that is no text")),
            ("name", _) => return Err(format!("{at} has a name that is empty or no text")),
            ("scopes", _) => return Err(format!("{at} has scopes that are no list")),
            // Its name is not shown: it may be a key in the wrong place.
            _ => return Err(format!("{at} has another member than key, name and scopes")),
        };
        if !is_new {
            return Err(format!("{at} has {member:?} twice"));
        }
    }
    let key = key.ok_or_else(|| format!("{at} lacks the key"))?;
    let name = name.map_or_else(|| Arc::clone(subject), |name| name.as_str().into());
    if keys.has_name(&name) {
        return Err(format!("{at} has the name {name:?} twice"));
    }
    add(keys, at, name, &key, scopes.unwrap_or_default())
}

fn read_scopes(at: &str, list: &[Node]) -> Result<Scope, Wrong> {
    if list.is_empty() {
        // It could mean a key for nothing as well as one for everything.
        return Err(format!(
            "{at} has no scope in scopes: a key that serves everything has no scopes member"
        ));
    }
    let scope = |node: &Node| match node {
        Node::Text(text) => text.parse::<ScopeToken>().ok(),
        _ => None,
    };
    let scopes = list.iter().map(scope).collect::<Option<Scope>>();
    scopes.ok_or_else(|| format!("{at} has scopes that are none (RFC 6749 section 3.3)"))
}

fn add(keys: &mut Keys, at: &str, name: Arc<str>, key: &str, scopes: Scope) -> Result<(), Wrong> {
    let key = UpstreamKey::new(name, key).map_err(|error| format!("{at} is wrong: {error}"))?;
    keys.add(key, scopes, &ScopeHierarchy::default());
    Ok(())
}
