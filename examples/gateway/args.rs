//! The command line: flags, their twins in the environment, and what of them can be judged without
//! touching anything.

use std::{
    any::TypeId,
    ffi::{OsStr, OsString},
    fmt,
    net::SocketAddr,
    num::NonZeroU32,
    path::PathBuf,
};

use clap::{
    Arg, Command, Parser,
    builder::{BoolishValueParser, StringValueParser, TypedValueParser},
    error::ErrorKind,
};
use mcp_auth::{KeyHeader, Quota, Secret};

use crate::{
    headers::can_hold_a_key,
    mount::{Place, ServerArgs, are_apart},
    upstream::Upstream,
};

/// The variable that holds the key map itself.
pub(crate) const KEY_MAP: &str = "MCP_PROXY_KEY_MAP";

/// A streaming reverse proxy that puts OAuth 2.1 authentication in front of an MCP server.
///
/// Each flag has a twin in the environment, MCP_PROXY_<FLAG>, which holds one value; a flag beats its
/// twin. Without any of them it is a demonstration. `gateway revoke --help` tells how to revoke on
/// Redis.
#[derive(Debug, Parser)]
#[command(name = "gateway", version, max_term_width = 100)]
struct Flags {
    /// Where to listen: HTTP/1.1 and h2c on one port.
    #[arg(
        long,
        env = "MCP_PROXY_LISTEN",
        value_name = "ADDR:PORT",
        default_value = "127.0.0.1:8080"
    )]
    listen: String,
    /// The MCP server: its origin, or with a path that is put before each request's. It may be left
    /// out where there is a --mount.
    #[arg(long, env = "MCP_PROXY_UPSTREAM", value_name = "URL")]
    upstream: Option<String>,
    /// One more MCP server, under a path. Repeatable.
    ///
    /// PATH is taken off each request's path before that of URL is put on: with
    /// /git=http://h:1/mcp the request /git is asked as /mcp, and /git/x as /mcp/x. PATH stands for
    /// whole segments, to the letter; of several the longest holds, and what is under none goes to
    /// --upstream, or is answered 404.
    ///
    /// policy, key-map, audience (repeatable, needed) and resource are as the flags --policy,
    /// --key-map-file, --audience and --resource, which speak of --upstream alone; resource defaults
    /// to the first audience if that is a URL, else to http://<listen>PATH. No two servers may share
    /// an audience. All other flags hold for every server; limits count a principal's calls of all
    /// servers together.
    #[arg(
        long,
        env = "MCP_PROXY_MOUNT",
        value_name = "PATH=URL,policy=FILE,key-map=FILE,audience=VALUE,resource=URL"
    )]
    mount: Vec<String>,
    /// Who may issue tokens. Repeatable.
    #[arg(long, env = "MCP_PROXY_ISSUER", value_name = "URL", required = true)]
    issuer: Vec<String>,
    /// Where the issuer's keys are [default: discovered from the issuer].
    #[arg(long, env = "MCP_PROXY_JWKS_URI", value_name = "URL")]
    jwks_uri: Option<String>,
    /// For whom tokens must be issued. Repeatable; needed with --upstream.
    #[arg(long, env = "MCP_PROXY_AUDIENCE", value_name = "VALUE")]
    audience: Vec<String>,
    /// The URL that clients use for this server [default: the first audience if it is a URL, else
    /// http://<listen>/mcp].
    #[arg(long, env = "MCP_PROXY_RESOURCE", value_name = "URL")]
    resource: Option<String>,
    /// A page that may read the answers, by its origin. Repeatable, beside the resource's own and,
    /// where --listen is loopback, every page of this machine.
    #[arg(long, env = "MCP_PROXY_ALLOW_ORIGIN", value_name = "ORIGIN")]
    allow_origin: Vec<String>,
    /// A name under which clients reach this server. Repeatable, beside the resource's own and,
    /// where --listen is loopback, every loopback name.
    #[arg(long, env = "MCP_PROXY_ALLOW_HOST", value_name = "HOST[:PORT]")]
    allow_host: Vec<String>,
    /// Which scopes each tool needs: a JSON file [default: what the key map says].
    #[arg(long, env = "MCP_PROXY_POLICY", value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Which caller has which upstream keys: a JSON file. The variable MCP_PROXY_KEY_MAP can hold
    /// the JSON itself instead.
    ///
    /// A bare name is a user's of that name at any issuer: where there are several, use rules that
    /// match iss.
    #[arg(long, env = "MCP_PROXY_KEY_MAP_FILE", value_name = "FILE")]
    key_map_file: Option<PathBuf>,
    /// An upstream for which no key map is given needs no keys.
    #[arg(long, env = "MCP_PROXY_NO_KEY_MAP", value_parser = Named(BoolishValueParser::new()))]
    no_key_map: bool,
    /// The header of the upstream key; TEMPLATE holds {key} [default TEMPLATE: {key}, for
    /// authorization: Bearer {key}].
    #[arg(
        long,
        env = "MCP_PROXY_KEY_HEADER",
        value_name = "NAME[: TEMPLATE]",
        default_value = "x-api-key"
    )]
    key_header: String,
    /// How many tools/call each principal may send: N/s, N/min or N/h.
    #[arg(long, env = "MCP_PROXY_RATE_LIMIT", value_name = "N/UNIT")]
    rate_limit: Option<String>,
    /// Which tokens are revoked: JSON lines, followed while they grow.
    #[arg(long, env = "MCP_PROXY_REVOCATION_FILE", value_name = "FILE")]
    revocation_file: Option<PathBuf>,
    /// Where several gateways share revocations, limits and sessions: redis://HOST:PORT,
    /// redis+sentinel://HOST:PORT,HOST:PORT/MASTER or redis+cluster://HOST:PORT,HOST:PORT; with
    /// rediss for TLS, USER:PASSWORD@ before the hosts, and /DB behind (of a cluster there is one).
    #[arg(
        long,
        env = "MCP_PROXY_REDIS_URL",
        value_name = "URL",
        value_parser = secret(),
        hide = cfg!(not(feature = "redis"))
    )]
    redis_url: Option<Secret<String>>,
    /// What becomes of requests while Redis cannot tell what is revoked: closed refuses them, open
    /// lets them pass, revoked or not [default: closed].
    #[arg(
        long,
        env = "MCP_PROXY_REVOCATION_ON_ERROR",
        value_name = "closed|open",
        hide = cfg!(not(feature = "redis"))
    )]
    revocation_on_error: Option<String>,
    /// Where the audit events go: JSON lines, appended; - is the standard output. It stays open:
    /// rotate it by copying and cutting it (copytruncate), not by renaming.
    #[arg(long, env = "MCP_PROXY_AUDIT_LOG", value_name = "FILE")]
    audit_log: Option<PathBuf>,
}

/// A wrong flag: one line that names it and never shows a secret.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault(String);

impl Fault {
    pub(crate) fn new(flag: &str, problem: impl fmt::Display) -> Self {
        Self(format!("{flag}: {problem}"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one_line: Vec<_> = self.0.split_whitespace().collect();
        f.write_str(&one_line.join(" "))
    }
}

/// Why the gateway does not start.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It was asked for help or its version: that is the answer, and no fault.
    Help(String),
    Fault(Fault),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Where the key map is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum KeySource {
    None,
    File(PathBuf),
    Environment,
}

impl KeySource {
    /// The file of that name. Who gives the key map itself in its place would read his keys in the
    /// log, where files that cannot be opened are named.
    pub(crate) fn file(path: PathBuf) -> Result<Self, &'static str> {
        let name = path.as_os_str().as_encoded_bytes().trim_ascii_start();
        if name.starts_with(b"{") || name.starts_with(b"[") {
            return Err("is to name a file, and holds JSON");
        }
        Ok(Self::File(path))
    }
}

/// The Redis that several gateways share.
#[derive(Debug)]
#[cfg_attr(not(feature = "redis"), allow(dead_code))]
pub(crate) struct RedisArgs {
    pub(crate) url: Secret<String>,
    /// Lets requests pass while it cannot tell what is revoked.
    pub(crate) fail_open: bool,
}

/// Which pages and names are allowed beside those of the resource.
#[derive(Debug, Default)]
pub(crate) struct Allowed {
    pub(crate) origins: Vec<String>,
    pub(crate) hosts: Vec<String>,
    /// Those of this machine, because nobody else can reach it.
    pub(crate) loopback: bool,
}

/// What the flags say, judged one by one and together. Files and URLs are not opened yet.
#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) listen: SocketAddr,
    /// At least one; that of `--upstream` first.
    pub(crate) servers: Vec<ServerArgs>,
    pub(crate) issuers: Vec<String>,
    pub(crate) jwks_uri: Option<String>,
    pub(crate) allowed: Allowed,
    pub(crate) key_header: KeyHeader,
    pub(crate) rate_limit: Option<Quota>,
    pub(crate) revocation_file: Option<PathBuf>,
    pub(crate) redis: Option<RedisArgs>,
    pub(crate) audit_log: Option<PathBuf>,
}

impl Args {
    /// Reads the flags; `has_key_map` says whether [`KEY_MAP`] is set.
    pub(crate) fn read(
        args: impl IntoIterator<Item = OsString>,
        has_key_map: bool,
    ) -> Result<Self, Refusal> {
        let flags: Flags = parsed(args)?;
        let listen: SocketAddr = flags
            .listen
            .parse()
            .map_err(|_| Fault::new("--listen", "is not ADDR:PORT, as in 127.0.0.1:8080"))?;
        if flags.jwks_uri.is_some() && flags.issuer.len() > 1 {
            return Err(Fault::new(
                "--jwks-uri",
                "goes with one --issuer; the keys of several are discovered",
            )
            .into());
        }
        let mounted = flags
            .mount
            .iter()
            .map(|value| ServerArgs::mounted(value, flags.no_key_map))
            .collect::<Result<Vec<_>, _>>()?;
        let mut servers = Vec::from_iter(main_server(&flags, &mounted, has_key_map)?);
        servers.extend(mounted);
        are_apart(&servers)?;
        let unnamed = servers.iter().find(|server| server.resource.is_none());
        if let (Some(server), false) = (unnamed, listen.ip().is_loopback()) {
            return Err(server
                .place
                .fault(
                    "--resource",
                    "is needed where --listen is not a loopback address: the URL that clients use",
                )
                .into());
        }
        Ok(Self {
            listen,
            servers,
            key_header: key_header(&flags.key_header)?,
            rate_limit: flags.rate_limit.as_deref().map(quota).transpose()?,
            issuers: flags.issuer,
            jwks_uri: flags.jwks_uri,
            allowed: Allowed {
                origins: flags.allow_origin,
                hosts: flags.allow_host,
                loopback: listen.ip().is_loopback(),
            },
            redis: redis(
                flags.redis_url,
                flags.revocation_on_error.as_deref(),
                flags.revocation_file.is_some(),
            )?,
            revocation_file: flags.revocation_file,
            audit_log: flags.audit_log,
        })
    }
}

/// The server of `--upstream`, which may be left out where others are mounted. An audience or a
/// resource then opens nothing; rules that would guard nothing are a fault: whoever wrote them had
/// another server in mind.
fn main_server(
    flags: &Flags,
    mounted: &[ServerArgs],
    has_key_map: bool,
) -> Result<Option<ServerArgs>, Fault> {
    let Some(url) = &flags.upstream else {
        if mounted.is_empty() {
            return Err(Fault::new("--upstream", "is needed, or --mount"));
        }
        for (flag, is_given) in [
            ("--policy", flags.policy.is_some()),
            ("--key-map-file", flags.key_map_file.is_some()),
            (KEY_MAP, has_key_map),
        ] {
            if is_given {
                return Err(Fault::new(
                    flag,
                    "speaks of --upstream, which is not given; each --mount has its own",
                ));
            }
        }
        return Ok(None);
    };
    let upstream = Upstream::from_url(url).map_err(|problem| Fault::new("--upstream", problem))?;
    if flags.audience.is_empty() {
        return Err(Fault::new("--audience", "is needed"));
    }
    // Of a mount without a key map `--no-key-map` speaks too.
    let is_for_a_mount = mounted.iter().any(|server| server.keys == KeySource::None);
    let has_own_keys = has_key_map || flags.key_map_file.is_some();
    let no_key_map = flags.no_key_map && !(is_for_a_mount && has_own_keys);
    Ok(Some(ServerArgs {
        place: Place::MAIN,
        upstream,
        audiences: flags.audience.clone(),
        resource: flags.resource.clone(),
        policy: flags.policy.clone(),
        keys: key_source(flags.key_map_file.clone(), no_key_map, has_key_map)?,
    }))
}

/// Reads flags. What is set in the environment may hold a secret: the help does not show it.
pub(crate) fn parsed<F: Parser>(args: impl IntoIterator<Item = OsString>) -> Result<F, Refusal> {
    let command = F::command().mut_args(|flag| {
        let is_text = flag.get_value_parser().type_id() == TypeId::of::<String>();
        let flag = flag.hide_env_values(true);
        if is_text {
            flag.value_parser(Named(StringValueParser::new()))
        } else {
            flag
        }
    });
    let matches = command.try_get_matches_from(args);
    let flags = matches.and_then(|matches| F::from_arg_matches(&matches));
    flags.map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Refusal::Help(error.to_string()),
        _ => Refusal::Fault(Fault(first_paragraph(&error.to_string()))),
    })
}

/// Reads a value that no error may show.
pub(crate) fn secret() -> impl TypedValueParser<Value = Secret<String>> {
    Named(StringValueParser::new()).map(Secret::new)
}

/// Names the flag whose value is no text, which the parsers' own error does not.
#[derive(Clone)]
struct Named<P>(P);

impl<P: TypedValueParser> TypedValueParser for Named<P> {
    type Value = P::Value;

    fn parse_ref(
        &self,
        command: &Command,
        flag: Option<&Arg>,
        value: &OsStr,
    ) -> Result<P::Value, clap::Error> {
        if value.to_str().is_none() {
            let flag = flag.map(Arg::to_string).unwrap_or_default();
            let error = format!("{flag}: is not UTF-8");
            return Err(clap::Error::raw(ErrorKind::InvalidUtf8, error).with_cmd(command));
        }
        self.0.parse_ref(command, flag, value)
    }
}

fn redis(
    url: Option<Secret<String>>,
    on_error: Option<&str>,
    has_file: bool,
) -> Result<Option<RedisArgs>, Fault> {
    let fail_open = match on_error {
        None | Some("closed") => false,
        Some("open") => true,
        Some(_) => {
            return Err(Fault::new(
                "--revocation-on-error",
                "is neither closed nor open",
            ));
        }
    };
    match url {
        Some(_) if has_file => Err(Fault::new(
            "--revocation-file",
            "is for one gateway: with --redis-url, revocations are on Redis",
        )),
        Some(url) => Ok(Some(RedisArgs { url, fail_open })),
        None if on_error.is_some() => Err(Fault::new(
            "--revocation-on-error",
            "speaks of --redis-url, which is not given",
        )),
        None => Ok(None),
    }
}

/// Of an error of the parser: what is wrong, without the usage and the tips that follow.
fn first_paragraph(error: &str) -> String {
    let paragraph = error.split("\n\n").next().unwrap_or(error);
    paragraph
        .strip_prefix("error: ")
        .unwrap_or(paragraph)
        .to_owned()
}

fn key_source(
    file: Option<PathBuf>,
    no_key_map: bool,
    in_environment: bool,
) -> Result<KeySource, Fault> {
    match (file, no_key_map, in_environment) {
        (Some(file), false, false) => KeySource::file(file).map_err(|problem| {
            Fault::new(
                "--key-map-file",
                format_args!("{problem}, which {KEY_MAP} is for"),
            )
        }),
        (None, false, true) => Ok(KeySource::Environment),
        (None, true, false) => Ok(KeySource::None),
        (None, false, false) => Err(Fault::new(
            "--key-map-file",
            format_args!(
                "is needed, or {KEY_MAP}, or --no-key-map where the upstream needs no keys"
            ),
        )),
        (Some(_), false, true) => Err(Fault::new(
            "--key-map-file",
            format_args!("is given and {KEY_MAP} is set: only one of them can hold"),
        )),
        (_, true, _) => Err(Fault::new(
            "--no-key-map",
            format_args!("contradicts --key-map-file and {KEY_MAP}"),
        )),
    }
}

/// `NAME` or `NAME: TEMPLATE`.
fn key_header(text: &str) -> Result<KeyHeader, Fault> {
    let header: KeyHeader = text
        .parse()
        .map_err(|error| Fault::new("--key-header", error))?;
    if can_hold_a_key(header.name()) {
        Ok(header)
    } else {
        Err(Fault::new(
            "--key-header",
            "names a header that proxies need: no key would get through",
        ))
    }
}

/// `N/s`, `N/min` or `N/h`.
fn quota(text: &str) -> Result<Quota, Fault> {
    let fault = || {
        Fault::new(
            "--rate-limit",
            "is not N/s, N/min or N/h with a whole number N above zero",
        )
    };
    let (n, unit) = text.split_once('/').ok_or_else(fault)?;
    let n: NonZeroU32 = n.parse().map_err(|_| fault())?;
    match unit {
        "s" => Ok(Quota::per_second(n)),
        "min" => Ok(Quota::per_minute(n)),
        "h" => Ok(Quota::per_hour(n)),
        _ => Err(fault()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn rate_limits() {
        let n = |n| NonZeroU32::new(n).unwrap();
        assert_eq!(quota("5/s"), Ok(Quota::per_second(n(5))));
        assert_eq!(quota("60/min"), Ok(Quota::per_minute(n(60))));
        assert_eq!(quota("1/h"), Ok(Quota::per_hour(n(1))));
        for wrong in [
            "",
            "5",
            "0/s",
            "-1/s",
            "5/m",
            "5/ s",
            "5.5/s",
            "99999999999/s",
        ] {
            quota(wrong).unwrap_err();
        }
    }
}
