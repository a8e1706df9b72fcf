//! An authorization server's public side, on this machine.

use std::{
    fmt, io,
    net::{Ipv4Addr, TcpListener},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
};

use bytes::Bytes;
use serde_json::json;
use tokio::sync::oneshot;

use super::{
    ClaimsBuilder, WrongToken,
    server::{self, Behaviour, JWKS_PATH, Server},
    signing::SigningKeys,
    wrong::signed,
};
use crate::keys::Algorithm;

/// An issuer on a free port of this machine, with an RSA, a P-256, a P-384 and an Ed25519 key.
///
/// It signs tokens, serves its JWK Set (RFC 7517) and its metadata (RFC 8414 and OpenID Connect
/// Discovery), and misbehaves when told to. It has a thread of its own, so it serves a test of any
/// runtime, a paused one too, and stops when it is dropped. See the [module docs](crate::testing)
/// for an example.
#[must_use]
pub struct TestIssuer {
    url: String,
    server: Arc<Server>,
    keys: Mutex<Keys>,
    foreign: OnceLock<SigningKeys>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

struct Keys {
    generations: u64,
    current: SigningKeys,
    /// What is served beside the current keys.
    older: Vec<serde_json::Value>,
}

impl TestIssuer {
    /// Starts the issuer.
    ///
    /// # Errors
    ///
    /// Where no port or no thread can be had.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let url = format!("http://{}", listener.local_addr()?);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let server = Arc::new(Server::default());
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("test-issuer".into()).spawn({
            let server = Arc::clone(&server);
            move || {
                runtime.spawn(server::serve(listener, server));
                // An error says that the issuer was dropped, which is the same.
                let _ = runtime.block_on(stopped);
            }
        })?;
        let issuer = Self {
            url,
            server,
            keys: Mutex::new(Keys {
                generations: 1,
                current: SigningKeys::generate(1),
                older: Vec::new(),
            }),
            foreign: OnceLock::new(),
            stop: Some(stop),
            thread: Some(thread),
        };
        issuer.publish_metadata();
        issuer.set_jwks_body(issuer.jwks());
        Ok(issuer)
    }

    /// The issuer identifier, such as `http://127.0.0.1:40001`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where the JWK Set is.
    #[must_use]
    pub fn jwks_uri(&self) -> String {
        format!("{}{JWKS_PATH}", self.url)
    }

    /// Claims of this issuer.
    pub fn claims(&self) -> ClaimsBuilder {
        ClaimsBuilder::new().issuer(&self.url)
    }

    /// A token with these claims, signed with RS256.
    #[must_use]
    pub fn token(&self, claims: &ClaimsBuilder) -> String {
        self.token_signed_with(Algorithm::RS256, claims)
    }

    /// A token with these claims, signed with the algorithm of your choice. Its `typ` is `at+jwt`
    /// (RFC 9068 section 2.1).
    #[must_use]
    pub fn token_signed_with(&self, algorithm: Algorithm, claims: &ClaimsBuilder) -> String {
        let kid = self.kid(algorithm);
        let header = json!({"typ": "at+jwt", "alg": algorithm.as_str(), "kid": kid});
        self.sign_raw(algorithm, &header.to_string(), &claims.to_json())
    }

    /// A token of any header and any claims, properly signed, whatever the header says.
    #[must_use]
    pub fn sign_raw(&self, algorithm: Algorithm, header: &str, claims: &str) -> String {
        let keys = self.keys();
        signed(header, claims, |message| {
            keys.current.sign(algorithm, message)
        })
    }

    /// A token that must be refused, though its claims are these.
    #[must_use]
    pub fn wrong_token(&self, wrong: WrongToken, claims: &ClaimsBuilder) -> String {
        let foreign = self.foreign.get_or_init(|| SigningKeys::generate(0));
        wrong.make(&self.keys().current, foreign, claims)
    }

    /// The `kid` under which tokens of this algorithm are signed now.
    #[must_use]
    pub fn kid(&self, algorithm: Algorithm) -> String {
        self.keys().current.kid(algorithm)
    }

    /// The JWK Set as the current keys make it.
    #[must_use]
    pub fn jwks(&self) -> String {
        let keys = self.keys();
        jwk_set(&keys.current, &keys.older)
    }

    /// Signs with new keys from here on; the JWK Set lists them alone.
    pub fn rotate(&self) {
        self.replace_keys(false);
    }

    /// Signs with new keys from here on; the JWK Set lists the old ones too.
    pub fn rotate_and_keep(&self) {
        self.replace_keys(true);
    }

    fn replace_keys(&self, keep: bool) {
        let generation = {
            let mut keys = self.keys();
            keys.generations += 1;
            keys.generations
        };
        // This takes a while: tokens are signed and served meanwhile.
        let new = SigningKeys::generate(generation);
        let mut keys = self.keys();
        if keep {
            let old = keys.current.public_jwks();
            keys.older.extend(old);
        } else {
            keys.older.clear();
        }
        // Nothing is signed with a key before it is served.
        self.set_jwks_body(jwk_set(&new, &keys.older));
        keys.current = new;
    }

    fn publish_metadata(&self) {
        let metadata = json!({
            "issuer": self.url,
            "jwks_uri": self.jwks_uri(),
            "authorization_endpoint": format!("{}/authorize", self.url),
            "token_endpoint": format!("{}/token", self.url),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
        });
        for path in [
            "/.well-known/oauth-authorization-server",
            "/.well-known/openid-configuration",
        ] {
            self.set_document(path, metadata.to_string());
        }
    }

    /// Serves this body as the JWK Set until the next rotation.
    pub fn set_jwks_body(&self, body: impl Into<Bytes>) {
        self.set_document(JWKS_PATH, body);
    }

    /// Serves this JSON document at a path, in the place of what was there.
    pub fn set_document(&self, path: &str, body: impl Into<Bytes>) {
        let documents = &mut self.behaviour().documents;
        documents.insert(path.to_owned(), body.into());
    }

    /// Answers 404 at a path.
    pub fn remove_document(&self, path: &str) {
        self.behaviour().documents.remove(path);
    }

    /// The `Cache-Control` of every document; `None`, as at the start: none.
    pub fn set_cache_control(&self, value: Option<&str>) {
        self.behaviour().cache_control = value.map(str::to_owned);
    }

    /// Answers everything with 500, or no longer.
    pub fn fail(&self, fails: bool) {
        self.behaviour().is_failing = fails;
    }

    /// Answers every second fetch of the JWK Set with 500, beginning with the next, or no longer.
    pub fn fail_every_second(&self, fails: bool) {
        self.behaviour().fails_next = fails.then_some(true);
    }

    /// Takes requests and answers none, or answers new ones again.
    pub fn hang(&self, hangs: bool) {
        self.behaviour().is_hanging = hangs;
    }

    /// Answers everything with a redirect (302) to this URL; `None`: no longer.
    pub fn redirect_to(&self, url: Option<&str>) {
        self.behaviour().redirect_to = url.map(str::to_owned);
    }

    /// How often the JWK Set was asked for, well or in vain.
    #[must_use]
    pub fn fetches(&self) -> u64 {
        self.server.jwks_fetches()
    }

    fn keys(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn behaviour(&self) -> MutexGuard<'_, Behaviour> {
        self.server.behaviour()
    }
}

fn jwk_set(current: &SigningKeys, older: &[serde_json::Value]) -> String {
    let mut all = current.public_jwks();
    all.extend(older.iter().cloned());
    json!({ "keys": all }).to_string()
}

impl fmt::Debug for TestIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestIssuer")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Drop for TestIssuer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic over there was already printed.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{
        clock::{Clock, SystemClock},
        error::Reason,
        keys::{KeyStore, StaticJwks},
        token::JwtValidator,
    };

    fn outcome(issuer: &TestIssuer, token: String) -> Result<(), Reason> {
        let keys = StaticJwks::from_json(issuer.url(), issuer.jwks().as_bytes()).unwrap();
        let unverified = JwtValidator::new(issuer.url(), "https://mcp.example.com/mcp")
            .unwrap()
            .inspect(token, SystemClock.now())
            .map_err(|error| error.reason())?;
        let key = keys.key(unverified.key_id()).into_inner().unwrap();
        let key = key.ok_or(Reason::UnknownKey)?;
        let verified = unverified.verify(&key).map_err(|error| error.reason())?;
        assert_eq!(verified.principal().issuer(), issuer.url());
        Ok(())
    }

    #[test]
    fn tokens_of_every_algorithm_verify_before_and_after_a_rotation() {
        let issuer = TestIssuer::start().unwrap();
        let old = issuer.token(&issuer.claims());
        for &algorithm in Algorithm::ALL {
            let token = issuer.token_signed_with(algorithm, &issuer.claims());
            assert_eq!(outcome(&issuer, token), Ok(()), "{algorithm:?}");
        }
        issuer.rotate_and_keep();
        assert_eq!(outcome(&issuer, old.clone()), Ok(()));
        issuer.rotate();
        assert_eq!(outcome(&issuer, old), Err(Reason::UnknownKey));
        for &algorithm in Algorithm::ALL {
            let token = issuer.token_signed_with(algorithm, &issuer.claims());
            assert_eq!(outcome(&issuer, token), Ok(()), "{algorithm:?}");
        }
    }

    #[test]
    fn wrong_tokens_are_refused_each_for_its_reason() {
        let issuer = TestIssuer::start().unwrap();
        for wrong in WrongToken::ALL {
            let expected = match wrong {
                WrongToken::ForeignKey | WrongToken::EmbeddedKey | WrongToken::BrokenSignature => {
                    Reason::BadSignature
                }
                WrongToken::UnknownKid => Reason::UnknownKey,
                _ => Reason::InvalidToken,
            };
            let token = issuer.wrong_token(*wrong, &issuer.claims());
            assert_eq!(outcome(&issuer, token), Err(expected), "{wrong:?}");
        }
    }

    #[test]
    fn the_port_is_free_when_the_issuer_is_gone() {
        let issuer = TestIssuer::start().unwrap();
        let address = issuer.url().trim_start_matches("http://").to_owned();
        drop(issuer);
        assert!(std::net::TcpStream::connect(address).is_err());
    }
}
