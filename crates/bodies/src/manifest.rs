//! Manifest bodies, `.swarm` files and tickets.

use bytes::Bytes;
use data_encoding::BASE32_NOPAD;
use swarm_core::base::limits::{
    CHUNKS_MAX, COMMENT_LEN_MAX, COORDINATORS_MAX, FILES_MAX, PATH_COMPONENT_LEN_MAX, PATH_DEPTH_MAX,
    PATH_LEN_MAX, SIGNATURES_MAX, SOURCE_ADDRESSES_MAX, SOURCES_MAX, TICKET_LEN_MAX,
};
use swarm_core::manifest::{
    ContentKey, EntryPath, Manifest, ManifestFile, Sealer, SigningKey, Source, Ticket, WrappedKey,
};

use super::pieces::{content, field, file_of, key, manifest_of, path, source};
use super::{SLACK_LEN, Samples, assert_told, bounded};

/// A body is canonical: a decoded one encodes to the same bytes, and every chunk and path of it is valid.
pub(super) fn body(bytes: &[u8]) {
    let body = Bytes::copy_from_slice(bytes);
    match bounded(bytes.len(), (BODY_TIMES, SLACK_LEN), || Manifest::decode(body)) {
        Err(error) => assert_told(&error),
        Ok(manifest) => {
            assert_eq!(manifest.body(), bytes);
            check_manifest(&manifest);
            if !manifest.is_sealed() {
                let again = Manifest::new(manifest.files().to_vec(), manifest.empty_directories().to_vec());
                assert_eq!(again.expect("it was valid").body(), bytes);
            }
            // Any sealed part either opens with the key or is refused.
            let _ = manifest.opened(&ContentKey::from_bytes([4; 32]));
        }
    }
}

fn check_manifest(manifest: &Manifest) {
    let geometry = manifest.geometry();
    assert!(geometry.chunk_count() <= CHUNKS_MAX && manifest.files().len() <= FILES_MAX);
    assert_eq!(manifest.id().as_bytes(), blake3::hash(manifest.body()).as_bytes());
    assert_eq!(geometry.content_len(), manifest.files().iter().map(|file| file.len).sum::<u64>());
    let mut at = 0;
    for chunk in geometry.chunks().take(64) {
        let span = geometry.span(chunk);
        assert_eq!(span.content_offset, at);
        assert!(span.len > 0 && span.file_offset + u64::from(span.len) <= manifest.file(span.file).len);
        at += u64::from(span.len);
        manifest.chunk_hash(chunk);
    }
    manifest.files().iter().map(|file| &file.path).chain(manifest.empty_directories()).for_each(check_path);
    assert!(!manifest.name().is_empty());
}

/// No file created at this path is outside of its folder.
pub(super) fn check_path(path: &EntryPath) {
    assert!(path.as_str().len() <= PATH_LEN_MAX && path.components().count() <= PATH_DEPTH_MAX);
    assert!(!path.as_str().chars().any(char::is_control));
    let is_sound = |part: &str| !matches!(part, "" | "." | "..") && part.len() <= PATH_COMPONENT_LEN_MAX;
    assert!(path.components().all(is_sound), "{path}");
    assert_eq!(EntryPath::new(path.as_str()).as_ref(), Ok(path));
    let relative = std::path::Path::new(path.as_str());
    let is_normal = |part| matches!(part, std::path::Component::Normal(_));
    assert!(relative.components().all(is_normal), "{path}");
}

pub(super) fn body_samples() -> Samples {
    let tiny_files: Vec<u8> =
        (0..25u8).flat_map(|at| field(1, &[field(1, &[b'a' + at]), field(4, &[at; 32])].concat())).collect();
    let tiny_folders: Vec<u8> = (b'a'..=b'z').flat_map(|name| field(2, &[name])).collect();
    let good = manifest_of(&[("b/two", 50_000), ("a", 5), ("b/empty", 0)]).body().to_vec();
    let empty = Manifest::new(Vec::new(), Vec::new()).expect("no paths").body().to_vec();
    let mut climbing = Manifest::new(vec![file_of("xx/y", b"1")], Vec::new()).expect("good").body().to_vec();
    let at = climbing.windows(2).position(|bytes| bytes == b"xx").expect("it is there");
    climbing[at..at + 2].copy_from_slice(b"..");
    vec![
        ("one_file", Manifest::new(vec![file_of("a", b"hello")], Vec::new()).expect("good").body().to_vec()),
        ("folder", Manifest::new(Vec::new(), vec![path("a/b c/d")]).expect("good").body().to_vec()),
        ("cut", good[..good.len() / 2].to_vec()),
        ("several", good),
        ("nothing", empty),
        ("climbing", climbing),
        ("tiny_files", tiny_files),
        ("tiny_folders", tiny_folders),
        ("empty_entries", field(1, b"").repeat(100)),
        ("sealed", sealed_body()),
    ]
}

/// The body of a sealed content.
fn sealed_body() -> Vec<u8> {
    let plain = manifest_of(&[("b/two", 50_000), ("a", 5)]);
    let sealer = Sealer::new(&plain, &ContentKey::from_bytes([4; 32]));
    let geometry = plain.geometry();
    let chunks = geometry.chunks().map(|chunk| {
        let mut data = vec![0; geometry.chunk_len(chunk) as usize];
        sealer.seal(chunk, &mut data)
    });
    let chunks: Vec<_> = chunks.collect();
    sealer.finish(&chunks).expect("a good manifest").body().to_vec()
}

/// The first byte selects the rest: a whole file, the part between magic and checksum, or the part around a valid body.
pub(super) fn file(bytes: &[u8]) {
    let [mode, rest @ ..] = bytes else { return };
    match mode % 3 {
        0 => check_file(rest),
        1 => check_file(&sealed(rest)),
        _ => check_file(&sealed(&[field(1, good_body().body()), rest.to_vec()].concat())),
    }
}

fn good_body() -> Manifest {
    Manifest::new(vec![file_of("a", b"hello")], Vec::new()).expect("a good path")
}

/// With magic and checksum.
fn sealed(inner: &[u8]) -> Vec<u8> {
    let bytes = [b"swarm manifest\n\x01".as_slice(), inner].concat();
    let sum = blake3::hash(&bytes);
    [bytes.as_slice(), sum.as_bytes()].concat()
}

fn check_file(bytes: &[u8]) {
    let input = Bytes::copy_from_slice(bytes);
    match bounded(bytes.len(), (BODY_TIMES, SLACK_LEN), || ManifestFile::decode(&input)) {
        Err(error) => assert_told(&error),
        Ok(file) => {
            check_manifest(&file.manifest);
            assert!(file.sources.len() <= SOURCES_MAX && file.coordinators.len() <= COORDINATORS_MAX);
            assert!(file.signatures.len() <= SIGNATURES_MAX && file.comment.len() <= COMMENT_LEN_MAX);
            file.sources.iter().chain(&file.coordinators).for_each(check_source);
            let written = file.encode();
            assert!(written.len() <= bytes.len());
            assert_eq!(ManifestFile::decode(&written.into()), Ok(file));
        }
    }
}

fn check_source(source: &Source) {
    assert!(source.addresses.len() <= SOURCE_ADDRESSES_MAX);
    source.addresses.iter().for_each(super::texts::check_address);
}

pub(super) fn file_samples() -> Samples {
    let manifest = good_body();
    let full = ManifestFile {
        sources: vec![source(1), source(2)],
        coordinators: vec![source(3)],
        comment: "a film".to_owned(),
        signatures: vec![key().sign(manifest.id())],
        manifest: manifest.clone(),
    };
    let full = full.encode();
    let inner = &full[16..full.len() - 32];
    let around = &inner[field(1, manifest.body()).len()..];
    let mode = |mode: u8, bytes: &[u8]| [&[mode], bytes].concat();
    vec![
        ("plain", mode(0, &ManifestFile::new(manifest).encode())),
        ("full", mode(0, &full)),
        ("sealed", mode(1, inner)),
        ("around", mode(2, around)),
        ("cut", mode(0, &full[..full.len() - 1])),
        ("tiny_sources", mode(2, &field(2, b"").repeat(400))),
        ("tiny_signatures", mode(2, &field(4, b"").repeat(400))),
        ("other", mode(0, b"%PDF-1.4")),
        ("forged", mode(2, &field(4, &[field(1, &[1; 32]), field(2, &[2; 64])].concat()))),
    ]
}

/// The first byte selects the rest: the text, or the bytes in it before the checksum.
pub(super) fn ticket(bytes: &[u8]) {
    let [mode, rest @ ..] = bytes else { return };
    if mode % 2 == 1 {
        let sum = blake3::hash(rest);
        let sealed = [rest, &sum.as_bytes()[..4]].concat();
        check_ticket(&format!("swarm1{}", BASE32_NOPAD.encode(&sealed).to_lowercase()));
    } else if let Ok(text) = std::str::from_utf8(rest) {
        check_ticket(text);
    }
}

fn check_ticket(text: &str) {
    match bounded(text.len(), (TICKET_TIMES, SLACK_LEN), || text.parse::<Ticket>()) {
        Err(error) => assert_told(&error),
        Ok(ticket) => {
            assert!(Ticket::is_like(text.trim()));
            assert!(ticket.sources.len() <= SOURCES_MAX && ticket.coordinators.len() <= COORDINATORS_MAX);
            ticket.sources.iter().chain(&ticket.coordinators).for_each(check_source);
            let written = ticket.to_string();
            assert!(written.len() <= text.trim().len() && written.len() <= TICKET_LEN_MAX);
            assert_eq!(written.parse(), Ok(ticket));
        }
    }
}

pub(super) fn ticket_samples() -> Samples {
    let ticket =
        |sources, coordinators| Ticket { sources, coordinators, ..Ticket::new(content(7)) }.to_string();
    let signed = Ticket {
        signatures: vec![SigningKey::from_seed(&[3; 32]).sign(content(7))],
        key: Some(ContentKey::from_bytes([4; 32])),
        wrapped_keys: WrappedKey::from_slice(&[5; 80]).into_iter().collect(),
        ..Ticket::new(content(7))
    };
    let full = ticket(vec![source(1), source(2)], vec![source(3)]);
    let inner = BASE32_NOPAD.decode(full[6..].to_uppercase().as_bytes()).expect("ours");
    let mode = |mode: u8, bytes: &[u8]| [&[mode], bytes].concat();
    vec![
        ("bare", mode(0, ticket(Vec::new(), Vec::new()).as_bytes())),
        ("shouted", mode(0, format!(" {}\n", full.to_uppercase()).as_bytes())),
        ("typo", mode(0, full.replacen('a', "b", 1).as_bytes())),
        ("full", mode(0, full.as_bytes())),
        ("inner", mode(1, &inner[..inner.len() - 4])),
        ("tiny_sources", mode(1, &[field(1, &[7; 32]), field(2, b"").repeat(150)].concat())),
        ("other", mode(0, "film.swarm é".as_bytes())),
        ("signed and sealed", mode(0, signed.to_string().as_bytes())),
    ]
}

/// Files and folders, twice while a list grows, and once more as protobuf to compare the bytes.
const BODY_TIMES: u64 = 40;
/// As for messages, but eight characters decode to five bytes.
const TICKET_TIMES: u64 = 96;
