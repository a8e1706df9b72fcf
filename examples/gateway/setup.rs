//! From flags to the stack around the proxy.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    env,
    fs::{self, File},
    future::ready,
    io::{self, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use http::{Request, Response, Uri};
use hyper::body::Incoming;
use mcp_auth::{
    AuditLogLayer, AuthBody, AuthStack, Decision, JsonLinesSink, Jwks, JwtValidator, KeyHeader,
    KeyMap, MemoryRevocationStore, Origins, Policy, Quota, RateLimit, RateLimitLayer, Rejection,
    ResourceMetadata, RevocationLayer, ScopePolicy, policy_fn,
};
use tokio::net::TcpListener;
use tower::{Layer, service_fn, util::BoxCloneSyncService};
use zeroize::Zeroizing;

use crate::{
    args::{Allowed, Args, Fault, KEY_MAP, KeySource},
    mount::Place,
    proxy::{Proxy, ProxyBody},
    router::{Route, Router},
    stores::{Counts, Revocations, Stores},
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
    pub(crate) notices: Vec<String>,
}

/// What holds for every server behind the gateway.
pub(crate) struct Shared {
    issuers: Vec<String>,
    jwks: Jwks,
    allowed: Allowed,
    key_header: KeyHeader,
    /// Keeps one count for each principal, whichever server it calls.
    limit: Option<RateLimitLayer<Counts>>,
    stores: Stores,
    revocation: RevocationLayer<Revocations>,
}

/// The rules for callers of one server: texts and values, no files.
pub(crate) struct Rules {
    pub(crate) place: Place,
    pub(crate) audiences: Vec<String>,
    pub(crate) resource: String,
    /// No other server has its metadata at the root of the host.
    pub(crate) is_alone: bool,
    pub(crate) policy: Option<String>,
    pub(crate) keys: Option<KeyText>,
}

/// A key map, and the name of the place where it stands.
pub(crate) struct KeyText {
    pub(crate) flag: &'static str,
    pub(crate) json: Zeroizing<String>,
}

/// Opens what the flags name. Files are made only once everything else is judged.
pub(crate) async fn open(args: Args) -> Result<Gateway, Fault> {
    let listener = TcpListener::bind(args.listen)
        .await
        .map_err(|error| Fault::new("--listen", error))?;
    let bound = listener
        .local_addr()
        .map_err(|error| Fault::new("--listen", error))?;
    let revoked = MemoryRevocationStore::new();
    let stores = match &args.redis {
        Some(redis) => Stores::on_redis(redis)?,
        None => Stores::in_memory(revoked.clone()),
    };
    let mut shared = Shared::new(
        stores,
        args.issuers,
        args.jwks_uri.as_deref(),
        args.allowed,
        args.key_header,
    )?;
    if let Some(quota) = args.rate_limit {
        shared.limit_calls(quota);
    }
    if args.redis.is_some_and(|redis| redis.fail_open) {
        shared.fail_open();
    }
    let is_alone = args.servers.len() == 1;
    let mut stacks = Vec::new();
    for server in args.servers {
        let proxy =
            Proxy::new(server.upstream).map_err(|error| server.place.fault("--upstream", error))?;
        let rules = Rules {
            resource: resource(&server.place, server.resource, &server.audiences, bound),
            policy: match &server.policy {
                Some(path) => Some(read(&server.place, "--policy", path)?.as_str().to_owned()),
                None => None,
            },
            keys: key_text(&server.place, server.keys)?,
            place: server.place,
            audiences: server.audiences,
            is_alone,
        };
        stacks.push((rules.into_stack(&shared)?, proxy));
    }
    are_described_apart(stacks.iter().map(|(stack, _)| stack))?;

    if let Some(path) = args.revocation_file {
        revoked
            .follow_file(path, shared.issuers.clone())
            .map_err(|error| Fault::new("--revocation-file", error))?;
    }
    let audit = args.audit_log.map(audit_sink).transpose()?;
    let mut notices: Vec<_> = stacks
        .iter()
        .filter_map(|(stack, _)| stack.notice.clone())
        .collect();
    if audit.is_none() {
        notices.push("no audit log is written (--audit-log)".to_owned());
    }
    Ok(Gateway {
        listener,
        service: shared.route(stacks, audit.as_ref()),
        audit,
        notices,
    })
}

/// The canonical resource: as said, else the first audience if it is a URL, else the address.
fn resource(
    place: &Place,
    said: Option<String>,
    audiences: &[String],
    bound: SocketAddr,
) -> String {
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
        (None, None) => format!("http://{bound}{}", place.path().unwrap_or("/mcp")),
    }
}

/// Whether each server has a place of its own for its metadata. The host does not tell them apart:
/// what stands in front of the gateway may rewrite it.
fn are_described_apart<'a>(stacks: impl Iterator<Item = &'a Stack>) -> Result<(), Fault> {
    let mut paths = BTreeSet::new();
    for stack in stacks {
        let url: Uri = stack.metadata.url().parse().unwrap_or_default();
        if !paths.insert(url.path().to_owned()) {
            return Err(stack.place.fault(
                "--resource",
                format_args!(
                    "has the path of another server's resource: both would be described at {}",
                    url.path()
                ),
            ));
        }
    }
    Ok(())
}

fn read(place: &Place, flag: &str, path: &Path) -> Result<Zeroizing<String>, Fault> {
    fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|error| place.fault(flag, format_args!("{}: {error}", path.display())))
}

fn key_text(place: &Place, source: KeySource) -> Result<Option<KeyText>, Fault> {
    match source {
        KeySource::None => Ok(None),
        KeySource::File(path) => Ok(Some(KeyText {
            flag: "--key-map-file",
            json: read(place, "--key-map-file", &path)?,
        })),
        KeySource::Environment => {
            let json = env::var(KEY_MAP).map_err(|_| Fault::new(KEY_MAP, "is not UTF-8"))?;
            Ok(Some(KeyText {
                flag: KEY_MAP,
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

/// The stack of one server, before it stands around anything.
pub(crate) struct Stack {
    place: Place,
    metadata: ResourceMetadata,
    base: AuthStack<Jwks>,
    keys: Option<KeyMap>,
    notice: Option<String>,
}

impl Rules {
    /// Judges the rules.
    pub(crate) fn into_stack(self, shared: &Shared) -> Result<Stack, Fault> {
        let place = self.place;
        let validator = validator(&place, &shared.issuers, &self.audiences)?;
        let mut metadata = ResourceMetadata::new(&self.resource, &shared.issuers)
            .map_err(|error| place.fault("--resource", error))?;
        if !self.is_alone {
            metadata = metadata.without_root_alias();
        }
        let origins = origins(&metadata, &shared.allowed)?;
        let policy = self
            .policy
            .map(|json| ScopePolicy::from_json(&json))
            .transpose()
            .map_err(|error| place.fault("--policy", error))?;
        let keys = self
            .keys
            .map(|text| {
                KeyMap::from_json(&text.json).map_err(|error| place.fault(text.flag, error))
            })
            .transpose()?;

        let keys = match (&policy, keys) {
            (Some(policy), Some(keys)) => Some(keys.with_hierarchy(policy.hierarchy().clone())),
            (_, keys) => keys,
        };
        let (policy, notice): (Arc<dyn Policy>, _) = match (policy, &keys) {
            (Some(policy), _) => (Arc::new(policy), None),
            (None, Some(keys)) => (
                Arc::new(keys.scope_policy()),
                Some(
                    ": tools are not told apart; a caller needs a mapped key and one of its scopes",
                ),
            ),
            (None, None) => (
                Arc::new(policy_fn(|_| Decision::allow())),
                Some(", no key map: any valid token may do anything"),
            ),
        };
        let base = AuthStack::new(validator, shared.jwks.clone(), metadata.clone(), policy);
        Ok(Stack {
            notice: notice.map(|what| place.notice("--policy", what)),
            base: base.with_origins(origins),
            place,
            metadata,
            keys,
        })
    }
}

impl Shared {
    /// Judges what holds for every server.
    pub(crate) fn new(
        stores: Stores,
        issuers: Vec<String>,
        jwks_uri: Option<&str>,
        allowed: Allowed,
        key_header: KeyHeader,
    ) -> Result<Self, Fault> {
        Ok(Self {
            jwks: jwks(&issuers, jwks_uri)?,
            issuers,
            allowed,
            key_header,
            limit: None,
            revocation: RevocationLayer::new(stores.revocations.clone()),
            stores,
        })
    }

    /// Lets each principal call so many tools.
    pub(crate) fn limit_calls(&mut self, quota: Quota) {
        let limit = RateLimit::new("tools", quota);
        self.limit = Some(RateLimitLayer::new(self.stores.counts.clone(), limit));
    }

    /// Lets requests pass while nobody can tell what is revoked.
    fn fail_open(&mut self) {
        self.revocation = self.revocation.clone().dangerous_fail_open();
    }

    /// Puts each stack around its proxy, and begins to fetch keys, so that no caller waits for
    /// them.
    pub(crate) fn route(
        &self,
        stacks: Vec<(Stack, Proxy)>,
        audit: Option<&JsonLinesSink>,
    ) -> GatewayService {
        self.jwks.start();
        let routes = stacks.into_iter().map(|(stack, proxy)| Route {
            place: stack.place.clone(),
            metadata: stack.metadata.clone(),
            service: self.around(stack, proxy, audit),
        });
        boxed(Router::new(routes.collect(), nowhere(audit)))
    }

    fn around(&self, stack: Stack, proxy: Proxy, audit: Option<&JsonLinesSink>) -> GatewayService {
        let mut base = stack
            .base
            .with_revocation_layer(self.revocation.clone())
            .with_sessions(self.stores.sessions());
        if let Some(sink) = audit {
            base = base.with_audit(sink.clone());
        }
        let header = self.key_header.clone();
        // A part that is left out is another type of stack.
        match (self.limit.clone(), stack.keys) {
            (None, None) => boxed(base.layer(proxy)),
            (Some(limit), None) => boxed(base.with_rate_limit(limit).layer(proxy)),
            (None, Some(keys)) => boxed(base.with_upstream_keys(keys, header).layer(proxy)),
            (Some(limit), Some(keys)) => boxed(
                base.with_rate_limit(limit)
                    .with_upstream_keys(keys, header)
                    .layer(proxy),
            ),
        }
    }
}

/// Answers where no server stands.
fn nowhere(audit: Option<&JsonLinesSink>) -> GatewayService {
    let service =
        service_fn(|_: Request<Incoming>| ready(Ok(Rejection::not_found().into_response())));
    match audit {
        Some(sink) => boxed(AuditLogLayer::new(sink.clone()).layer(service)),
        None => boxed(service),
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

fn validator(
    place: &Place,
    issuers: &[String],
    audiences: &[String],
) -> Result<JwtValidator, Fault> {
    let (issuer, more_issuers) = issuers
        .split_first()
        .ok_or_else(|| Fault::new("--issuer", "is needed"))?;
    let (audience, more_audiences) = audiences
        .split_first()
        .ok_or_else(|| place.fault("--audience", "is needed"))?;
    if audiences.iter().any(String::is_empty) {
        return Err(place.fault("--audience", "must not be empty"));
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
            .map_err(|error| place.fault("--audience", error))?;
    }
    Ok(validator)
}
