//! `gateway revoke`: what it names is refused by every gateway on the same Redis from its next
//! request on.

use std::ffi::OsString;

use clap::Parser;
use mcp_auth::{JwtValidator, Secret};

use crate::args::{Fault, Refusal, parsed, secret};

/// Revokes tokens on the Redis that gateways share.
///
/// It returns when Redis has it, and a replica where there is one. An entry is kept for a year; no
/// token should live longer.
#[derive(Debug, Parser)]
#[command(name = "gateway revoke", max_term_width = 100)]
struct Flags {
    /// The Redis of the gateways.
    #[arg(
        long,
        env = "MCP_PROXY_REDIS_URL",
        value_name = "URL",
        value_parser = secret()
    )]
    redis_url: Secret<String>,
    /// Whose tokens. Repeatable: those of each issuer are revoked.
    #[arg(long, env = "MCP_PROXY_ISSUER", value_name = "URL", required = true)]
    issuer: Vec<String>,
    /// All tokens of a subject that were issued up to now.
    #[arg(long, value_name = "SUB")]
    sub: Option<String>,
    /// One token.
    #[arg(long, value_name = "JTI")]
    jti: Option<String>,
    /// All tokens of a session at the issuer.
    #[arg(long, value_name = "SID")]
    sid: Option<String>,
    /// All tokens of a client.
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
}

/// Reads the flags, and revokes.
pub(crate) async fn run(args: impl IntoIterator<Item = OsString>) -> Result<(), Refusal> {
    let flags: Flags = parsed(args)?;
    judge(&flags)?;
    write(flags).await
}

/// What no token can hold revokes nothing, and must not look as if it did.
fn judge(flags: &Flags) -> Result<(), Fault> {
    let named = [
        ("--sub", &flags.sub),
        ("--jti", &flags.jti),
        ("--sid", &flags.sid),
        ("--client-id", &flags.client_id),
    ];
    if named.iter().all(|(_, id)| id.is_none()) {
        return Err(Fault::new(
            "--sub",
            "is needed, or --jti, --sid or --client-id",
        ));
    }
    for (flag, id) in named {
        if id.as_deref() == Some("") {
            return Err(Fault::new(flag, "is empty"));
        }
    }
    for issuer in &flags.issuer {
        // As a gateway judges whose tokens it takes; the audience is any.
        if let Err(error) = JwtValidator::new(issuer, "any") {
            return Err(Fault::new("--issuer", error));
        }
    }
    Ok(())
}

#[cfg(not(feature = "redis"))]
async fn write(_: Flags) -> Result<(), Refusal> {
    Err(crate::stores::needs_redis().into())
}

#[cfg(feature = "redis")]
async fn write(flags: Flags) -> Result<(), Refusal> {
    use std::{
        error::Error,
        io::{self, Write},
        time::Duration,
    };

    use mcp_auth::{Clock, RedisRevocationStore, StoreError, SystemClock};

    use crate::args::RedisArgs;

    let redis = crate::stores::connection(&RedisArgs {
        url: flags.redis_url,
        fail_open: false,
    })?;
    let store = RedisRevocationStore::new(redis);
    let now = SystemClock.now();
    let until = now.saturating_add(Duration::from_secs(366 * 24 * 60 * 60));
    let fault = |error: StoreError| {
        let cause = error.source().map(|cause| format!(": {cause}"));
        let cause = cause.unwrap_or_default();
        Fault::new("--redis-url", format_args!("{error}{cause}"))
    };
    for issuer in &flags.issuer {
        if let Some(sub) = &flags.sub {
            store
                .revoke_subject(issuer, sub, now, until)
                .await
                .map_err(fault)?;
        }
        if let Some(jti) = &flags.jti {
            store
                .revoke_token(issuer, jti, until)
                .await
                .map_err(fault)?;
        }
        if let Some(sid) = &flags.sid {
            store
                .revoke_session(issuer, sid, until)
                .await
                .map_err(fault)?;
        }
        if let Some(client_id) = &flags.client_id {
            store
                .revoke_client(issuer, client_id, until)
                .await
                .map_err(fault)?;
        }
    }
    // It is done, and the status says so where nobody reads this.
    let _ = writeln!(io::stdout(), "revoked");
    Ok(())
}
