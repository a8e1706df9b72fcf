//! Stores with many revocations, and tokens that none of them names: the check that costs most.

use futures_util::{StreamExt, stream};
use mcp_auth::{
    Claims, MemoryRevocationStore, Revocation, RevocationStore, UnixTime, VerifiedToken,
};

const ISSUER: &str = "https://idp.example.com";

/// So many that none is in the nearest cache when its turn comes again.
const TOKENS: usize = 1024;

/// What the tests and the benchmark compare.
pub const FEW: usize = 10;
pub const MANY: usize = 1_000_000;

/// Tokens that name all that can be revoked.
pub fn tokens() -> Vec<VerifiedToken> {
    let token = |n: usize| {
        let json = format!(
            r#"{{"iss":"{ISSUER}","sub":"user-{n}","aud":"a","exp":4000000000,"iat":1700000000,
                "jti":"token-{n}","sid":"session-{n}","client_id":"client-{n}"}}"#
        );
        VerifiedToken::assertion(Claims::from_json(&json).unwrap())
    };
    (0..TOKENS).map(token).collect()
}

/// `n` revocations in memory, of each kind a quarter.
pub fn in_memory(n: usize) -> MemoryRevocationStore {
    let store = MemoryRevocationStore::new();
    for n in 0..n {
        let id = format!("revoked-{n}");
        match n % 4 {
            0 => store.revoke_token(ISSUER, &id, UnixTime::MAX),
            1 => store.revoke_session(ISSUER, &id, UnixTime::MAX),
            2 => store.revoke_client(ISSUER, &id, UnixTime::MAX),
            _ => store.revoke_subject(ISSUER, &id, UnixTime::MAX, UnixTime::MAX),
        }
    }
    store
}

/// `n` revocations in a Redis of their own, of each kind a quarter.
#[cfg(feature = "redis")]
pub fn in_redis(n: usize) -> (super::redis::Server, mcp_auth::RedisRevocationStore) {
    let script = format!(
        "local kinds = {{'jti', 'sid', 'client', 'sub'}}
         for n = 0, {n} - 1 do
           local key = 'mcp-auth:revoked:' .. kinds[n % 4 + 1] .. ':{ISSUER}|revoked-' .. n
           redis.call('SET', key, '4000000000', 'EX', 86400)
         end"
    );
    let server = super::redis::Server::start();
    server.cli(["EVAL", &script, "0"]);
    assert_eq!(server.cli(["DBSIZE"]), n.to_string());
    let redis = mcp_auth::Redis::from_url(&server.url()).unwrap();
    let store = mcp_auth::RedisRevocationStore::new(redis.with_timeout(super::PATIENCE));
    (server, store)
}

/// Asks about one token after the other.
pub async fn one_by_one<'a, S: RevocationStore>(
    store: &S,
    tokens: impl IntoIterator<Item = &'a VerifiedToken>,
) {
    for token in tokens {
        assert_eq!(store.status(token).await.unwrap(), Revocation::Active);
    }
}

/// Asks about many tokens at a time, as a busy gateway does.
pub async fn side_by_side<'a, S: RevocationStore>(
    store: &S,
    tokens: impl IntoIterator<Item = &'a VerifiedToken>,
) {
    let questions = stream::iter(tokens).map(|token| store.status(token));
    let mut answers = questions.buffer_unordered(64);
    while let Some(status) = answers.next().await {
        assert_eq!(status.unwrap(), Revocation::Active);
    }
}
