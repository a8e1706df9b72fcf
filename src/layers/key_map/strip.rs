//! Which headers of a client never pass.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, header};

use crate::layers::shared::{has_other_hyphens, with_hyphens};

/// Headers by which proxies tell a service who is calling. Whoever can send one is that somebody.
const IDENTITY: [&str; 21] = [
    "client-cert",
    "client-cert-chain",
    "forwarded-user",
    "teleport-jwt-assertion",
    "x-access-token",
    "x-apigateway-api-userinfo",
    "x-arr-clientcert",
    "x-authorization",
    "x-endpoint-api-userinfo",
    "x-forwarded-access-token",
    "x-forwarded-authorization",
    "x-forwarded-client-cert",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-forwarded-user",
    "x-id-token",
    "x-jwt-payload",
    "x-serverless-authorization",
    "x-user",
    "x-userinfo",
];

/// The same for whole families.
const IDENTITY_PREFIXES: [&str; 27] = [
    "cf-access-",
    "impersonate-",
    "iv-",
    "oidc-",
    "remote-",
    "shib-",
    "sm-universalid",
    "sm-user",
    "ssl-client-",
    "tailscale-",
    "x-amzn-oidc-",
    "x-appengine-user-",
    "x-auth-",
    "x-authenticated-",
    "x-authentik-",
    "x-client-cert",
    "x-consumer-",
    "x-credential-",
    "x-goog-authenticated-user-",
    "x-goog-iap-jwt-assertion",
    "x-ms-client-principal",
    "x-ms-token-",
    "x-pomerium-",
    "x-remote-",
    "x-ssl-client-",
    "x-vouch-",
    "x-webauth-",
];

/// Headers by which some servers take a POST for another method than the one that was judged.
const METHOD: [&str; 3] = [
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
];

/// How all of these begin, and what else is always forbidden.
const fn begins_as_forbidden(name: &[u8]) -> bool {
    matches!(
        name,
        [
            b'a' | b'c' | b'f' | b'i' | b'o' | b'p' | b'r' | b's' | b't' | b'x',
            ..
        ]
    )
}

/// The longest name that passes: a longer one could be an alias without end.
const LONGEST: usize = 256;

/// Removes everything from a request that could pass for an identity, a key or another method, and
/// `Connection` with all that it names. `key_header` is the canonical name of the header of the key.
pub(super) fn strip(headers: &mut HeaderMap, key_header: &str) {
    let mut doomed: Vec<HeaderName> = Vec::new();
    for name in headers.keys() {
        if *name == header::CONNECTION {
            for field in headers.get_all(name) {
                let names = field.to_str().unwrap_or_default().split(',');
                doomed.extend(names.filter_map(|name| HeaderName::try_from(name.trim()).ok()));
            }
            // What is asked of a session would else be asked of nobody's.
            if doomed.iter().any(|name| name == "mcp-session-id") {
                doomed.push(HeaderName::from_static("last-event-id"));
            }
            doomed.push(header::CONNECTION);
        } else if is_forbidden(name, key_header) {
            doomed.push(name.clone());
        }
    }
    for name in doomed {
        headers.remove(name);
    }
}

fn is_forbidden(name: &HeaderName, key_header: &str) -> bool {
    // These stand in every request, and are no alias of anything.
    let is_usual = matches!(
        *name,
        header::ACCEPT
            | header::ACCEPT_ENCODING
            | header::CONTENT_LENGTH
            | header::CONTENT_TYPE
            | header::HOST
            | header::USER_AGENT
    );
    let name = name.as_str();
    if is_usual {
        return name == key_header;
    }
    if name.len() > LONGEST {
        return true;
    }
    let name = &*canonical(name);
    if name == key_header {
        return true;
    }
    begins_as_forbidden(name.as_bytes())
        && (matches!(name, "authorization" | "proxy-authorization")
            || (name.starts_with("x-mcp-") && name.ends_with("-authorization"))
            || IDENTITY.contains(&name)
            || METHOD.contains(&name)
            || IDENTITY_PREFIXES
                .iter()
                .any(|prefix| name.starts_with(prefix)))
}

/// The name that servers which cannot tell the aliases apart would see: `-` for `_` and `.` and their
/// like, without leading `http-`, with a single leading `x-`, without trailing `-`.
pub(super) fn canonical(name: &str) -> Cow<'_, str> {
    let is_alias = has_other_hyphens(name)
        || name.starts_with("http-")
        || name.starts_with("x-x-")
        || name.ends_with('-');
    if !is_alias {
        return Cow::Borrowed(name);
    }
    let name = with_hyphens(name);
    let mut name = name.trim_start_matches("http-").trim_end_matches('-');
    while name.starts_with("x-x-") {
        name = name.strip_prefix("x-").unwrap_or(name);
    }
    Cow::Owned(name.into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::KeyHeader;

    fn passes(name: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::try_from(name).unwrap(), "x".parse().unwrap());
        strip(&mut headers, "x-api-key");
        !headers.is_empty()
    }

    #[test]
    fn nothing_that_is_forbidden_begins_otherwise() {
        let credentials = ["authorization", "proxy-authorization", "x-mcp-"];
        for name in IDENTITY
            .iter()
            .chain(&IDENTITY_PREFIXES)
            .chain(&METHOD)
            .chain(&credentials)
        {
            assert!(begins_as_forbidden(name.as_bytes()), "{name}");
        }
        let mut headers = HeaderMap::new();
        for name in ["key", "key_", "kind", "http_key", "x-x-key", "mcp-key"] {
            headers.insert(HeaderName::try_from(name).unwrap(), "x".parse().unwrap());
        }
        strip(&mut headers, "key");
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["kind", "mcp-key", "x-x-key"]);
    }

    #[test]
    fn a_key_header_of_any_name_has_its_aliases_removed() {
        let long = "m".repeat(LONGEST + 1);
        for (key_header, alias) in [("-key", "_key"), ("_key", "_key"), (&*long, &*long)] {
            let mut headers = HeaderMap::new();
            headers.insert(HeaderName::try_from(alias).unwrap(), "x".parse().unwrap());
            strip(
                &mut headers,
                KeyHeader::new(key_header).unwrap().canonical(),
            );
            assert!(headers.is_empty(), "{key_header}");
        }
    }

    #[test]
    fn no_alias_of_a_credential_passes() {
        for name in [
            "Authorization",
            "authorization_",
            "http_authorization",
            "HTTP-HTTP-Authorization",
            "proxy-authorization",
            "X-API-Key",
            "x_api_key",
            "x-x-api-key",
            "x-x-x-api_key--",
            "x.api.key",
            "http~x|api!key.",
            "X~Forwarded!User",
            "remote.user",
            "http-x-api-key",
            "x-mcp-notes-authorization",
            "x_mcp_notes_authorization_",
            "x-forwarded-user",
            "X_Forwarded_User",
            "x-auth-request-email",
            "x-ms-client-principal-id",
            "remote_user",
            "Remote-Groups",
            "x-remote-extra-scopes",
            "X-Pomerium-Claim-Email",
            "impersonate-user",
            "SSL_CLIENT_S_DN",
            "x-goog-iap-jwt-assertion",
            "client-cert",
            "OIDC_CLAIM_sub",
            "oidc-access-token",
            "iv-user",
            "SM_USER",
            "sm-universalid",
            "x-apigateway-api-userinfo",
            "x-appengine-user-email",
            "x-endpoint-api-userinfo",
            "x-forwarded-authorization",
            "x-ms-token-aad-id-token",
            "x-serverless-authorization",
            "x-userinfo",
            "X-ID-Token",
            "x-auth-user",
            "X-Auth-Email",
            "X-Credential-Identifier",
            "teleport-jwt-assertion",
            "Shib-Identity-Provider",
            "connection",
        ] {
            assert!(!passes(name), "{name}");
        }
        let long = |text: &str| text.repeat(300);
        for name in [
            format!("x-mcp-{}-authorization", long("n")),
            format!("authorization{}", long("-")),
            format!("x-api-key{}", long("_")),
            format!("{}x-api-key", long("x-")),
            format!("{}authorization", long("http-")),
            format!("x-auth-request-{}", long("n")),
        ] {
            assert!(!passes(&name), "{name}");
        }
        for name in [
            "accept",
            "mcp-session-id",
            "mcp-param-region",
            "x-request-id",
            "x-api-key-id",
            "traceparent",
            "user-agent",
        ] {
            assert!(passes(name), "{name}");
        }
    }

    #[test]
    fn no_other_method_is_named() {
        for name in [
            "x-http-method-override",
            "X_HTTP_Method_Override",
            "x-http-method",
            "x-method-override",
        ] {
            assert!(!passes(name), "{name}");
        }
    }

    #[test]
    fn what_connection_names_goes_with_it() {
        let mut headers = HeaderMap::new();
        headers.insert(
            "connection",
            "close, x-hop, mcp-session-id".parse().unwrap(),
        );
        headers.insert("x-hop", "1".parse().unwrap());
        headers.insert("mcp-session-id", "1".parse().unwrap());
        headers.insert("accept", "a".parse().unwrap());
        strip(&mut headers, "x-api-key");
        assert_eq!(
            headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(),
            ["accept"]
        );
    }
}
