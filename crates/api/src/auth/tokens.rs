//! Tokens of programs: an access token (RFC 7519, signed by EdDSA) for minutes, and a refresh token that is exchanged once. Invariant: one algorithm is
//! accepted, whatever a token's head says; a refresh token that comes a second time ends its whole line, since somebody copied it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature::{self, Signer, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use crate::chance::{hash_of, secret};
use crate::error::ApiError;
use crate::limits::{ACCESS_AGE, REFRESH_AGE, REFRESH_MAX, REVOKED_MAX};
use crate::private_file;

/// What an access token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    /// The user.
    pub(crate) sub: String,
    /// The node that made it.
    pub(crate) iss: String,
    /// Its own name.
    pub(crate) jti: String,
    /// Seconds since 1970 when it was made.
    pub(crate) iat: u64,
    /// The same when it expires.
    pub(crate) exp: u64,
    /// What proved the user: with another password it holds no more.
    pub(crate) prf: String,
}

/// The tokens of this node.
pub(crate) struct Tokens {
    signing: EncodingKey,
    verifying: DecodingKey,
    node: String,
    refresh: BTreeMap<[u8; 32], Refresh>,
    /// Access tokens that were revoked, with the time until which that matters.
    revoked: BTreeMap<String, u64>,
}

#[derive(Clone, Debug)]
struct Refresh {
    user: String,
    proof: String,
    /// All tokens that came from one login.
    line: [u8; 32],
    expires_at: u64,
    is_used: bool,
}

/// What a program gets.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) expires_in: Duration,
}

impl Tokens {
    /// With the key in this file, which is made if it is not there.
    pub(crate) fn open(file: &Path, node: &str) -> Result<Self, ApiError> {
        // Another part of the process may have been first.
        let _ = PROVIDER.install_default();
        let made = || {
            let chance = ring::rand::SystemRandom::new();
            Ed25519KeyPair::generate_pkcs8(&chance).ok().map(|key| key.as_ref().to_vec())
        };
        let key = private_file::read_or_make(file, made)?;
        let unusable = |_| ApiError::Certificate {
            path: file.to_owned(),
            why: "it holds no Ed25519 key: remove it, and a new one is made".to_owned(),
        };
        let pair = Ed25519KeyPair::from_pkcs8(&key).map_err(unusable)?;
        Ok(Self {
            signing: EncodingKey::from_ed_der(&key),
            verifying: DecodingKey::from_ed_der(pair.public_key().as_ref()),
            node: node.to_owned(),
            refresh: BTreeMap::new(),
            revoked: BTreeMap::new(),
        })
    }

    /// Tokens for a user who has just proven a password.
    pub(crate) fn begin(&mut self, user: &str, proof: &str, now: Duration) -> Option<Pair> {
        let line = hash_of(&secret()?);
        self.pair(user, proof, line, now)
    }

    /// Other tokens for a refresh token, which is used up. `holds` says whether the user still has that proof.
    pub(crate) fn exchange(
        &mut self,
        refresh: &str,
        holds: impl FnOnce(&str, &str) -> bool,
        now: Duration,
    ) -> Option<Pair> {
        let known =
            self.refresh.get_mut(&hash_of(refresh)).filter(|known| known.expires_at > now.as_secs())?;
        let was_used = std::mem::replace(&mut known.is_used, true);
        let Refresh { user, proof, line, .. } = known.clone();
        if was_used || !holds(&user, &proof) {
            self.refresh.retain(|_, known| known.line != line);
            return None;
        }
        self.pair(&user, &proof, line, now)
    }

    /// What a token says, if it holds.
    pub(crate) fn claims(&self, token: &str, now: Duration) -> Option<Claims> {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[&self.node]);
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        validation.leeway = 0;
        validation.validate_aud = false;
        let claims = jsonwebtoken::decode::<Claims>(token, &self.verifying, &validation).ok()?.claims;
        self.hold(&claims, now).then_some(claims)
    }

    /// Whether claims that were proven hold now.
    pub(crate) fn hold(&self, claims: &Claims, now: Duration) -> bool {
        claims.exp > now.as_secs() && !self.revoked.contains_key(&claims.jti)
    }

    /// Ends a refresh token with all that came from the same login, or an access token.
    pub(crate) fn revoke(&mut self, token: &str, now: Duration) {
        if let Some(line) = self.refresh.get(&hash_of(token)).map(|known| known.line) {
            self.refresh.retain(|_, known| known.line != line);
        } else if let Some(claims) = self.claims(token, now) {
            self.revoked.retain(|_, until| *until > now.as_secs());
            if self.revoked.len() < REVOKED_MAX {
                self.revoked.insert(claims.jti, claims.exp);
            }
        }
    }

    /// Ends the refresh tokens of a user.
    pub(crate) fn end_all_of(&mut self, user: &str) {
        self.refresh.retain(|_, known| known.user != user);
    }

    fn pair(&mut self, user: &str, proof: &str, line: [u8; 32], now: Duration) -> Option<Pair> {
        let (jti, refresh) = (secret()?, secret()?);
        let (iat, exp) = (now.as_secs(), (now + ACCESS_AGE).as_secs());
        let claims =
            Claims { sub: user.to_owned(), iss: self.node.clone(), jti, iat, exp, prf: proof.to_owned() };
        let access = jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &self.signing).ok()?;
        self.make_room(now);
        let known = Refresh {
            user: user.to_owned(),
            proof: proof.to_owned(),
            line,
            expires_at: (now + REFRESH_AGE).as_secs(),
            is_used: false,
        };
        self.refresh.insert(hash_of(&refresh), known);
        Some(Pair { access, refresh, expires_in: ACCESS_AGE })
    }

    fn make_room(&mut self, now: Duration) {
        self.refresh.retain(|_, known| known.expires_at > now.as_secs());
        while self.refresh.len() >= REFRESH_MAX {
            let oldest = self.refresh.iter().min_by_key(|(_, known)| known.expires_at);
            let Some(line) = oldest.map(|(_, known)| known.line) else { break };
            self.refresh.retain(|_, known| known.line != line);
        }
    }
}

struct RingKey(Ed25519KeyPair);

impl Signer<Vec<u8>> for RingKey {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(self.0.sign(message).as_ref().to_vec())
    }
}

impl JwtSigner for RingKey {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

struct RingPublicKey(Vec<u8>);

impl Verifier<Vec<u8>> for RingPublicKey {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let key = UnparsedPublicKey::new(&ED25519, &self.0);
        key.verify(message, signature).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for RingPublicKey {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

/// The cryptography of tokens, by `ring`, as TLS has it; no other algorithm exists in this process.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| {
        let pair = Ed25519KeyPair::from_pkcs8(key.as_bytes())
            .map_err(|_| Error::from(ErrorKind::InvalidEddsaKey))?;
        only_eddsa(*algorithm).map(|()| Box::new(RingKey(pair)) as Box<dyn JwtSigner>)
    },
    verifier_factory: |algorithm, key| {
        let key = RingPublicKey(key.try_get_as_bytes()?.to_vec());
        only_eddsa(*algorithm).map(|()| Box::new(key) as Box<dyn JwtVerifier>)
    },
    key_utils: KeyUtils::new_unimplemented(),
};

fn only_eddsa(algorithm: Algorithm) -> Result<(), Error> {
    if algorithm == Algorithm::EdDSA { Ok(()) } else { Err(ErrorKind::InvalidAlgorithm.into()) }
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64URL_NOPAD;

    use super::*;
    use crate::clock;

    fn tokens() -> (Tokens, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("a folder");
        let tokens = Tokens::open(&folder.path().join("key"), "node").expect("a new key");
        (tokens, folder)
    }

    #[test]
    fn a_token_says_who_it_is_for_until_it_expires_or_is_revoked() {
        let (mut tokens, _folder) = tokens();
        let now = clock::since_epoch();
        let pair = tokens.begin("anna", "proof", now).expect("chance");
        let claims = tokens.claims(&pair.access, now).expect("it holds");
        assert_eq!((claims.sub.as_str(), claims.prf.as_str()), ("anna", "proof"));
        assert!(tokens.claims(&pair.access, now + ACCESS_AGE + Duration::from_secs(1)).is_none());
        tokens.revoke(&pair.access, now);
        assert!(tokens.claims(&pair.access, now).is_none());
    }

    #[test]
    fn a_token_that_is_not_of_this_key_and_algorithm_is_refused() {
        let ((mut tokens, _one), (mut others, _other)) = (tokens(), tokens());
        let now = clock::since_epoch();
        let pair = tokens.begin("anna", "", now).expect("chance");
        let check = |token: &str| assert!(tokens.claims(token, now).is_none(), "{token}");
        check(&others.begin("anna", "", now).expect("chance").access);
        check("");
        check("a.b.c");
        let parts: Vec<&str> = pair.access.split('.').collect();
        let head = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
        check(&format!("{}.{}.", head(r#"{"alg":"none","typ":"JWT"}"#), parts[1]));
        check(&format!("{}.{}.{}", head(r#"{"alg":"HS256","typ":"JWT"}"#), parts[1], parts[2]));
        let mut claims = tokens.claims(&pair.access, now).expect("it holds");
        claims.sub = "root".to_owned();
        let forged = BASE64URL_NOPAD.encode(&serde_json::to_vec(&claims).expect("JSON"));
        check(&format!("{}.{forged}.{}", parts[0], parts[2]));
    }

    #[test]
    fn a_refresh_token_that_comes_twice_ends_its_line() {
        let (mut tokens, _folder) = tokens();
        let now = clock::since_epoch();
        let holds = |_: &str, _: &str| true;
        let first = tokens.begin("anna", "", now).expect("chance").refresh;
        let other = tokens.begin("anna", "", now).expect("chance").refresh;
        let second = tokens.exchange(&first, holds, now).expect("it is new").refresh;
        let third = tokens.exchange(&second, holds, now).expect("it is new").refresh;
        assert!(tokens.exchange(&first, holds, now).is_none());
        assert!(tokens.exchange(&third, holds, now).is_none());
        assert!(tokens.exchange(&other, |_, _| false, now).is_none());
        assert!(tokens.exchange(&other, holds, now).is_none());
    }
}
