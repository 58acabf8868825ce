//! Files that nobody meant: nothing panics, every message is one line, and what is printed reads as the same.

use super::World;
use crate::{FileName, Json};

/// Texts that hold every key, to begin from.
const WHOLE: [(FileName, &str); 5] = [
    (
        FileName::Config,
        r#"{"port": 8000, "listen": "::1", "username": "é", "password": "\u00e9\ud83c\udfac", "lan": true, "limits": {"up": "1MB/s"}, "tls": {"cert": "a", "key": "b"}, "x": [1e3, -0.5, null]}"#,
    ),
    (
        FileName::Peers,
        r#"[{"address": "a:1", "trusted": true, "name": "n"}, {"address": "[::1]:2", "role": "mirror"}]"#,
    ),
    (FileName::Users, r#"[{"user": "a", "pass": "b", "role": "admin", "libraries": {"Lib 1": "editor"}}]"#),
    (
        FileName::Libraries,
        r#"{"Lib 1": {"guid": "a", "mounts": [{"dir": "/v", "libpath": "/v", "readonly": true}, {"dir": "s", "libpath": "/", "sync": true, "minFree": "1GB"}], "approvals": {"delete": 2}, "retention": {"days": 3}, "conflicts": "newer"}}"#,
    ),
    (
        FileName::Subscriptions,
        r#"[{"guid": "b", "localSyncDir": "./b", "from": ["a:1"], "include": ["*"], "versionOf": "n", "priority": -3}]"#,
    ),
];

const PIECES: [&str; 24] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\\u",
    "\\ud83c",
    "null",
    "true",
    "-",
    "1e999",
    "99999999999999999999",
    "/",
    "..",
    "\n",
    "\0",
    "\u{202e}",
    "é",
    "0",
    "//",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
];

fn mutated(random: &mut fastrand::Rng, text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..random.usize(1..3) {
        let at = random.usize(0..=bytes.len());
        match random.u8(0..4) {
            0 => drop(bytes.splice(at..at, PIECES[random.usize(0..PIECES.len())].bytes())),
            1 => drop(bytes.drain(at..(at + random.usize(0..12)).min(bytes.len()))),
            2 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = random.u8(..)),
            _ => {
                let from = random.usize(0..=at);
                let piece = bytes[from..at].to_vec();
                drop(bytes.splice(at..at, piece));
            }
        }
    }
    bytes
}

#[test]
fn random_files_never_panic_and_are_told_in_one_line() {
    let mut random = fastrand::Rng::with_seed(16);
    let mut world = World::new();
    WHOLE.iter().for_each(|(file, text)| world.write(*file, text));
    assert_eq!(world.folder.reload().errors, [], "all is right before it is changed");
    let (mut good, mut bad) = (0, 0);
    for round in 0..1500 {
        let (file, text) = WHOLE[round % WHOLE.len()];
        let bytes = mutated(&mut random, text);
        std::fs::write(world.folder.path(file), &bytes).expect("a file");
        let reloaded = world.folder.reload();
        let told = reloaded.errors.iter().map(ToString::to_string);
        for line in told.chain(reloaded.warnings.iter().map(ToString::to_string)) {
            assert!(!line.chars().any(char::is_control) && line.len() < 2000, "{line:?} of {bytes:?}");
        }
        let is_wrong = reloaded.errors.iter().any(|error| error.place.file == file);
        (good, bad) = if is_wrong { (good, bad + 1) } else { (good + 1, bad) };
    }
    assert!(good > 80 && bad > 500, "both are tried: {good} {bad}");
}

#[test]
fn what_is_printed_reads_as_the_same() {
    let mut random = fastrand::Rng::with_seed(17);
    let mut read = 0;
    for round in 0..40_000 {
        let bytes = mutated(&mut random, WHOLE[round % WHOLE.len()].1);
        let Ok(text) = str::from_utf8(&bytes) else { continue };
        let by_serde = serde_json::from_str::<serde_json::Value>(text);
        let Ok(json) = text.parse::<Json>() else {
            assert!(by_serde.is_err() || is_stricter(text), "{text}");
            continue;
        };
        read += 1;
        let printed = json.to_string();
        assert_eq!(printed.parse::<Json>().as_ref(), Ok(&json), "{text}");
        assert_eq!(printed.parse::<Json>().expect("JSON").to_string(), printed, "{text}");
        // serde_json refuses numbers that no f64 holds; the files' own numbers are checked where they are used.
        if let Ok(by_serde) = by_serde {
            assert_eq!(
                serde_json::from_str::<serde_json::Value>(&printed).expect("JSON"),
                by_serde,
                "{text}"
            );
        }
    }
    assert!(read > 4_000, "{read}");
}

/// Whether a key is written twice: serde_json takes the last one.
fn is_stricter(text: &str) -> bool {
    text.parse::<Json>().is_err_and(|error| error.message.contains("written twice"))
}
