//! Reading a public key: one JWK (RFC 7517, RFC 7518 section 6, RFC 8037), or PEM.

use std::{borrow::Cow, sync::Arc};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::DecodingKey;

use super::{Algorithm, MAX_KID, Material, backend};
use crate::json::{self, Value};

/// What a key says of itself, all of it in agreement.
pub(super) struct Parsed {
    pub(super) kid: Option<Arc<str>>,
    pub(super) material: Material,
    /// What the key may verify: the `alg` it names, else all that its kind can.
    pub(super) algorithms: Vec<Algorithm>,
}

#[derive(Default)]
struct Members<'a> {
    kty: Option<Value<'a>>,
    crv: Option<Value<'a>>,
    n: Option<Value<'a>>,
    e: Option<Value<'a>>,
    x: Option<Value<'a>>,
    y: Option<Value<'a>>,
    kid: Option<Value<'a>>,
    alg: Option<Value<'a>>,
    r#use: Option<Value<'a>>,
    key_ops: Option<Value<'a>>,
    is_private: bool,
}

impl Parsed {
    pub(super) fn from_jwk(json: &[u8]) -> Result<Self, &'static str> {
        let text = str::from_utf8(json).map_err(|_| "a JWK is UTF-8")?;
        let mut jwk = Members::default();
        json::read_object(text, |name, value| {
            let member = match name {
                "kty" => &mut jwk.kty,
                "crv" => &mut jwk.crv,
                "n" => &mut jwk.n,
                "e" => &mut jwk.e,
                "x" => &mut jwk.x,
                "y" => &mut jwk.y,
                "kid" => &mut jwk.kid,
                "alg" => &mut jwk.alg,
                "use" => &mut jwk.r#use,
                "key_ops" => &mut jwk.key_ops,
                "d" | "p" | "q" | "dp" | "dq" | "qi" | "oth" | "k" => {
                    jwk.is_private = true;
                    return;
                }
                _ => return,
            };
            *member = Some(value);
        })
        .map_err(|_| "a JWK is one JSON object without repeated members")?;
        jwk.parse()
    }

    /// `pem` holds one `PUBLIC KEY` (RFC 5280) or `RSA PUBLIC KEY` (RFC 8017).
    pub(super) fn from_pem(
        pem: &[u8],
        kid: Option<Arc<str>>,
        algorithm: Algorithm,
    ) -> Result<Self, &'static str> {
        const NOT_PEM: &str = "a PEM holds one public key of the kind that the algorithm needs";
        let text = str::from_utf8(pem).map_err(|_| NOT_PEM)?;
        // The reader would also take private keys, and certificates for what they are not.
        let is_public = text.contains("-----BEGIN PUBLIC KEY-----")
            || text.contains("-----BEGIN RSA PUBLIC KEY-----");
        if !is_public || text.matches("-----BEGIN").count() != 1 {
            return Err(NOT_PEM);
        }
        let read = match algorithm {
            Algorithm::ES256 | Algorithm::ES384 => DecodingKey::from_ec_pem(pem),
            Algorithm::EdDSA => DecodingKey::from_ed_pem(pem),
            _ => DecodingKey::from_rsa_pem(pem),
        };
        let Ok(key) = read else { return Err(NOT_PEM) };
        let bytes = key.try_get_as_bytes().map_err(|_| NOT_PEM)?;
        let material = match algorithm {
            Algorithm::ES256 => Material::p256(bytes),
            Algorithm::ES384 => Material::p384(bytes),
            Algorithm::EdDSA => Material::ed25519(bytes),
            _ => {
                let (n, e) = backend::rsa_components(bytes)
                    .ok_or("an RSA key has an odd modulus of 2048 to 8192 bits")?;
                Material::rsa(&n, &e)
            }
        }?;
        Ok(Self {
            kid,
            material,
            algorithms: vec![algorithm],
        })
    }
}

impl Members<'_> {
    fn parse(self) -> Result<Parsed, &'static str> {
        if self.is_private {
            return Err("a JWK that verifies holds nothing private");
        }
        if optional(self.r#use)?.is_some_and(|wanted| wanted != "sig") {
            return Err("the key is not for signatures");
        }
        match self.key_ops {
            None => {}
            Some(Value::Strings(operations)) if operations.iter().any(|op| op == "verify") => {}
            Some(_) => return Err("the key is not for verifying"),
        }
        let kty = optional(self.kty)?.ok_or("a JWK has a kty")?;
        let crv = optional(self.crv)?;
        let material = match (&*kty, crv.as_deref()) {
            ("RSA", None) => Material::rsa(&bytes(self.n)?, &bytes(self.e)?),
            ("EC", Some("P-256")) => {
                Material::p256(&point::<32>(&bytes(self.x)?, &bytes(self.y)?)?)
            }
            ("EC", Some("P-384")) => {
                Material::p384(&point::<48>(&bytes(self.x)?, &bytes(self.y)?)?)
            }
            ("OKP", Some("Ed25519")) => Material::ed25519(&bytes(self.x)?),
            _ => Err("the kind of key is not one that is accepted here"),
        }?;
        let algorithms = match optional(self.alg)? {
            None => material.algorithms().to_vec(),
            Some(name) => {
                let algorithm = Algorithm::from_name(&name)
                    .filter(|algorithm| material.algorithms().contains(algorithm))
                    .ok_or("the key's alg is not one that its kind can verify")?;
                vec![algorithm]
            }
        };
        let kid = optional(self.kid)?.map(Arc::<str>::from);
        if kid.as_ref().is_some_and(|kid| kid.len() > MAX_KID) {
            return Err("a kid has at most 512 bytes");
        }
        Ok(Parsed {
            kid,
            material,
            algorithms,
        })
    }
}

fn optional(value: Option<Value<'_>>) -> Result<Option<Cow<'_, str>>, &'static str> {
    match value {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err("a member of the JWK is not the string that it should be"),
    }
}

fn bytes(value: Option<Value<'_>>) -> Result<Vec<u8>, &'static str> {
    let text = optional(value)?.ok_or("the JWK lacks a member that its kind needs")?;
    BASE64_URL_SAFE_NO_PAD
        .decode(&*text)
        .map_err(|_| "a number of the JWK is not canonical base64url")
}

fn point<const COORDINATE: usize>(x: &[u8], y: &[u8]) -> Result<Vec<u8>, &'static str> {
    if x.len() != COORDINATE || y.len() != COORDINATE {
        return Err("the coordinates of a point have the size of its curve");
    }
    Ok([&[4], x, y].concat())
}
