//! Ignore rules against an oracle: `git check-ignore` has to name the same rule for each path. Prints `NOT RUN` where git is missing.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use fastrand::Rng;
use swarm_sync::{IGNORE_FILE_NAME, IgnoreRules, RuleSource, TreePath};

const CASES: u32 = 400;
/// At each of the three levels of the tree; the second half are folders.
const NAMES: [&str; 10] = ["a", "b.c", "é", "#x", "a b ", "ab", "b", "c.c", "[a]", "!a"];
/// Files of rules stand in these folders.
const FOLDERS: [Option<&str>; 3] = [None, Some("ab"), Some("b/ab")];

/// A path of the tree, and whether it is a folder.
type Entry = (TreePath, bool);

#[test]
fn the_same_rule_as_in_git_decides_about_each_path() {
    if Command::new("git").arg("--version").stdout(Stdio::null()).status().is_err() {
        say("NOT RUN: no git here, so nothing is known about ignore rules");
        return;
    }
    let root = tempfile::tempdir().expect("a folder");
    git(root.path(), &["init", "--quiet", "--template="], "");
    let entries = make_tree(root.path());
    let mut rng = Rng::with_seed(3);
    let mut decided = 0;
    for _ in 0..CASES {
        let files = FOLDERS.map(|folder| (folder, random_file(&mut rng)));
        decided += compare(root.path(), &entries, &files);
    }
    say(&format!("{CASES} sets of rules, {} paths each: {decided} decisions, all as git's", entries.len()));
    assert!(decided > 10_000, "rules that match hardly anything test hardly anything: {decided}");
}

/// Returns how many paths a rule decided about.
fn compare(root: &Path, entries: &[Entry], files: &[(Option<&str>, String)]) -> usize {
    let mut rules = IgnoreRules::new();
    for (folder, text) in files {
        fs::write(root.join(folder.unwrap_or("")).join(".gitignore"), text).expect("a written file");
        let folder = folder.map(|folder| TreePath::new(folder).expect("a path"));
        rules.set_file(folder.as_ref(), text);
    }
    let input: String = entries.iter().flat_map(|(path, _)| [path.as_str(), "\0"]).collect();
    let output = git(root, &["check-ignore", "--no-index", "-v", "-n", "-z", "--stdin"], &input);
    let fields: Vec<&str> = output.split_terminator('\0').collect();
    assert_eq!(fields.len(), 4 * entries.len());
    for ((path, is_folder), told) in entries.iter().zip(fields.chunks(4)) {
        let expected = told[..2].join(":").replace(".gitignore", IGNORE_FILE_NAME);
        assert_eq!(decision(&rules, path, *is_folder), expected, "{path:?} by {files:?}; git: {told:?}");
    }
    fields.chunks(4).filter(|told| !told[0].is_empty()).count()
}

/// File and line of the rule, as git names it; a colon if there is none.
fn decision(rules: &IgnoreRules, path: &TreePath, is_folder: bool) -> String {
    let Some(rule) = rules.decided_by(path, is_folder) else { return ":".into() };
    match rule.source {
        RuleSource::File { file, line } => format!("{}:{line}", file.as_str()),
        other => panic!("only files have rules here: {other:?}"),
    }
}

fn git(root: &Path, arguments: &[&str], input: &str) -> String {
    let mut child = Command::new("git")
        .args(arguments)
        .current_dir(root)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("git starts");
    // The paths fit into the pipe's buffer, so git may answer before all are read.
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("git reads");
    let output = child.wait_with_output().expect("git ends");
    assert!(output.status.code().is_some_and(|code| code <= 1), "git failed: {}", output.status);
    String::from_utf8(output.stdout).expect("paths are UTF-8 here")
}

/// Three levels, about 280 entries.
fn make_tree(root: &Path) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut folders: Vec<Option<TreePath>> = vec![None];
    for level in 0..3 {
        let mut inner = Vec::new();
        for folder in &folders {
            for (index, name) in NAMES.iter().enumerate() {
                let path = TreePath::below(folder.as_ref(), name).expect("a path");
                let is_folder = index >= NAMES.len() / 2 && level < 2;
                if is_folder {
                    fs::create_dir(root.join(path.as_str())).expect("a folder");
                    inner.push(Some(path.clone()));
                } else {
                    fs::write(root.join(path.as_str()), "").expect("a file");
                }
                entries.push((path, is_folder));
            }
        }
        folders = inner;
    }
    entries
}

fn random_file(rng: &mut Rng) -> String {
    let end = if rng.u8(..4) == 0 { "\r\n" } else { "\n" };
    let bom = if rng.u8(..8) == 0 { "\u{feff}" } else { "" };
    let lines: String = (0..rng.usize(..4)).map(|_| random_line(rng) + end).collect();
    format!("{bom}{lines}")
}

/// Most lines are one that matches something, some are odd.
fn random_line(rng: &mut Rng) -> String {
    let parts: Vec<String> = (0..rng.usize(1..=3)).map(|_| random_part(rng)).collect();
    let start = rng.choice(["", "", "", "", "/", "!", "!", "!/", "#", "\\#", "\\!"]).unwrap_or_default();
    let end =
        rng.choice(["", "", "", "", "/", "/**", "/*", " ", "\\ ", "  ", "\\", "\t"]).unwrap_or_default();
    let separator = rng.choice(["/", "/", "/**/", "//"]).unwrap_or_default();
    format!("{start}{}{end}", parts.join(separator))
}

fn random_part(rng: &mut Rng) -> String {
    if rng.u8(..4) == 0 {
        let whole = ["**", "*", "***", "", "?", "*.c", "b*", "*b", "?b", "a\\b", "\\*", "\\é"];
        return rng.choice(whole).unwrap_or_default().into();
    }
    // Two stars beside other characters are left out: after characters without wildcards, git reads them as `**/`, against its manual.
    let pieces = [
        "a",
        "a",
        "b",
        "b",
        "c",
        ".",
        "é",
        "#x",
        " ",
        "!a",
        "?",
        "[ab]",
        "[!a]",
        "[^b]",
        "[a-c]",
        "[]a]",
        "[[]",
        "[a\\]]",
        "[[:alpha:]]",
        "[[:punct:][:digit:]]",
        "[[:odd:]]",
        "[a-",
        "[a/]",
        "[--c]",
        "[\\a-\\c]",
        "[[:alpha]",
        "{a,b}",
        "\\[a]",
    ];
    let mut part: Vec<&str> = (0..rng.usize(1..=2)).filter_map(|_| rng.choice(pieces)).collect();
    if rng.bool() {
        part.insert(rng.usize(..=part.len()), "*");
    }
    part.concat()
}

/// Past the harness, which keeps what a test prints to itself unless it fails.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
