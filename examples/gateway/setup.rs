//! From flags to the stack around the proxy.

use std::{
    convert::Infallible,
    env,
    fs::{self, File},
    io::{self, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use http::{Request, Response};
use hyper::body::Incoming;
use mcp_auth::{
    AuthBody, AuthStack, Decision, JsonLinesSink, Jwks, JwtValidator, KeyHeader, KeyMap,
    MemoryRateLimitStore, MemoryRevocationStore, Origins, Policy, Quota, RateLimit, RateLimitLayer,
    ResourceMetadata, ScopePolicy, policy_fn,
};
use tokio::net::TcpListener;
use tower::{Layer, util::BoxCloneSyncService};
use zeroize::Zeroizing;

use crate::{
    args::{Allowed, Args, Fault, KEY_MAP, KeySource},
    proxy::{Proxy, ProxyBody},
};

/// The stack around the proxy, whatever its parts.
pub(crate) type GatewayService =
    BoxCloneSyncService<Request<Incoming>, Response<AuthBody<ProxyBody>>, Infallible>;

/// A gateway that is ready to serve.
pub(crate) struct Gateway {
    pub(crate) listener: TcpListener,
    pub(crate) service: GatewayService,
    pub(crate) audit: Option<JsonLinesSink>,
    /// What the operator should know, a line each.
    pub(crate) notices: Vec<&'static str>,
}

/// The rules for callers: texts and values, no files.
pub(crate) struct Rules {
    pub(crate) issuers: Vec<String>,
    pub(crate) jwks_uri: Option<String>,
    pub(crate) audiences: Vec<String>,
    pub(crate) resource: String,
    pub(crate) allowed: Allowed,
    pub(crate) policy: Option<String>,
    pub(crate) keys: Option<KeyText>,
    pub(crate) key_header: KeyHeader,
    pub(crate) rate_limit: Option<Quota>,
}

/// A key map, and the name of the place where it stands.
pub(crate) struct KeyText {
    pub(crate) place: &'static str,
    pub(crate) json: Zeroizing<String>,
}

/// Opens what the flags name. Files are made only once everything else is judged.
pub(crate) async fn open(args: Args) -> Result<Gateway, Fault> {
    let proxy = Proxy::new(args.upstream).map_err(|error| Fault::new("--upstream", error))?;
    let listener = TcpListener::bind(args.listen)
        .await
        .map_err(|error| Fault::new("--listen", error))?;
    let bound = listener
        .local_addr()
        .map_err(|error| Fault::new("--listen", error))?;
    let policy = match &args.policy {
        Some(path) => Some(read("--policy", path)?.as_str().to_owned()),
        None => None,
    };
    let rules = Rules {
        resource: resource(args.resource, &args.audiences, bound),
        allowed: args.allowed,
        policy,
        keys: key_text(args.keys)?,
        issuers: args.issuers.clone(),
        jwks_uri: args.jwks_uri,
        audiences: args.audiences,
        key_header: args.key_header,
        rate_limit: args.rate_limit,
    };
    let stack = rules.into_stack()?;

    let revoked = MemoryRevocationStore::new();
    if let Some(path) = args.revocation_file {
        revoked
            .follow_file(path, args.issuers)
            .map_err(|error| Fault::new("--revocation-file", error))?;
    }
    let audit = args.audit_log.map(audit_sink).transpose()?;
    let mut notices = stack.notices.clone();
    if audit.is_none() {
        notices.push("no audit log is written (--audit-log)");
    }
    Ok(Gateway {
        listener,
        service: stack.around(proxy, revoked, audit.clone()),
        audit,
        notices,
    })
}

/// The canonical resource: as said, else the first audience if it is a URL, else the address.
fn resource(said: Option<String>, audiences: &[String], bound: SocketAddr) -> String {
    let first = audiences
        .first()
        .filter(|audience| audience.starts_with("https://") || audience.starts_with("http://"));
    match (said, first) {
        (Some(resource), _) => resource,
        // An audience without a path may be written with a slash, a resource may not.
        (None, Some(url)) => match url.strip_suffix('/') {
            Some(host) if host.matches('/').count() == 2 => host.to_owned(),
            _ => url.clone(),
        },
        (None, None) => format!("http://{bound}/mcp"),
    }
}

fn read(flag: &str, path: &Path) -> Result<Zeroizing<String>, Fault> {
    fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|error| Fault::new(flag, format_args!("{}: {error}", path.display())))
}

fn key_text(source: KeySource) -> Result<Option<KeyText>, Fault> {
    match source {
        KeySource::None => Ok(None),
        KeySource::File(path) => Ok(Some(KeyText {
            place: "--key-map-file",
            json: read("--key-map-file", &path)?,
        })),
        KeySource::Environment => {
            let json = env::var(KEY_MAP).map_err(|_| Fault::new(KEY_MAP, "is not UTF-8"))?;
            Ok(Some(KeyText {
                place: KEY_MAP,
                json: Zeroizing::new(json),
            }))
        }
    }
}

fn audit_sink(path: PathBuf) -> Result<JsonLinesSink, Fault> {
    let writer: Box<dyn Write + Send> = if path.as_os_str() == "-" {
        Box::new(io::stdout())
    } else {
        let file = File::options()
            .append(true)
            .create(true)
            .open(&path)
            .map_err(|error| {
                Fault::new("--audit-log", format_args!("{}: {error}", path.display()))
            })?;
        Box::new(file)
    };
    JsonLinesSink::new(writer).map_err(|error| Fault::new("--audit-log", error))
}

/// The stack before it stands around anything.
pub(crate) struct Stack {
    base: AuthStack<Jwks>,
    keys: Option<(KeyMap, KeyHeader)>,
    limit: Option<RateLimitLayer<MemoryRateLimitStore>>,
    jwks: Jwks,
    notices: Vec<&'static str>,
}

impl Rules {
    /// Judges the rules.
    pub(crate) fn into_stack(self) -> Result<Stack, Fault> {
        let validator = validator(&self.issuers, &self.audiences)?;
        let jwks = jwks(&self.issuers, self.jwks_uri.as_deref())?;
        let metadata = ResourceMetadata::new(&self.resource, &self.issuers)
            .map_err(|error| Fault::new("--resource", error))?;
        let origins = origins(&metadata, &self.allowed)?;
        let policy = self
            .policy
            .map(|json| ScopePolicy::from_json(&json))
            .transpose()
            .map_err(|error| Fault::new("--policy", error))?;
        let keys = self
            .keys
            .map(|text| {
                KeyMap::from_json(&text.json).map_err(|error| Fault::new(text.place, error))
            })
            .transpose()?;

        let keys = match (&policy, keys) {
            (Some(policy), Some(keys)) => Some(keys.with_hierarchy(policy.hierarchy().clone())),
            (_, keys) => keys,
        };
        let mut notices = Vec::new();
        let policy: Arc<dyn Policy> = match (policy, &keys) {
            (Some(policy), _) => Arc::new(policy),
            (None, Some(keys)) => {
                notices.push(
                    "no policy (--policy): tools are not told apart; \
                     a caller needs a mapped key and one of its scopes",
                );
                Arc::new(keys.scope_policy())
            }
            (None, None) => {
                notices.push("no policy (--policy), no key map: any valid token may do anything");
                Arc::new(policy_fn(|_| Decision::allow()))
            }
        };
        Ok(Stack {
            base: AuthStack::new(validator, jwks.clone(), metadata, policy).with_origins(origins),
            jwks,
            notices,
            keys: keys.map(|keys| (keys, self.key_header)),
            limit: self.rate_limit.map(|quota| {
                let limit = RateLimit::new("tools", quota);
                RateLimitLayer::new(MemoryRateLimitStore::new(), limit)
            }),
        })
    }
}

impl Stack {
    /// Puts the stack around the proxy, and begins to fetch keys, so that no caller waits for them.
    pub(crate) fn around(
        self,
        proxy: Proxy,
        revoked: MemoryRevocationStore,
        audit: Option<JsonLinesSink>,
    ) -> GatewayService {
        self.jwks.start();
        let mut stack = self.base.with_revocation(revoked);
        if let Some(sink) = audit {
            stack = stack.with_audit(sink);
        }
        // A part that is left out is another type of stack.
        match (self.limit, self.keys) {
            (None, None) => boxed(stack.layer(proxy)),
            (Some(limit), None) => boxed(stack.with_rate_limit(limit).layer(proxy)),
            (None, Some((keys, header))) => {
                boxed(stack.with_upstream_keys(keys, header).layer(proxy))
            }
            (Some(limit), Some((keys, header))) => boxed(
                stack
                    .with_rate_limit(limit)
                    .with_upstream_keys(keys, header)
                    .layer(proxy),
            ),
        }
    }
}

fn boxed<S>(service: S) -> GatewayService
where
    S: tower::Service<
            Request<Incoming>,
            Response = Response<AuthBody<ProxyBody>>,
            Error = Infallible,
            Future: Send + 'static,
        > + Clone
        + Send
        + Sync
        + 'static,
{
    BoxCloneSyncService::new(service)
}

/// Which hosts and origins are answered.
fn origins(metadata: &ResourceMetadata, allowed: &Allowed) -> Result<Origins, Fault> {
    let mut origins = Origins::exactly(metadata);
    if allowed.loopback {
        origins = origins.allow_loopback();
    }
    for origin in &allowed.origins {
        origins = origins
            .allow_origin(origin)
            .map_err(|error| Fault::new("--allow-origin", error))?;
    }
    for host in &allowed.hosts {
        origins = origins
            .allow_host(host)
            .map_err(|error| Fault::new("--allow-host", error))?;
    }
    Ok(origins)
}

/// The keys of each issuer. The issuers were judged before.
fn jwks(issuers: &[String], jwks_uri: Option<&str>) -> Result<Jwks, Fault> {
    let mut all: Option<Jwks> = None;
    for issuer in issuers {
        let jwks = match jwks_uri {
            Some(uri) => {
                Jwks::new(&**issuer, uri).map_err(|error| Fault::new("--jwks-uri", error))?
            }
            None => Jwks::discover(&**issuer).map_err(|error| Fault::new("--issuer", error))?,
        };
        all = Some(match all {
            Some(others) => others
                .and(jwks)
                .map_err(|error| Fault::new("--issuer", error))?,
            None => jwks,
        });
    }
    all.ok_or_else(|| Fault::new("--issuer", "is needed"))
}

fn validator(issuers: &[String], audiences: &[String]) -> Result<JwtValidator, Fault> {
    let (issuer, more_issuers) = issuers
        .split_first()
        .ok_or_else(|| Fault::new("--issuer", "is needed"))?;
    let (audience, more_audiences) = audiences
        .split_first()
        .ok_or_else(|| Fault::new("--audience", "is needed"))?;
    if audiences.iter().any(String::is_empty) {
        return Err(Fault::new("--audience", "must not be empty"));
    }
    let mut validator =
        JwtValidator::new(issuer, audience).map_err(|error| Fault::new("--issuer", error))?;
    for issuer in more_issuers {
        validator = validator
            .with_issuer(issuer)
            .map_err(|error| Fault::new("--issuer", error))?;
    }
    for audience in more_audiences {
        validator = validator
            .with_audience(audience)
            .map_err(|error| Fault::new("--audience", error))?;
    }
    Ok(validator)
}
