//! Swaps the caller's identity for the key that the service behind understands.
//!
//! # Example
//!
//! ```
//! use mcp_auth::{KeyMapLayer, UpstreamKey, UpstreamKeyId, key_store_fn};
//!
//! let key = UpstreamKey::new("shared", "k-1")?;
//! let keys = key_store_fn(move |_: UpstreamKeyId| {
//!     let key = key.clone();
//!     async move { Ok(Some(key)) }
//! });
//! let layer = KeyMapLayer::new(keys);
//! # let _ = layer;
//! # Ok::<(), mcp_auth::ConfigError>(())
//! ```
//!
//! # Rules
//!
//! 1. Needs a `VerifiedToken`. The store is told the token, the `McpRequest` and the
//!    [`Grant`](crate::Grant) that the layers in front left.
//! 2. No key: 403 without a challenge. A store that cannot answer: 503.
//! 3. Whether or not a key is injected, these never pass from the client, under any alias (`_`, `.`
//!    or another sign for `-`, a leading `http-`, a doubled `x-`, a trailing `-`): `Authorization`,
//!    `Proxy-Authorization`, the key's header, every `x-mcp-*-authorization`, the identity headers
//!    of proxies, and headers that name another method (`X-HTTP-Method-Override`). `Connection` and
//!    what it names are removed too, so that no hop behind can be told to drop the key; where it
//!    names `Mcp-Session-Id`, `Last-Event-ID` goes as well.
//! 4. On the way back no header and no trailer holds the injected key; `WWW-Authenticate` is
//!    removed, and a 401 becomes 502: clients would take both for ours, and log in again in vain.
//!    [`with_upstream_challenges`](KeyMapLayer::with_upstream_challenges) lets both pass.

mod body;
mod gate;
mod guard;
mod header;
mod layer;
mod service;
mod strip;

pub use self::{body::KeyMapBody, header::KeyHeader, layer::KeyMapLayer, service::KeyMapService};
pub(crate) use self::{gate::judge, layer::Config};
