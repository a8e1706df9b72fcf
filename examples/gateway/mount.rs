//! The servers behind the gateway as the flags name them: the one of `--upstream`, and those of
//! `--mount`, each under a path with parts of its own.

use std::{collections::BTreeSet, fmt, path::PathBuf};

use crate::{
    args::{Fault, KeySource},
    upstream::Upstream,
};

/// Where a server stands: under a path, or, as the one of `--upstream`, wherever no other does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place(Option<String>);

impl Place {
    /// That of `--upstream`.
    pub(crate) const MAIN: Self = Self(None);

    /// The path of a mount: `/` and a segment, once or more, without a slash at the end. What needs
    /// an encoding, or could be read in two ways, is no such path.
    fn from_path(path: &str) -> Result<Self, &'static str> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let is_segment =
            |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(is_plain);
        match path.strip_prefix('/') {
            Some(rest) if rest.split('/').next() == Some(".well-known") => {
                Err("stands where clients look for metadata")
            }
            Some(rest) if rest.split('/').all(is_segment) => Ok(Self(Some(path.to_owned()))),
            _ => Err("is not a plain path, as in /github"),
        }
    }

    /// The path of a mount.
    pub(crate) fn path(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// What is wrong with one of the server's parts, by the flag that it has for `--upstream`.
    pub(crate) fn fault(&self, flag: &str, problem: impl fmt::Display) -> Fault {
        match self.path() {
            Some(path) => Fault::new("--mount", format_args!("{path}: {}: {problem}", part(flag))),
            None => Fault::new(flag, problem),
        }
    }

    /// What the operator should know about one of the server's parts.
    pub(crate) fn notice(&self, flag: &str, what: &str) -> String {
        match self.path() {
            Some(path) => format!("{path}: no {0} ({0}=){what}", part(flag)),
            None => format!("no {} ({flag}){what}", part(flag)),
        }
    }
}

/// The name of a part in a mount.
fn part(flag: &str) -> &str {
    flag.trim_start_matches("--").trim_end_matches("-file")
}

/// What the flags say of one server. Files and URLs are not opened yet.
#[derive(Debug, PartialEq)]
pub(crate) struct ServerArgs {
    pub(crate) place: Place,
    pub(crate) upstream: Upstream,
    pub(crate) audiences: Vec<String>,
    pub(crate) resource: Option<String>,
    pub(crate) policy: Option<PathBuf>,
    pub(crate) keys: KeySource,
}

impl ServerArgs {
    /// Reads the value of `--mount`. `may_lack_keys`: an upstream without a key map needs no keys.
    pub(crate) fn mounted(value: &str, may_lack_keys: bool) -> Result<Self, Fault> {
        let (path, rest) = value.split_once('=').ok_or_else(|| {
            Fault::new(
                "--mount",
                "is not PATH=URL,policy=FILE,key-map=FILE,audience=VALUE,resource=URL",
            )
        })?;
        let place = Place::from_path(path)
            .map_err(|problem| Fault::new("--mount", format_args!("{path:?} {problem}")))?;
        let mut parts = rest.split(',');
        let upstream = Upstream::from_url(parts.next().unwrap_or_default())
            .map_err(|problem| place.fault("--upstream", problem))?
            .mounted_at(path);
        let (mut audiences, mut resource) = (Vec::new(), None);
        let (mut policy, mut key_map) = (None, None);
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let twice = match name {
                "audience" => {
                    audiences.push(value.to_owned());
                    false
                }
                "resource" => resource.replace(value.to_owned()).is_some(),
                "policy" => policy.replace(PathBuf::from(value)).is_some(),
                "key-map" => {
                    let file = KeySource::file(value.into())
                        .map_err(|problem| place.fault("--key-map-file", problem))?;
                    key_map.replace(file).is_some()
                }
                _ => return Err(place.fault(name, "there is no such part")),
            };
            if value.is_empty() {
                return Err(place.fault(name, "is empty"));
            }
            if twice {
                return Err(place.fault(name, "is given twice"));
            }
        }
        if audiences.is_empty() {
            return Err(place.fault("--audience", "is needed: each server has its own"));
        }
        let keys = match key_map {
            Some(file) => file,
            None if may_lack_keys => KeySource::None,
            None => {
                return Err(place.fault(
                    "--key-map-file",
                    "is needed, or --no-key-map where the upstream needs no keys",
                ));
            }
        };
        Ok(Self {
            place,
            upstream,
            audiences,
            resource,
            policy,
            keys,
        })
    }
}

/// Judges servers beside each other: two must share neither their path nor an audience, or a token
/// for one would open the other.
pub(crate) fn are_apart(servers: &[ServerArgs]) -> Result<(), Fault> {
    let (mut places, mut audiences) = (BTreeSet::new(), BTreeSet::new());
    for server in servers {
        if !places.insert(server.place.path()) {
            let path = server.place.path().unwrap_or_default();
            return Err(Fault::new("--mount", format_args!("{path} is given twice")));
        }
        // Of one server it may be given twice; a slash at its end makes no other.
        let own: BTreeSet<_> = server
            .audiences
            .iter()
            .map(|audience| audience.trim_end_matches('/'))
            .collect();
        if own.into_iter().any(|audience| !audiences.insert(audience)) {
            return Err(server.place.fault(
                "--audience",
                "is another server's too: a token for one would open both",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn mounted(value: &str) -> Result<ServerArgs, String> {
        ServerArgs::mounted(value, false).map_err(|fault| fault.to_string())
    }

    #[test]
    fn all_parts_are_read() {
        let all = "/a/b=https://h/x,policy=p.json,key-map=k.json,audience=one,audience=two,\
                   resource=https://mcp.example/a/b";
        assert_eq!(
            mounted(all).unwrap(),
            ServerArgs {
                place: Place(Some("/a/b".into())),
                upstream: Upstream::from_url("https://h/x")
                    .unwrap()
                    .mounted_at("/a/b"),
                audiences: vec!["one".into(), "two".into()],
                resource: Some("https://mcp.example/a/b".into()),
                policy: Some("p.json".into()),
                keys: KeySource::File("k.json".into()),
            }
        );
        let least = ServerArgs::mounted("/a=http://h,audience=one", true).unwrap();
        assert_eq!((least.resource, least.policy), (None, None));
        assert_eq!(least.keys, KeySource::None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (value, expected) in [
            ("", "--mount: is not PATH=URL"),
            ("/a", "--mount: is not PATH=URL"),
            (
                "a=http://h,audience=x",
                "--mount: \"a\" is not a plain path",
            ),
            (
                "/=http://h,audience=x",
                "--mount: \"/\" is not a plain path",
            ),
            ("/a/=http://h,audience=x", "--mount: \"/a/\" is not a plain"),
            ("/a//b=http://h,audience=x", "--mount: \"/a//b\" is not a"),
            ("/a/../b=http://h,audience=x", "--mount: \"/a/../b\" is not"),
            (
                "/%61=http://h,audience=x",
                "--mount: \"/%61\" is not a plain",
            ),
            (
                "/a;b=http://h,audience=x",
                "--mount: \"/a;b\" is not a plain",
            ),
            (
                "/.well-known/x=http://h,audience=x",
                "--mount: \"/.well-known/x\" stands where clients look",
            ),
            ("/a=h,audience=x", "--mount: /a: upstream: is not an http"),
            ("/a=,audience=x", "--mount: /a: upstream: is not an http"),
            (
                "/a=http://h:99999,audience=x",
                "--mount: /a: upstream: has a port that is not from 1 to 65535",
            ),
            ("/a=http://h", "--mount: /a: audience: is needed"),
            ("/a=http://h,audience=x", "--mount: /a: key-map: is needed"),
            ("/a=http://h,audience=", "--mount: /a: audience: is empty"),
            ("/a=http://h,policy", "--mount: /a: policy: is empty"),
            (
                "/a=http://h,keys=x",
                "--mount: /a: keys: there is no such part",
            ),
            (
                "/a=http://h,policy=x,policy=x",
                "--mount: /a: policy: is given twice",
            ),
        ] {
            let said = mounted(value).unwrap_err();
            assert!(said.starts_with(expected), "{value}: {said}");
        }
    }

    #[test]
    fn servers_stand_apart() {
        let server = |value: &str| ServerArgs::mounted(value, true).unwrap();
        let judge =
            |values: [&str; 2]| are_apart(&values.map(server)).map_err(|fault| fault.to_string());
        judge(["/a=http://h,audience=x", "/b=http://h,audience=y"]).unwrap();
        judge([
            "/a=http://h,audience=x,audience=x",
            "/a/b=http://h,audience=y",
        ])
        .unwrap();
        for (values, expected) in [
            (
                ["/a=http://h,audience=x", "/a=http://i,audience=y"],
                "--mount: /a is given twice",
            ),
            (
                [
                    "/a=http://h,audience=x",
                    "/b=http://h,audience=y,audience=x",
                ],
                "--mount: /b: audience: is another server's too",
            ),
            (
                [
                    "/a=http://h,audience=https://h",
                    "/b=http://h,audience=https://h/",
                ],
                "--mount: /b: audience: is another server's too",
            ),
        ] {
            let said = judge(values).unwrap_err();
            assert!(said.starts_with(expected), "{said}");
        }
    }
}
