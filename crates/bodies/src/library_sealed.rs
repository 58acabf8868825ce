//! What members of a sealed library hand each other: keys that are wrapped, and records that are sealed.

use std::collections::BTreeSet;

use bytes::Bytes;
use swarm_core::manifest::SigningKey;
use swarm_library::limits::{GRANT_LEN_MAX, GRANT_NODES_MAX};
use swarm_library::{Commit, CommitError, Draft, EpochKey, GrantDraft, Guid, Keyring, SignedGrant};

use super::library::sample_records;
use super::pieces::{field, key, node};
use super::{SLACK_LEN, Samples, assert_told, bounded};

/// The first byte selects the rest: a grant, or fields of one that is signed here.
pub(super) fn grant(bytes: &[u8]) {
    let [mode, rest @ ..] = bytes else { return };
    let encoded: Bytes = if mode % 2 == 0 { rest.to_vec() } else { signed_grant(rest) }.into();
    match bounded(encoded.len(), (GRANT_TIMES, SLACK_LEN), || SignedGrant::decode(encoded.clone())) {
        Err(error) => assert_told(&error),
        Ok(grant) => {
            check_grant(&grant);
            assert!(grant.encode().len() <= encoded.len());
            assert_eq!(SignedGrant::decode(grant.encode()), Ok(grant));
        }
    }
}

pub(super) fn check_grant(grant: &SignedGrant) {
    let said = grant.grant();
    assert!(grant.encode().len() <= GRANT_LEN_MAX && said.epoch > 0);
    assert!(said.wrapped.len() <= GRANT_NODES_MAX && said.removed.len() <= GRANT_NODES_MAX);
    let unwrapped = grant.unwrap(&key());
    assert!(unwrapped.as_ref().is_none_or(|unwrapped| unwrapped.id() == said.key));
    let mut ring = Keyring::default();
    ring.take([grant], &key());
    ring.note([grant]);
    assert_eq!(ring.key(&said.key).cloned(), unwrapped);
    // Nobody is trusted: nobody is owed a key, and nobody was removed by this node.
    assert!(ring.owed([grant], &key().public()).is_empty());
}

/// The first byte selects the rest: sealed records, or an edit of ones that open.
pub(super) fn sealed(bytes: &[u8]) {
    let [mode, rest @ ..] = bytes else { return };
    let records = sample_records();
    let draft = draft(&records);
    let good = Commit::sign_sealed(&key(), &draft, (1, &epoch_key())).expect("signed");
    let sealed: Bytes = if mode % 2 == 0 {
        rest.to_vec().into()
    } else {
        let mut sealed = good.encoded_records().to_vec();
        for edit in rest.chunks_exact(3) {
            let at = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % sealed.len();
            sealed[at] ^= edit[2];
        }
        sealed.into()
    };
    let Ok(commit) = Commit::sign_encoded(&key(), &draft, sealed, 1) else { return };
    match commit.opened(&epoch_key()) {
        Ok(opened) => {
            assert_eq!(opened, records);
            assert_eq!(commit.encoded_records(), good.encoded_records());
        }
        Err(error) => {
            assert_eq!(error, CommitError::NotOpened);
            assert_told(&error);
        }
    }
}

pub(super) fn grant_samples() -> Samples {
    let raw = |mode: u8, bytes: &[u8]| [&[mode], bytes].concat();
    assert!(SignedGrant::decode(signed_grant(&[]).into()).is_ok());
    let wrapped = |len| field(6, &[field(1, node(4).as_bytes()), field(2, &vec![1; len])].concat());
    vec![
        ("signed", raw(0, &sample_grant().encode())),
        ("body", raw(1, &[])),
        ("removed", raw(1, &field(5, node(3).as_bytes()))),
        ("wrapped", raw(1, &wrapped(80))),
        ("wrapped_short", raw(1, &wrapped(79))),
        ("no_epoch", raw(1, &[0x18, 0])),
        ("too_many", raw(1, &field(5, node(3).as_bytes()).repeat(GRANT_NODES_MAX + 1))),
    ]
}

pub(super) fn sealed_samples() -> Samples {
    let records = sample_records();
    let good = Commit::sign_sealed(&key(), &draft(&records), (1, &epoch_key())).expect("signed");
    vec![
        ("sealed", [&[0], good.encoded_records().as_ref()].concat()),
        ("same", vec![1]),
        ("other_version", vec![1, 0, 0, 3]),
        ("other_key", vec![1, 5, 0, 1]),
        ("other_text", vec![1, 90, 0, 1]),
        ("short", vec![0, 1, 2, 3]),
    ]
}

pub(super) fn sample_grant() -> SignedGrant {
    let (removed, me) = (BTreeSet::from([node(3)]), key().public());
    let nodes = [(me, [7; 32]), (SigningKey::from_seed(&[8; 32]).public(), [9; 32])];
    let library = Guid::new("jdfhdhdbe484746").expect("a GUID").key();
    let draft =
        GrantDraft { library, epoch: 2, key: &epoch_key(), removed: &removed, nodes: &nodes, made_at_ms: 9 };
    SignedGrant::sign(&key(), &draft).expect("signed")
}

/// A SignedGrant of `proto/` by the key of samples; a later field takes the place of an earlier one.
fn signed_grant(fields: &[u8]) -> Vec<u8> {
    let library = Guid::new("jdfhdhdbe484746").expect("a GUID").key();
    let body = [
        field(1, library.as_bytes()),
        field(2, key().public().as_bytes()),
        vec![0x18, 1],
        field(4, &epoch_key().id().0),
        fields.to_vec(),
    ]
    .concat();
    let signature = key().sign_bytes(b"swarm library key grant v1", &body);
    [field(1, &body), field(2, &signature)].concat()
}

fn draft(records: &[swarm_library::Record]) -> Draft<'_> {
    let library = Guid::new("jdfhdhdbe484746").expect("a GUID").key();
    Draft { library, after: None, content: None, made_at_ms: 5, covers: 0, records }
}

fn epoch_key() -> EpochKey {
    EpochKey::from_bytes([6; 32])
}

/// Two bytes can stand for a node with a key; a list doubles when it grows.
const GRANT_TIMES: u64 = 128;
