//! Lists the files of the page, so that the binary has them. Reads `web/`, writes one file of Rust.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo says it")).join("../../web");
    watch(&root);
    let mut files = Vec::new();
    collect(&root, &root, &mut files);
    files.sort();
    let mut text = format!("static FILES: [PageFile; {}] = [\n", files.len());
    for (name, path) in &files {
        let kind = kind_of(name).unwrap_or_else(|| panic!("web/{name}: no content type is known for it"));
        writeln!(text, "    ({name:?}, {kind:?}, include_bytes!({:?})),", path.to_str().expect("UTF-8"))
            .expect("memory");
    }
    text.push_str("];\n");
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo says it")).join("page_files.rs");
    fs::write(out, text).expect("the folder for it is there");
}

/// Cargo looks below a folder that it is to watch: the one of tests, with what npm puts there, must not make it build anew. A new file beside
/// `index.html` counts once that names it. The page for peers, `get`, is another crate's.
fn watch(root: &Path) {
    println!("cargo::rerun-if-changed=build.rs");
    for entry in fs::read_dir(root).into_iter().flatten().filter_map(Result::ok) {
        if !is_of_others(&entry) {
            println!("cargo::rerun-if-changed={}", entry.path().to_str().expect("UTF-8"));
        }
    }
}

fn is_of_others(entry: &fs::DirEntry) -> bool {
    ["get", "node_modules", "tests"].iter().any(|name| entry.file_name() == *name)
}

/// All files but those of tests and of the page for peers.
fn collect(root: &Path, folder: &Path, files: &mut Vec<(String, PathBuf)>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.filter_map(Result::ok) {
        let path = entry.path();
        if path.is_dir() {
            if !is_of_others(&entry) {
                collect(root, &path, files);
            }
        } else if let Some(name) =
            path.strip_prefix(root).ok().and_then(Path::to_str).filter(|name| kind_of(name).is_some())
        {
            files.push((name.to_owned(), path.canonicalize().expect("it is there")));
        }
    }
}

fn kind_of(name: &str) -> Option<&'static str> {
    Some(match name.rsplit('.').next()? {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "json" => "application/json",
        "webmanifest" => "application/manifest+json",
        "png" => "image/png",
        "woff2" => "font/woff2",
        _ => return None,
    })
}
