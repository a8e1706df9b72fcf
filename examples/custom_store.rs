//! Stores of your own: upstream keys from mounted secrets, revocations from the staff list, and
//! limits by calendar minute.
//!
//! ```sh
//! cargo run --example custom_store
//! ```

use std::{
    collections::{HashMap, HashSet},
    error::Error,
    fs,
    future::{Future, Ready, ready},
    io,
    num::NonZeroU32,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use mcp_auth::{
    BoxKeyStore, Claims, KeyStore, Quota, RateKey, RateLimitStore, Revocation, RevocationStore,
    StoreError, UnixTime, UpstreamKey, UpstreamKeyId, Verdict, VerifiedToken, key_store_fn,
    revocation_store_fn,
};

/// Whose users the stores know.
const ISSUER: &str = "https://idp.example.com";

/// Upstream keys as an orchestrator mounts them: a file for each user.
///
/// It waits for the disk, so its answer is a boxed future. A store is cloned for every request:
/// what it holds is shared.
#[derive(Clone, Debug)]
struct MountedSecrets {
    dir: Arc<PathBuf>,
}

impl KeyStore<UpstreamKeyId> for MountedSecrets {
    type Key = UpstreamKey;
    type Future = Pin<Box<dyn Future<Output = Result<Option<UpstreamKey>, StoreError>> + Send>>;

    fn key(&self, id: &UpstreamKeyId) -> Self::Future {
        let principal = id.token().principal();
        // A name is one user's at one issuer: neither a program that registered itself under it nor
        // somebody else's user of that name.
        let is_a_user = !principal.is_machine() && principal.issuer() == ISSUER;
        let user = principal.subject().to_owned();
        let dir = Arc::clone(&self.dir);
        Box::pin(async move {
            // A subject is what the issuer says it is, `../../etc/passwd` too.
            let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
            if !is_a_user || user.is_empty() || !user.chars().all(is_name) {
                return Ok(None);
            }
            match tokio::fs::read_to_string(dir.join(&user)).await {
                Ok(text) => UpstreamKey::new(user, text.trim_end())
                    .map(Some)
                    .map_err(|error| StoreError::new(error.to_string())),
                // There is none: 403. It cannot be found out: 503.
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(StoreError::new("a secret cannot be read").with_source(error)),
            }
        })
    }
}

/// Revocations in memory. Nothing is waited for, so the answer is ready and nothing is allocated.
#[derive(Clone, Debug, Default)]
struct LeftTheCompany {
    users: Arc<RwLock<HashSet<String>>>,
}

impl RevocationStore for LeftTheCompany {
    type Future = Ready<Result<Revocation, StoreError>>;

    fn status(&self, token: &VerifiedToken) -> Self::Future {
        ready(match self.users.read() {
            Ok(users) if users.contains(token.principal().subject()) => Ok(Revocation::Revoked),
            Ok(_) => Ok(Revocation::Active),
            // Not to know is no reason to let somebody in.
            Err(_) => Err(StoreError::new("the staff list is broken")),
        })
    }
}

/// Counts calls by windows that begin with the clock (the crate's own store refills evenly).
#[derive(Clone, Debug, Default)]
struct ByWindow {
    /// For each key: which window, and how many units were spent in it.
    spent: Arc<Mutex<HashMap<RateKey, (u64, u32)>>>,
}

impl RateLimitStore for ByWindow {
    type Future = Ready<Result<Verdict, StoreError>>;

    fn take(&self, key: &RateKey, quota: &Quota, cost: NonZeroU32, now: UnixTime) -> Self::Future {
        let length = quota.interval().saturating_mul(quota.burst().get());
        let length = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX).max(1);
        let (window, into) = (now.as_nanos() / length, now.as_nanos() % length);

        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        // Bounded. Counts of windows that are over are of no use to anybody.
        if spent.len() >= 10_000 && !spent.contains_key(key) {
            spent.retain(|_, (then, _)| *then == window);
            if spent.len() >= 10_000 {
                return ready(Err(StoreError::new("too many callers are counted")));
            }
        }
        let (then, units) = spent.entry(key.clone()).or_insert((window, 0));
        if *then != window {
            (*then, *units) = (window, 0);
        }
        let after = units.saturating_add(cost.get());
        ready(Ok(match quota.burst().get().checked_sub(after) {
            Some(remaining) => {
                *units = after;
                Verdict::allowed(remaining)
            }
            None => Verdict::limited(Duration::from_nanos(length - into)),
        }))
    }
}

fn token_of(user: &str) -> Result<VerifiedToken, Box<dyn Error>> {
    token(ISSUER, user, "app")
}

fn token(issuer: &str, user: &str, client: &str) -> Result<VerifiedToken, Box<dyn Error>> {
    let json =
        format!(r#"{{"iss":"{issuer}","sub":"{user}","client_id":"{client}","exp":2000000000}}"#);
    Ok(VerifiedToken::assertion(Claims::from_json(&json)?))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (alice, bob) = (token_of("alice")?, token_of("bob")?);
    let id = |token: &VerifiedToken| UpstreamKeyId::new(token.clone(), None, None);

    // Keys: a type of yours.
    let dir = tempfile::tempdir()?;
    fs::write(dir.path().join("alice"), "key-of-alice\n")?;
    fs::create_dir(dir.path().join("broken"))?;
    let secrets = MountedSecrets {
        dir: Arc::new(dir.path().to_owned()),
    };
    let key = secrets.key(&id(&alice)).await?.ok_or("alice has a key")?;
    assert_eq!(key.secret().expose(), "key-of-alice");
    assert!(secrets.key(&id(&bob)).await?.is_none());
    assert!(secrets.key(&id(&token_of("../alice")?)).await?.is_none());
    assert!(secrets.key(&id(&token_of("broken")?)).await.is_err());
    for another in [
        token(ISSUER, "alice", "alice")?,
        token("https://another.example", "alice", "app")?,
    ] {
        assert!(secrets.key(&id(&another)).await?.is_none());
    }
    println!("keys from files: {key:?}");

    // Keys: a closure around one, chosen at run time.
    let inner = secrets.clone();
    let only_alice = key_store_fn(move |id: UpstreamKeyId| {
        let inner = inner.clone();
        async move {
            match id.token().principal().subject() {
                "alice" => inner.key(&id).await,
                _ => Ok(None),
            }
        }
    });
    let chosen: BoxKeyStore<UpstreamKeyId, UpstreamKey> = BoxKeyStore::new(only_alice);
    assert!(chosen.key(&id(&alice)).await?.is_some());
    assert!(chosen.key(&id(&token_of("broken")?)).await?.is_none());

    // Revocations: a type of yours, then a closure that refuses tokens with too long a life as well.
    let left = LeftTheCompany::default();
    assert_eq!(left.status(&bob).await?, Revocation::Active);
    if let Ok(mut users) = left.users.write() {
        users.insert("bob".to_owned());
    }
    assert_eq!(left.status(&bob).await?, Revocation::Revoked);
    let either = revocation_store_fn(move |token: VerifiedToken| {
        let left = left.clone();
        async move {
            if token.expires_at() > UnixTime::from_secs(3_000_000_000) {
                return Ok(Revocation::Revoked);
            }
            left.status(&token).await
        }
    });
    assert_eq!(either.status(&alice).await?, Revocation::Active);
    assert_eq!(either.status(&bob).await?, Revocation::Revoked);
    println!("bob left the company");

    // Limits: a type of yours. The time is handed in, so that a test needs no sleep.
    let limits = ByWindow::default();
    let key = RateKey::new("calls").with_principal(alice.principal().clone());
    let two_a_minute = Quota::per_minute(NonZeroU32::MIN.saturating_add(1));
    let noon = UnixTime::from_secs(1_700_000_040);
    let take = |secs| {
        let now = noon.saturating_add(Duration::from_secs(secs));
        limits.take(&key, &two_a_minute, NonZeroU32::MIN, now)
    };
    assert_eq!(take(0).await?, Verdict::allowed(1));
    assert_eq!(take(50).await?, Verdict::allowed(0));
    assert_eq!(take(51).await?, Verdict::limited(Duration::from_secs(9)));
    assert_eq!(take(60).await?, Verdict::allowed(1));
    println!("two calls a minute, and the minute is that of the clock");
    Ok(())
}
