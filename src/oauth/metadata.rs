//! The document by which clients find the authorization server (RFC 9728).

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::{error::ConfigError, oauth::url, token::Scope};

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The protected resource metadata of one MCP endpoint (RFC 9728).
///
/// Everything in it comes from here: no part of a request finds its way in.
///
/// ```
/// use mcp_auth::ResourceMetadata;
///
/// let metadata = ResourceMetadata::new("https://mcp.example.com/mcp", ["https://idp.example.com"])?;
/// assert_eq!(
///     metadata.url(),
///     "https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
/// );
/// # Ok::<(), mcp_auth::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ResourceMetadata {
    resource: String,
    url: String,
    path: String,
    has_root_alias: bool,
    document: Map<String, Value>,
}

impl ResourceMetadata {
    /// Metadata of `resource`, the URL that users type, whose tokens the `authorization_servers`
    /// (at least one issuer) give out.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where the resource is no plain absolute URL or ends with a slash (clients
    /// compare it with what was typed), or where no authorization server, or one that is neither
    /// `https` nor on this machine, is named.
    pub fn new<I>(resource: &str, authorization_servers: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let parsed = url::parse("the resource", resource)?;
        if resource.ends_with('/') {
            return Err(ConfigError::new(format!(
                "the resource {resource:?} ends with a slash, which clients do not match"
            )));
        }
        let mut servers = Vec::new();
        for server in authorization_servers {
            let server = server.as_ref();
            url::parse_issuer(server)?;
            servers.push(Value::from(server));
        }
        if servers.is_empty() {
            return Err(ConfigError::new("no authorization server is named"));
        }

        let inserted = parsed.path().trim_end_matches('/');
        let path = format!("{WELL_KNOWN}{inserted}");
        let origin = resource.strip_suffix(inserted).unwrap_or(resource);
        let mut document = Map::new();
        document.insert("resource".into(), resource.into());
        document.insert("authorization_servers".into(), servers.into());
        document.insert("bearer_methods_supported".into(), vec!["header"].into());
        Ok(Self {
            resource: resource.into(),
            url: format!("{origin}{path}"),
            path,
            has_root_alias: true,
            document,
        })
    }

    /// Lists the scopes that everything needs (`scopes_supported`). Clients ask for them all, so it
    /// is the base, not the catalogue. `offline_access` is left out.
    #[must_use]
    pub fn with_scopes_supported(mut self, scopes: &Scope) -> Self {
        let scopes: Vec<&str> = scopes
            .iter()
            .map(AsRef::as_ref)
            .filter(|scope| *scope != "offline_access")
            .collect();
        if !scopes.is_empty() {
            self.document
                .insert("scopes_supported".into(), scopes.into());
        }
        self
    }

    /// Adds a name for people (`resource_name`).
    #[must_use]
    pub fn with_resource_name(mut self, name: impl Into<String>) -> Self {
        self.document
            .insert("resource_name".into(), Value::String(name.into()));
        self
    }

    /// Serves the document at its own path only, not at the root too: for a host with several
    /// resources.
    #[must_use]
    pub const fn without_root_alias(mut self) -> Self {
        self.has_root_alias = false;
        self
    }

    /// The resource, as users type it.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// Where clients find the document: the well-known path inserted before the resource's own
    /// (RFC 9728 section 3.1).
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The path of [`url`](Self::url): where a router finds the document.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The document.
    #[must_use]
    pub fn to_json(&self) -> Bytes {
        Value::Object(self.document.clone()).to_string().into()
    }

    /// Whether the document stands at this path of a request.
    #[must_use]
    pub fn is_at(&self, path: &str) -> bool {
        path == self.path || (self.has_root_alias && path == WELL_KNOWN)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const IDP: [&str; 1] = ["https://idp.example"];

    #[test]
    fn the_well_known_path_is_inserted() {
        for (resource, url) in [
            (
                "https://h/mcp",
                "https://h/.well-known/oauth-protected-resource/mcp",
            ),
            (
                "https://h:8443/a/b",
                "https://h:8443/.well-known/oauth-protected-resource/a/b",
            ),
            (
                "https://h",
                "https://h/.well-known/oauth-protected-resource",
            ),
        ] {
            let metadata = ResourceMetadata::new(resource, IDP).unwrap();
            assert_eq!(metadata.url(), url);
            assert!(url.ends_with(metadata.path()) && metadata.path().starts_with("/.well"));
        }
    }

    #[test]
    fn only_the_two_paths_are_public() {
        let metadata = ResourceMetadata::new("https://h/mcp", IDP).unwrap();
        assert!(metadata.is_at("/.well-known/oauth-protected-resource/mcp"));
        assert!(metadata.is_at("/.well-known/oauth-protected-resource"));
        for other in [
            "/.well-known/oauth-protected-resource/",
            "/.well-known/oauth-protected-resource/mcp/",
            "/.well-known/../mcp",
            "/.WELL-KNOWN/oauth-protected-resource/mcp",
            "/mcp",
        ] {
            assert!(!metadata.is_at(other), "{other}");
        }
        let one_of_many = metadata.without_root_alias();
        assert!(!one_of_many.is_at("/.well-known/oauth-protected-resource"));
    }

    #[test]
    fn the_document_says_what_it_must() {
        let metadata = ResourceMetadata::new("https://h/mcp", IDP)
            .unwrap()
            .with_scopes_supported(&"read:data offline_access".parse().unwrap());
        let document: Value = serde_json::from_slice(&metadata.to_json()).unwrap();
        assert_eq!(
            document,
            serde_json::json!({
                "resource": "https://h/mcp",
                "authorization_servers": ["https://idp.example"],
                "bearer_methods_supported": ["header"],
                "scopes_supported": ["read:data"],
            })
        );
    }

    #[test]
    fn what_clients_would_refuse_is_refused() {
        assert!(ResourceMetadata::new("https://h/mcp/", IDP).is_err());
        assert!(ResourceMetadata::new("https://h/mcp", ["http://idp.example"]).is_err());
        assert!(ResourceMetadata::new("https://h/mcp", [""; 0]).is_err());
    }
}
