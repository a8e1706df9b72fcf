//! The vectors of Wycheproof, replayed: <https://github.com/C2SP/wycheproof>.
//!
//! Their payloads are no claims, so what is tested is header, key choice and signature.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

use super::{header::Header, segments::Segments};
use crate::{
    error::Reason,
    keys::{KeyStore, StaticJwks, VerificationKeyId},
};

const ISSUER: &str = "https://idp.example.com";

/// Reads a file of vectors. The published package has no `tests`, and nothing to replay.
fn vectors(name: &str) -> Option<Value> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    if !tests.exists() {
        return None;
    }
    let text = fs::read_to_string(tests.join("vectors/wycheproof").join(name)).unwrap();
    Some(serde_json::from_str(&text).unwrap())
}

/// The public keys of a group, as its issuer would publish them.
fn jwks(group: &Value) -> Vec<u8> {
    let keys = group.get("public").unwrap_or(&group["private"]);
    let mut keys = match keys.get("keys") {
        Some(_) => keys.clone(),
        None => serde_json::json!({ "keys": [keys] }),
    };
    for key in keys["keys"].as_array_mut().unwrap() {
        for private in ["d", "p", "q", "dp", "dq", "qi"] {
            key.as_object_mut().unwrap().remove(private);
        }
    }
    serde_json::to_vec(&keys).unwrap()
}

fn check(jws: &str, keys: Option<&StaticJwks>) -> Result<(), Reason> {
    let bytes = jws.as_bytes();
    let segments = Segments::of(bytes).ok_or(Reason::InvalidToken)?;
    let mut room = vec![0; bytes.len()];
    let header = Header::from_json(segments.header(&mut room)?)?;
    let signature = segments.signature(&mut room)?;
    let id = VerificationKeyId::new(ISSUER.into(), header.kid, header.algorithm);
    let key = keys
        .and_then(|keys| keys.key(&id).into_inner().unwrap())
        .ok_or(Reason::UnknownKey)?;
    let (algorithm, message) = (header.algorithm, segments.signed(bytes));
    let is_good = key.verifies(algorithm, message, signature);
    #[cfg(feature = "rust-crypto")]
    assert_eq!(
        key.verifies_in_pure_rust(algorithm, message, signature),
        is_good
    );
    if is_good {
        Ok(())
    } else {
        Err(Reason::BadSignature)
    }
}

/// The tests whose outcome is not the one of the file, and how many there are in all.
fn deviations(name: &str) -> Option<(BTreeSet<u64>, usize)> {
    let file = vectors(name)?;
    let mut deviating = BTreeSet::new();
    let mut count = 0;
    for group in file["testGroups"].as_array().unwrap() {
        let keys = StaticJwks::from_json(ISSUER, &jwks(group)).ok();
        for test in group["tests"].as_array().unwrap() {
            let Some(jws) = test.get("jws") else { continue };
            let jws = jws
                .as_str()
                .map_or_else(|| jws.to_string(), ToOwned::to_owned);
            count += 1;
            let is_accepted = check(&jws, keys.as_ref()).is_ok();
            if is_accepted != (test["result"] == "valid") {
                deviating.insert(test["tcId"].as_u64().unwrap());
            }
        }
    }
    Some((deviating, count))
}

/// Symmetric keys are never used.
const HMAC: [u64; 3] = [1, 348, 352];
/// The vectors for base64url are signed with such keys, too.
const HMAC_BASE64: [u64; 7] = [357, 358, 359, 372, 373, 376, 377];
/// The key is for PS256, the token says PS384.
const OTHER_ALG: [u64; 2] = [346, 350];
/// P-521 is not accepted, and the key's `alg` is none that exists.
const P521: [u64; 2] = [347, 351];

#[test]
fn signatures() {
    let Some((deviating, count)) = deviations("json_web_signature_test.json") else {
        return;
    };
    assert_eq!(count, 401);
    let expected = HMAC
        .into_iter()
        .chain(HMAC_BASE64)
        .chain(OTHER_ALG)
        .chain(P521);
    assert_eq!(deviating, expected.collect());
}

#[test]
fn keys() {
    let Some((deviating, count)) = deviations("json_web_key_test.json") else {
        return;
    };
    assert_eq!(count, 26);
    // 7 is accepted: nobody looks for keys with the ROCA weakness. The others are symmetric.
    assert_eq!(deviating, BTreeSet::from([2, 7, 13, 14, 15]));
}

#[test]
fn signatures_and_keys() {
    let Some((deviating, count)) = deviations("json_web_crypto_test.json") else {
        return;
    };
    assert_eq!(count, 49);
    // 46 is the ROCA key again. The others are symmetric.
    assert_eq!(deviating, BTreeSet::from([1, 46, 48]));
}

#[test]
fn base64url() {
    let Some(file) = vectors("json_web_signature_test.json") else {
        return;
    };
    let is_read = |jws: &str| -> Result<(), Reason> {
        let segments = Segments::of(jws.as_bytes()).ok_or(Reason::InvalidToken)?;
        let mut room = vec![0; jws.len()];
        segments.header(&mut room)?;
        let (for_claims, for_signature) = segments.rooms(&mut room);
        segments.claims(for_claims)?;
        segments.signature(for_signature).map(drop)
    };
    let groups = file["testGroups"].as_array().unwrap();
    let mut deviating = BTreeSet::new();
    for group in groups.iter().filter(|group| group["comment"] == "base64") {
        for test in group["tests"].as_array().unwrap() {
            // 367 and 370 are the text of 357 again, without what their names promise. 372 and 373,
            // called valid, have a character that base64url has not.
            if is_read(test["jws"].as_str().unwrap()).is_ok() != (test["result"] == "valid") {
                deviating.insert(test["tcId"].as_u64().unwrap());
            }
        }
    }
    assert_eq!(deviating, BTreeSet::from([367, 370, 372, 373]));
}
