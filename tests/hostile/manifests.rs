//! Manifests that no honest tool makes, in files and from peers. None of their entries is created on disk.

use std::path::Path;

use swarm_core::base::ContentId;
use swarm_core::base::limits::{FILES_MAX, MANIFEST_BODY_LEN_MAX, MANIFEST_PAGE_LEN, PATH_DEPTH_MAX};
use swarm_core::manifest::{Source, Ticket};
use swarm_core::wire::Message;

use crate::support::{FetchVictim, HANDLE, Hostile, Spent, Talk, World, args, opened, varint};

/// An entry of a file, valid or not.
#[derive(Clone)]
struct Entry {
    path: Vec<u8>,
    len: u64,
    blake3: [u8; 32],
    chunk_len_log2: u8,
    chunk_hashes: Vec<u8>,
}

impl Entry {
    /// An empty file: only its path may be invalid.
    fn empty(path: impl AsRef<[u8]>) -> Self {
        let blake3 = *blake3::hash(&[]).as_bytes();
        Self { path: path.as_ref().to_vec(), len: 0, blake3, chunk_len_log2: 0, chunk_hashes: Vec::new() }
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = field(1, &self.path);
        if self.len > 0 {
            bytes.extend([16].into_iter().chain(varint(self.len)));
        }
        bytes.extend(field(4, &self.blake3));
        if self.chunk_len_log2 > 0 {
            bytes.extend([48].into_iter().chain(varint(self.chunk_len_log2.into())));
        }
        if !self.chunk_hashes.is_empty() {
            bytes.extend(field(7, &self.chunk_hashes));
        }
        bytes
    }
}

fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [vec![number << 3 | 2], varint(bytes.len() as u64), bytes.to_vec()].concat()
}

fn body(entries: &[Entry]) -> Vec<u8> {
    entries.iter().flat_map(|entry| field(1, &entry.encode())).collect()
}

/// A `.swarm` file around a body.
fn file_of(body: &[u8]) -> Vec<u8> {
    let mut bytes = b"swarm manifest\n\x01".to_vec();
    bytes.extend(field(1, body));
    let sum = blake3::hash(&bytes);
    bytes.extend(sum.as_bytes());
    bytes
}

/// Invalid bodies, and the expected message of each.
fn refused() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let paths = |paths: &[&str]| body(&paths.iter().map(Entry::empty).collect::<Vec<_>>());
    let long = |len: u64, chunk_len_log2, hashes: usize| Entry {
        len,
        chunk_len_log2,
        chunk_hashes: vec![7; hashes * 32],
        ..Entry::empty("evil")
    };
    vec![
        ("out of the folder", paths(&["../evil"]), "could leave its folder"),
        ("out of it by a detour", paths(&["a/../../evil"]), "could leave its folder"),
        ("absolute", paths(&["/tmp/evil"]), "is not relative"),
        ("a NUL", paths(&["evil\0.txt"]), "control character"),
        ("an escape for terminals", paths(&["evil\x1b[2J"]), "control character"),
        ("a dot", paths(&["./evil"]), "could leave its folder"),
        ("nothing between slashes", paths(&["a//evil"]), "could leave its folder"),
        ("no name", paths(&["", "evil"]), "is too short"),
        ("a long name", paths(&[&"evil".repeat(64)]), "is too long"),
        ("a long path", paths(&[&["evil"; 1000].join("/")]), "is too long"),
        ("a deep path", paths(&[&["e"; PATH_DEPTH_MAX + 1].join("/")]), "nested too deep"),
        ("not UTF-8", body(&[Entry::empty([0xff; 8])]), "not a manifest"),
        ("twice", paths(&["evil", "evil"]), "in the manifest twice"),
        ("a file and a folder", paths(&["evil", "evil/a"]), "is both a file and a folder"),
        ("two cases", paths(&["Evil", "evil"]), "`Evil` and `evil` are one name"),
        ("two cases of a folder", paths(&["Evil/a", "evil/b"]), "`Evil` and `evil` are one name"),
        ("two forms", paths(&["e\u{301}vil", "\u{e9}vil"]), "`e\\u{301}vil` and `\\u{e9}vil` are one name"),
        ("not in order", paths(&["evil", "a"]), "twice, or is both"),
        ("a length without hashes", body(&[long(u64::MAX, 0, 0)]), "chunk length of `evil`"),
        ("a length that its hashes do not cover", body(&[long(u64::MAX, 24, 1)]), "do not add up"),
        ("a chunk of 2^200 bytes", body(&[long(1 << 30, 200, 1)]), "chunk length of `evil`"),
        ("hashes of nothing", body(&[long(0, 20, 1)]), "do not add up"),
        (
            "totals that overflow",
            body(&["a", "b", "c"].map(|path| Entry { path: path.into(), ..long(u64::MAX / 2, 24, 40) })),
            "do not add up",
        ),
        ("an unknown field", [paths(&["evil"]), field(9, b"x")].concat(), "unknown field"),
        ("bytes after the end", [paths(&["evil"]), vec![0x0a]].concat(), "cut short"),
        ("an entry longer than all", vec![0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f], "cut short"),
    ]
}

fn nothing_was_made(world: &World) {
    let is_evil = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().contains("evil"));
    let evil = walkdir::WalkDir::new(world.path(""))
        .into_iter()
        .filter_map(Result::ok)
        .find(|found| is_evil(found.path()) && !found.path().ends_with("evil.swarm"));
    assert!(evil.is_none(), "{evil:?}");
    assert!(!Path::new("/tmp/evil").exists());
}

#[test]
fn invalid_manifest_files_are_refused() {
    let world = World::new();
    for (what, body, why) in refused() {
        std::fs::write(world.path("evil.swarm"), file_of(&body)).expect("room");
        let outcome = world.run(&args!["fetch", "-o", "out", world.path("evil.swarm")]).expect_code(2);
        let line = outcome.failure_line();
        assert!(line.contains(why), "{what}: {line}");
        nothing_was_made(&world);
    }
}

#[test]
fn a_manifest_of_more_files_than_allowed_is_refused() {
    let world = World::new();
    let entries: Vec<Entry> =
        (0..=FILES_MAX as u32).map(|number| Entry::empty(format!("{number:08x}"))).collect();
    std::fs::write(world.path("evil.swarm"), file_of(&body(&entries))).expect("room");
    let outcome = world.run(&args!["fetch", "-o", "out", world.path("evil.swarm")]).expect_code(2);
    assert!(outcome.failure_line().contains("holds more than 1048576 files"), "{outcome:#?}");
    nothing_was_made(&world);
}

#[test]
fn an_invalid_manifest_from_a_peer_ends_the_fetch_and_creates_nothing() {
    let world = World::new();
    let kinds = [
        "out of the folder",
        "absolute",
        "two forms",
        "a length that its hashes do not cover",
        "a deep path",
    ];
    for (what, body, why) in refused().into_iter().filter(|(what, ..)| kinds.contains(what)) {
        let hostile = Hostile::new(1);
        let content = ContentId::from_bytes(*blake3::hash(&body).as_bytes());
        let source: Source = hostile.peer().parse().expect("a place");
        let ticket = Ticket { sources: vec![source], ..Ticket::new(content) };
        hostile.serve(move |talk| serve_body(talk, content, body.clone()));
        let outcome = world.run(&args!["fetch", "-o", "out", ticket.to_string()]).expect_code(2);
        assert!(outcome.failure_line().contains(why), "{what}: {outcome:#?}");
        nothing_was_made(&world);
    }
}

/// Names with a drive letter of another system are names of files below the folder here.
#[test]
fn drive_letters_and_backslashes_stay_below_the_folder() {
    let world = World::new();
    let body = body(&["..\\evil", "C:/evil", "C:\\evil", "\\\\host\\evil"].map(Entry::empty));
    std::fs::write(world.path("odd.swarm"), file_of(&body)).expect("room");
    world.run(&args!["fetch", "--timeout", "2", "-o", "out/deep", world.path("odd.swarm")]).expect_code(0);
    for found in walkdir::WalkDir::new(world.path("")).into_iter().filter_map(Result::ok) {
        let is_evil = found.file_name().to_string_lossy().contains("evil");
        assert!(!is_evil || found.path().starts_with(world.path("out/deep")), "{found:?}");
    }
}

#[test]
fn a_folder_with_names_that_collide_elsewhere_is_not_indexed_and_both_are_named() {
    let world = World::new();
    for (one, other, names) in [
        ("Film.mkv", "film.mkv", ["film.mkv` (", "one name with `tree/Film.mkv`"]),
        ("cafe\u{301}", "caf\u{e9}", ["caf\u{e9}` (", "one name with `tree/cafe\u{301}`"]),
        ("Straße/a", "strasse/b", ["strasse` (", "one name with `tree/Straße`"]),
    ] {
        let tree = world.path("tree");
        let _ = std::fs::remove_dir_all(&tree);
        world.file(&format!("tree/{one}"), 10);
        world.file(&format!("tree/{other}"), 10);
        for command in [args!["seed", tree], args!["manifest", "create", "-o", "made.swarm", tree]] {
            let outcome = world.run(&command).expect_code(2);
            let line = outcome.failure_line();
            assert!(names.iter().all(|name| line.contains(name)), "{line}");
            assert!(line.contains("rename them"), "{line}");
        }
    }
}

/// Serves these bytes as the manifest of a content.
async fn serve_body(mut talk: Talk, content: ContentId, body: Vec<u8>) {
    talk.greet().await;
    talk.say(&Message::Open { handle: HANDLE, content, knows_manifest: true, is_offer: false }).await;
    let body_len = body.len() as u64;
    while let Some(message) = talk.hear().await {
        if let Message::ManifestRequest { page, .. } = message {
            let at = page as usize * MANIFEST_PAGE_LEN;
            let data = body[at..body.len().min(at + MANIFEST_PAGE_LEN)].to_vec().into();
            talk.say(&Message::ManifestPage { handle: HANDLE, page, body_len, data }).await;
        }
    }
}

#[test]
fn a_manifest_of_another_content_gets_its_sender_banned() {
    let victim = FetchVictim::new();
    let (hostile, content) = (Hostile::new(1), victim.film.content());
    hostile.serve(move |talk| serve_body(talk, content, vec![9; 300_000]));
    victim
        .fetch_when_banned("a manifest of another content", &hostile)
        .banned(hostile.node(), "a manifest that is not the content's");
}

#[test]
fn an_invalid_manifest_of_the_longest_length_costs_its_own_length() {
    let victim = FetchVictim::new();
    let (hostile, content) = (Hostile::new(1), victim.film.content());
    hostile.serve(move |talk| serve_body(talk, content, vec![9; MANIFEST_BODY_LEN_MAX]));
    let settled = victim.fetch_when_banned("64 MiB of rubbish as the manifest", &hostile);
    settled.told(hostile.node(), "banned", "a manifest that is not the content's");
    let more = Spent { peak_len: MANIFEST_BODY_LEN_MAX as u64, cpu: std::time::Duration::ZERO };
    settled.passed_beside(more, "banned; as much more as a manifest may have");
}

#[test]
fn unrequested_manifest_pages_get_their_sender_banned() {
    let victim = FetchVictim::new();
    let (hostile, film) = (Hostile::new(1), victim.film.clone());
    hostile.serve(move |mut talk| {
        let film = film.clone();
        async move {
            talk.greet().await;
            talk.say(&opened(&film, HANDLE)).await;
            while !matches!(talk.hear().await, None | Some(Message::ManifestRequest { .. })) {}
            let page = Message::ManifestPage {
                handle: HANDLE,
                page: 3,
                body_len: 1 << 20,
                data: vec![1; MANIFEST_PAGE_LEN].into(),
            };
            talk.say(&page).await;
            talk.idle().await;
        }
    });
    victim
        .fetch_when_banned("an unrequested manifest page", &hostile)
        .banned(hostile.node(), "was not asked for");
}

#[test]
fn pages_whose_total_changes_get_their_sender_banned() {
    let victim = FetchVictim::new();
    let (hostile, film) = (Hostile::new(1), victim.film.clone());
    hostile.serve(move |mut talk| {
        let film = film.clone();
        async move {
            talk.greet().await;
            talk.say(&opened(&film, HANDLE)).await;
            while let Some(message) = talk.hear().await {
                if let Message::ManifestRequest { page, .. } = message {
                    let body_len = (1 << 20) + u64::from(page);
                    let data = vec![1; MANIFEST_PAGE_LEN].into();
                    talk.say(&Message::ManifestPage { handle: HANDLE, page, body_len, data }).await;
                }
            }
        }
    });
    victim
        .fetch_when_banned("a manifest whose length changes", &hostile)
        .banned(hostile.node(), "was not asked for");
}
