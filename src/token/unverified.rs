//! What was read of a token whose signature is still to be checked.

use std::{fmt, sync::Arc};

use bytes::Bytes;

use super::{header::Header, registered::ReadClaims, validator::Rules};
use crate::{
    error::Reason,
    keys::{VerificationKey, VerificationKeyId},
    token::{Claims, TokenError, VerifiedToken},
};

/// A token of which all is good but the signature, where it stands in the request.
pub(crate) struct ReadToken<'a> {
    pub(super) rules: &'a Arc<Rules>,
    /// The header and its text, where it is not known.
    pub(super) new_header: Option<(&'a [u8], Header)>,
    pub(super) key_id: VerificationKeyId,
    pub(super) claims: ReadClaims<'a>,
    pub(super) signature: &'a [u8],
    pub(super) signed: &'a [u8],
}

impl ReadToken<'_> {
    /// Which key is needed.
    pub(crate) const fn key_id(&self) -> &VerificationKeyId {
        &self.key_id
    }

    /// Checks the signature. Only then are the claims copied.
    pub(crate) fn verify(self, key: &VerificationKey) -> Result<VerifiedToken, TokenError> {
        check_signature(key, &self.key_id, self.signed, self.signature)?;
        if let Some((text, header)) = self.new_header {
            self.rules.headers.remember(text, header);
        }
        let issuer = Arc::clone(&self.key_id.issuer);
        let claims = Claims::new(&self.claims, issuer, &self.rules.audiences);
        Ok(self.rules.proven(claims, &self.claims.scopes()))
    }

    /// The same for later: `token` is the text.
    pub(crate) fn into_unverified(self, token: Bytes) -> UnverifiedToken {
        UnverifiedToken {
            claims: Claims::new(
                &self.claims,
                Arc::clone(&self.key_id.issuer),
                &self.rules.audiences,
            ),
            scopes: self.claims.scopes().into(),
            rules: Arc::clone(self.rules),
            key_id: self.key_id,
            signature: self.signature.into(),
            signed: self.signed.len(),
            token,
        }
    }
}

fn check_signature(
    key: &VerificationKey,
    id: &VerificationKeyId,
    signed: &[u8],
    signature: &[u8],
) -> Result<(), TokenError> {
    if key.verifies(id.algorithm(), signed, signature) {
        Ok(())
    } else {
        Err(TokenError::new(Reason::BadSignature))
    }
}

/// A token of which all is good but the signature, which nobody checked: nothing that it says can
/// be read.
#[derive(Clone)]
#[must_use]
pub struct UnverifiedToken {
    rules: Arc<Rules>,
    key_id: VerificationKeyId,
    claims: Claims,
    /// Not yet taken apart.
    scopes: Box<str>,
    signature: Box<[u8]>,
    token: Bytes,
    /// How much of the token is signed.
    signed: usize,
}

impl UnverifiedToken {
    /// Which key is needed.
    #[must_use]
    pub const fn key_id(&self) -> &VerificationKeyId {
        &self.key_id
    }

    /// The text.
    pub(crate) const fn token(&self) -> &Bytes {
        &self.token
    }

    /// Checks the signature.
    ///
    /// # Errors
    ///
    /// [`TokenError`] with [`Reason::BadSignature`] where the key may not verify the token's
    /// algorithm, or did not sign the token.
    pub fn verify(&self, key: &VerificationKey) -> Result<VerifiedToken, TokenError> {
        let signed = self.token.get(..self.signed).unwrap_or_default();
        check_signature(key, &self.key_id, signed, &self.signature)?;
        Ok(self.rules.proven(self.claims.clone(), &self.scopes))
    }
}

/// Shows which key is needed, and nothing that the token says.
impl fmt::Debug for UnverifiedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnverifiedToken")
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}
