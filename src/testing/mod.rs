//! An issuer, claims and a clock for your own tests (feature `test-util`).
//!
//! [`ClaimsBuilder`] makes claims and [`VerifiedToken`](crate::VerifiedToken)s without keys, for
//! tests of a policy. [`TestClock`] moves when it is told to. [`TestIssuer`] is an authorization
//! server's public side on this machine: it signs tokens, right ones and wrong ones, and serves its
//! keys and metadata over HTTP, well or badly.
//!
//! Nothing here belongs into a service that runs for real.
//!
//! ```
//! use mcp_auth::{JwtValidator, Jwks, KeyStore, SystemClock, Clock, testing::TestIssuer};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let issuer = TestIssuer::start()?;
//! let claims = issuer.claims().audience("https://mcp.example.com/mcp").scope("read:data");
//! let token = issuer.token(&claims);
//!
//! let keys = Jwks::discover(issuer.url())?;
//! let validator = JwtValidator::new(issuer.url(), "https://mcp.example.com/mcp")?;
//! let unverified = validator.inspect(token, SystemClock.now())?;
//! let key = keys.key(unverified.key_id()).await?.ok_or("no such key")?;
//! let verified = unverified.verify(&key)?;
//! assert!(verified.scope().contains("read:data"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod claims_builder;
mod clock;
mod issuer;
mod server;
mod signing;
mod wrong;

pub use self::{
    claims_builder::ClaimsBuilder, clock::TestClock, issuer::TestIssuer, wrong::WrongToken,
};
