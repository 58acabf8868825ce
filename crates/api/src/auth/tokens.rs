//! Tokens of programs: an access token (RFC 7519, signed by EdDSA) for minutes, and a refresh token that is exchanged once. Invariant: one algorithm is
//! accepted, whatever a token's head says; all refresh tokens of one login are a line, of which the last alone holds: an earlier one ends the line, since
//! somebody copied it; a line ends some time after its login, however often it is used; a revocation holds, however many there are. What is kept is bounded, and many logins of one user end none of another's.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use data_encoding::HEXLOWER;
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature::{self, Signer, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use crate::chance::{hash_of, secret};
use crate::error::ApiError;
use crate::limits::{
    ACCESS_AGE, LOGIN_AGE_MAX, REFRESH_AGE, REFRESH_MAX, REFRESH_OF_USER_MAX, REVOKED_MAX,
    REVOKED_OF_USER_MAX,
};
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
    /// The login that it came from.
    #[serde(default)]
    pub(crate) lin: String,
}

/// The tokens of this node.
pub(crate) struct Tokens {
    signing: EncodingKey,
    verifying: DecodingKey,
    node: String,
    /// By the hash of the first half of their refresh tokens.
    lines: BTreeMap<[u8; 32], Line>,
    /// Access tokens that were revoked, by their name or that of their login.
    revoked: BTreeMap<String, Revoked>,
    /// Users of whom all access tokens made up to a time, in seconds since 1970, were revoked.
    all_revoked: BTreeMap<String, u64>,
    /// Of earlier processes, all access tokens up to this time: what they revoked one by one is not known any more.
    revoked_before: u64,
    /// When this process last revoked one, or an earlier process did.
    last_revocation: u64,
}

/// All refresh tokens that came from one login.
#[derive(Clone, Debug)]
struct Line {
    user: String,
    proof: String,
    /// The hash of the second half of the last one.
    last: [u8; 32],
    /// When the password was proven, since 1970.
    login_at: Duration,
    expires_at: u64,
}

#[derive(Clone, Debug)]
struct Revoked {
    user: String,
    /// Until then it matters.
    expires_at: u64,
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
            lines: BTreeMap::new(),
            revoked: BTreeMap::new(),
            all_revoked: BTreeMap::new(),
            revoked_before: 0,
            last_revocation: 0,
        })
    }

    /// An earlier process revoked tokens up to this time, in seconds since 1970: of those that were made until then none holds.
    pub(crate) fn forget_before(&mut self, time: u64) {
        (self.revoked_before, self.last_revocation) = (time, time);
    }

    /// The time of the last revocation, for [`Tokens::forget_before`] of a later process.
    pub(crate) fn last_revocation(&self) -> u64 {
        self.last_revocation
    }

    /// Tokens for a user who has just proven a password.
    pub(crate) fn begin(&mut self, user: &str, proof: &str, now: Duration) -> Option<Pair> {
        self.make_room(user, now);
        self.pair((user, proof), (&secret()?, now), now)
    }

    /// Other tokens for a refresh token, which is used up. `holds` says whether the user still has that proof.
    pub(crate) fn exchange(
        &mut self,
        refresh: &str,
        holds: impl FnOnce(&str, &str) -> bool,
        now: Duration,
    ) -> Option<Pair> {
        let (line, turn) = refresh.split_once('.')?;
        let key = hash_of(line);
        let known = self.lines.get(&key).filter(|known| known.expires_at > now.as_secs())?;
        let Line { user, proof, last, login_at, .. } = known.clone();
        if last != hash_of(turn) || !holds(&user, &proof) {
            self.end_line(&key, now);
            return None;
        }
        self.pair((&user, &proof), (line, login_at), now)
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
        let is_revoked = self.revoked.contains_key(&claims.jti)
            || self.revoked.contains_key(&claims.lin)
            || claims.iat <= self.revoked_until(&claims.sub);
        claims.exp > now.as_secs() && !is_revoked
    }

    fn revoked_until(&self, user: &str) -> u64 {
        self.all_revoked.get(user).copied().unwrap_or(0).max(self.revoked_before)
    }

    /// Ends a refresh token with all that came from the same login, or an access token. Where more were revoked than are remembered one by one, all
    /// access tokens of their user end. Whose token it was.
    pub(crate) fn revoke(&mut self, token: &str, now: Duration) -> Option<String> {
        let line = token.split_once('.').map(|(line, _)| hash_of(line));
        if let Some(user) = line.and_then(|line| self.end_line(&line, now)) {
            return Some(user);
        }
        let claims = self.claims(token, now)?;
        let revoked = Revoked { user: claims.sub.clone(), expires_at: claims.exp };
        self.remember(claims.jti, revoked, now);
        Some(claims.sub)
    }

    /// Ends all tokens of a login. Whose it was.
    fn end_line(&mut self, line: &[u8; 32], now: Duration) -> Option<String> {
        let user = self.lines.remove(line)?.user;
        let expires_at = (now + ACCESS_AGE).as_secs();
        self.remember(name_of(line), Revoked { user: user.clone(), expires_at }, now);
        Some(user)
    }

    fn remember(&mut self, name: String, revoked: Revoked, now: Duration) {
        self.last_revocation = self.last_revocation.max(now.as_secs());
        self.forget_expired(now);
        let of_user = self.revoked.values().filter(|known| known.user == revoked.user).count();
        if of_user < REVOKED_OF_USER_MAX && self.revoked.len() < REVOKED_MAX {
            self.revoked.insert(name, revoked);
            return;
        }
        self.revoked.retain(|_, known| known.user != revoked.user);
        // None of them was made later than the next one would be.
        let until = self.next_iat(&revoked.user, now);
        self.all_revoked.insert(revoked.user, until);
    }

    /// When the next token of a user is made: after a revocation of all, also within its second, and while a clock that went back has not come so far again.
    fn next_iat(&self, user: &str, now: Duration) -> u64 {
        now.as_secs().max(self.revoked_until(user).saturating_add(1))
    }

    /// Ends the refresh tokens of a user.
    pub(crate) fn end_all_of(&mut self, user: &str) {
        self.lines.retain(|_, known| known.user != user);
    }

    /// The next tokens of a line, which begins with them if it is new.
    fn pair(
        &mut self,
        (user, proof): (&str, &str),
        (line, login_at): (&str, Duration),
        now: Duration,
    ) -> Option<Pair> {
        let (jti, turn) = (secret()?, secret()?);
        let (iat, exp) = (self.next_iat(user, now), (now + ACCESS_AGE).as_secs());
        let (sub, iss, lin) = (user.to_owned(), self.node.clone(), name_of(&hash_of(line)));
        let claims = Claims { sub, iss, jti, iat, exp, prf: proof.to_owned(), lin };
        let access = jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &self.signing).ok()?;
        let known = Line {
            user: user.to_owned(),
            proof: proof.to_owned(),
            last: hash_of(&turn),
            login_at,
            expires_at: (now + REFRESH_AGE).min(login_at + LOGIN_AGE_MAX).as_secs(),
        };
        self.lines.insert(hash_of(line), known);
        Some(Pair { access, refresh: format!("{line}.{turn}"), expires_in: ACCESS_AGE })
    }

    /// For one more line of a user. The one that was not used for longest ends: one of the user's own, as long as that has its share.
    fn make_room(&mut self, user: &str, now: Duration) {
        self.forget_expired(now);
        let is_own = |line: &&[u8; 32]| self.lines[*line].user == user;
        let own = self.lines.keys().filter(is_own).count();
        let may_end = |line: &&[u8; 32]| own < REFRESH_OF_USER_MAX || is_own(line);
        if own >= REFRESH_OF_USER_MAX || self.lines.len() >= REFRESH_MAX {
            let idlest = self.lines.keys().filter(may_end).min_by_key(|line| self.lines[*line].expires_at);
            idlest.copied().map(|line| self.lines.remove(&line));
        }
    }

    fn forget_expired(&mut self, now: Duration) {
        let (now, youngest) = (now.as_secs(), ACCESS_AGE.as_secs());
        self.lines.retain(|_, known| known.expires_at > now);
        self.revoked.retain(|_, revoked| revoked.expires_at > now);
        self.all_revoked.retain(|_, until| until.saturating_add(youngest) > now);
    }
}

/// What a login is called in its access tokens: no part of what opens it.
fn name_of(line: &[u8; 32]) -> String {
    HEXLOWER.encode(&hash_of(&HEXLOWER.encode(line))[..16])
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
        let third = tokens.exchange(&second, holds, now).expect("it is new");
        assert!(tokens.claims(&third.access, now).is_some());
        assert!(tokens.exchange(&first, holds, now).is_none());
        assert!(tokens.exchange(&third.refresh, holds, now).is_none());
        assert!(tokens.claims(&third.access, now).is_none());
        assert!(tokens.exchange(&other, |_, _| false, now).is_none());
        assert!(tokens.exchange(&other, holds, now).is_none());
    }

    #[test]
    fn a_line_that_goes_on_for_long_is_ended_by_nobody_else() {
        let (mut tokens, _folder) = tokens();
        let (now, holds) = (clock::since_epoch(), |_: &str, _: &str| true);
        let mut of_anna = tokens.begin("anna", "", now).expect("chance").refresh;
        for turn in 0..2 * REFRESH_MAX as u64 {
            of_anna = tokens
                .exchange(&of_anna, holds, now + Duration::from_secs(turn))
                .expect("the last one")
                .refresh;
        }
        assert_eq!(tokens.lines.len(), 1);
        let later = now + Duration::from_secs(2 * REFRESH_MAX as u64);
        let first = tokens.begin("ben", "", later).expect("chance").refresh;
        for _ in 0..REFRESH_OF_USER_MAX {
            tokens.begin("ben", "", later + Duration::from_secs(1)).expect("chance");
        }
        assert_eq!(tokens.lines.len(), REFRESH_OF_USER_MAX + 1);
        assert!(tokens.exchange(&first, holds, later).is_none());
        assert!(tokens.exchange(&of_anna, holds, later).is_some());
    }

    #[test]
    fn a_line_ends_ninety_days_after_its_login_however_often_it_is_used() {
        let (mut tokens, _folder) = tokens();
        let (login_at, holds) = (clock::since_epoch(), |_: &str, _: &str| true);
        let mut refresh = tokens.begin("anna", "", login_at).expect("chance").refresh;
        let mut now = login_at;
        while now + REFRESH_AGE / 2 < login_at + LOGIN_AGE_MAX {
            now += REFRESH_AGE / 2;
            refresh = tokens.exchange(&refresh, holds, now).expect("it was used lately").refresh;
        }
        assert!(tokens.exchange(&refresh, holds, login_at + LOGIN_AGE_MAX).is_none());
        let again = tokens.begin("anna", "", login_at + LOGIN_AGE_MAX).expect("chance").refresh;
        assert!(tokens.exchange(&again, holds, login_at + LOGIN_AGE_MAX).is_some());
    }

    #[test]
    fn lines_of_many_users_are_bounded() {
        let (mut tokens, _folder) = tokens();
        let now = clock::since_epoch();
        for number in 0..REFRESH_MAX + 10 {
            tokens.begin(&format!("user {number}"), "", now).expect("chance");
        }
        assert_eq!(tokens.lines.len(), REFRESH_MAX);
    }

    #[test]
    fn a_revocation_holds_however_many_there_are() {
        let (mut tokens, _folder) = tokens();
        let now = clock::since_epoch();
        let begin = |tokens: &mut Tokens, user: &str| tokens.begin(user, "", now).expect("chance").access;
        let (of_anna, of_ben) = (begin(&mut tokens, "anna"), begin(&mut tokens, "ben"));
        for _ in 0..REVOKED_OF_USER_MAX + 2 {
            let access = begin(&mut tokens, "ben");
            tokens.revoke(&access, now);
            assert!(tokens.claims(&access, now).is_none());
        }
        // All that ben had has ended, and what ben gets from now on holds.
        assert!(tokens.claims(&of_ben, now).is_none());
        let later = begin(&mut tokens, "ben");
        assert!(tokens.claims(&later, now).is_some() && tokens.claims(&of_anna, now).is_some());
        tokens.revoke(&later, now);
        assert!(tokens.claims(&later, now).is_none());
        tokens.forget_expired(now + 2 * ACCESS_AGE);
        assert!(tokens.revoked.is_empty() && tokens.all_revoked.is_empty());
    }

    #[test]
    fn what_an_earlier_process_revoked_holds_no_more() {
        let (mut tokens, _folder) = tokens();
        let now = clock::since_epoch();
        let earlier = tokens.begin("anna", "", now).expect("chance").access;
        tokens.forget_before(now.as_secs() - 1);
        assert!(tokens.claims(&earlier, now).is_some());
        tokens.forget_before(now.as_secs());
        assert!(tokens.claims(&earlier, now).is_none());
        let later = tokens.begin("anna", "", now).expect("chance").access;
        assert!(tokens.claims(&later, now).is_some());
    }
}
