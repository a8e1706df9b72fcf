//! From the rules for callers to the stacks around the servers, and one service of them all.

use std::{collections::BTreeSet, convert::Infallible, future::ready, sync::Arc};

use http::{Request, Response, Uri};
use mcp_auth::{
    AuditLogLayer, AuthBody, AuthStack, Decision, JsonLinesSink, Jwks, JwtValidator, KeyHeader,
    KeyMap, KeyMapLayer, Off, Origins, Policy, Quota, RateLimit, RateLimitLayer, Rejection,
    ResourceMetadata, RevocationLayer, ScopePolicy, policy_fn,
};
use tower::{Layer, service_fn, util::BoxCloneSyncService};
use zeroize::Zeroizing;

use crate::{
    args::{Allowed, Fault},
    linger::Lingering,
    mount::Place,
    proxy::{Proxy, ProxyBody},
    router::{Route, Router},
    stores::{Counts, Revocations, Stores},
};

/// The stack around one proxy, whatever its parts.
pub(crate) type GatewayService =
    BoxCloneSyncService<Request<Lingering>, Response<AuthBody<ProxyBody>>, Infallible>;

/// What holds for every server behind the gateway.
pub(crate) struct Shared {
    pub(crate) issuers: Vec<String>,
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

/// The stack of one server, before it stands around anything.
pub(crate) struct Stack {
    place: Place,
    metadata: ResourceMetadata,
    base: AuthStack<Jwks>,
    keys: Option<KeyMap>,
    /// What the operator should know.
    pub(crate) notice: Option<String>,
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
    pub(crate) fn fail_open(&mut self) {
        self.revocation = self.revocation.clone().dangerous_fail_open();
    }

    /// Puts each stack around its proxy, and begins to fetch keys, so that no caller waits for
    /// them.
    pub(crate) fn route(
        &self,
        stacks: Vec<(Stack, Proxy)>,
        audit: Option<&JsonLinesSink>,
    ) -> Router<GatewayService> {
        self.jwks.start();
        let routes = stacks.into_iter().map(|(stack, proxy)| Route {
            place: stack.place.clone(),
            metadata: stack.metadata.clone(),
            service: self.around(stack, proxy, audit),
        });
        Router::new(routes.collect(), nowhere(audit))
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
        let no_keys = KeyMapLayer::<Off>::without_keys().with_header(header.clone());
        let base = base.with_upstream_keys_layer(no_keys);
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

/// Whether each server has a place of its own for its metadata. The host does not tell them apart:
/// what stands in front of the gateway may rewrite it.
pub(crate) fn are_described_apart<'a>(
    stacks: impl Iterator<Item = &'a Stack>,
) -> Result<(), Fault> {
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

/// Answers where no server stands.
fn nowhere(audit: Option<&JsonLinesSink>) -> GatewayService {
    let service =
        service_fn(|_: Request<Lingering>| ready(Ok(Rejection::not_found(None).into_response())));
    match audit {
        Some(sink) => boxed(AuditLogLayer::new(sink.clone()).layer(service)),
        None => boxed(service),
    }
}

fn boxed<S>(service: S) -> GatewayService
where
    S: tower::Service<
            Request<Lingering>,
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
