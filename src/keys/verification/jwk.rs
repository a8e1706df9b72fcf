//! Reads a JWK: what it is made of, and what it may verify.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use super::Algorithm;

/// What a public key is made of.
#[derive(PartialEq, Eq)]
pub(super) enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256 { x: Vec<u8>, y: Vec<u8> },
    P384 { x: Vec<u8>, y: Vec<u8> },
    Ed25519 { x: Vec<u8> },
}

type Read = (Option<Box<str>>, Material, Vec<Algorithm>);

/// Reads a key whose `kty`, `crv`, `alg`, `use` and `key_ops` agree.
pub(super) fn read(jwk: Value) -> Result<Read, &'static str> {
    let text = |name: &str| match jwk.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err("a member of the key has the wrong type"),
    };
    let bytes = |name: &str| {
        text(name)?
            .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
            .ok_or("a number of the key is missing or is not base64url")
    };
    if !matches!(text("use")?, None | Some("sig")) {
        return Err("the key is not for signatures");
    }
    match jwk.get("key_ops") {
        None => {}
        Some(Value::Array(ops)) if ops.iter().any(|op| op == "verify") => {}
        Some(_) => return Err("the key is not for verifying"),
    }
    let (material, mut algorithms) = match (text("kty")?, text("crv")?) {
        (Some("RSA"), None) => (rsa(bytes("n")?, bytes("e")?)?, Algorithm::RSA.to_vec()),
        (Some("EC"), Some("P-256")) => {
            let (x, y) = point(bytes("x")?, bytes("y")?, 32)?;
            (Material::P256 { x, y }, vec![Algorithm::ES256])
        }
        (Some("EC"), Some("P-384")) => {
            let (x, y) = point(bytes("x")?, bytes("y")?, 48)?;
            (Material::P384 { x, y }, vec![Algorithm::ES384])
        }
        (Some("OKP"), Some("Ed25519")) => {
            let x = bytes("x")?;
            if x.len() != 32 {
                return Err("the key has the wrong length");
            }
            (Material::Ed25519 { x }, vec![Algorithm::EdDSA])
        }
        _ => return Err("the key is of a type that is not accepted"),
    };
    if let Some(name) = text("alg")? {
        algorithms.retain(|own| Algorithm::from_name(name) == Some(*own));
    }
    if algorithms.is_empty() {
        return Err("the key is for an algorithm that is not accepted");
    }
    Ok((text("kid")?.map(Into::into), material, algorithms))
}

/// An RSA key of 2048 to 8192 bits with an odd exponent of at least 3.
fn rsa(n: Vec<u8>, e: Vec<u8>) -> Result<Material, &'static str> {
    let strip =
        |number: Vec<u8>| -> Vec<u8> { number.into_iter().skip_while(|byte| *byte == 0).collect() };
    let (n, e) = (strip(n), strip(e));
    let bits = n.first().map_or(0, |first| {
        n.len() * 8 - usize::try_from(first.leading_zeros()).unwrap_or(0)
    });
    if !(2048..=8192).contains(&bits) {
        return Err("the RSA key has less than 2048 or more than 8192 bits");
    }
    let is_odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
    if !is_odd(&n) || !is_odd(&e) || e == [1] || e.len() > 4 {
        return Err("the RSA key has a modulus or an exponent that is not accepted");
    }
    Ok(Material::Rsa { n, e })
}

fn point(x: Vec<u8>, y: Vec<u8>, length: usize) -> Result<(Vec<u8>, Vec<u8>), &'static str> {
    if x.len() == length && y.len() == length {
        Ok((x, y))
    } else {
        Err("the key has the wrong length")
    }
}
