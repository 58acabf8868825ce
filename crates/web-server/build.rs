//! Lists the files that browsers get, compressed, so that the binary has them: the page `web/get`, and the package `packages/web`, whose
//! WebAssembly is there if `cargo xtask web` was run before.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use flate2::Compression;
use flate2::write::GzEncoder;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo says it")).join("../..");
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo says it"));
    let mut files = Vec::new();
    for (folder, at) in
        [("web/get", "get"), ("packages/web/src", "swarm/src"), ("packages/web/wasm", "swarm/wasm")]
    {
        let folder = root.join(folder);
        // A folder that is not there yet is looked for at the next build.
        println!("cargo::rerun-if-changed={}", folder.to_str().expect("UTF-8"));
        collect(&folder, at, &mut files);
    }
    files.sort();
    let mut text = format!("static FILES: [PageFile; {}] = [\n", files.len());
    for (number, (name, path)) in files.iter().enumerate() {
        let kind = kind_of(name).expect("it was looked at");
        let compressed = out.join(format!("{number}.gz"));
        fs::write(&compressed, gzip(&fs::read(path).expect("it is there"))).expect("the folder is there");
        let compressed = compressed.to_str().expect("UTF-8");
        writeln!(text, "    ({name:?}, {kind:?}, include_bytes!({compressed:?})),").expect("memory");
    }
    text.push_str("];\n");
    fs::write(out.join("page_files.rs"), text).expect("the folder for it is there");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(bytes).expect("memory");
    gzip.finish().expect("memory")
}

fn collect(folder: &Path, at: &str, files: &mut Vec<(String, PathBuf)>) {
    for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
        let (path, name) = (entry.path(), entry.file_name());
        let name = format!("{at}/{}", name.to_str().expect("UTF-8"));
        if path.is_dir() {
            collect(&path, &name, files);
        } else if kind_of(&name).is_some() {
            files.push((name, path));
        }
    }
}

fn kind_of(name: &str) -> Option<&'static str> {
    Some(match name.rsplit('.').next()? {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "webmanifest" => "application/manifest+json",
        "wasm" => "application/wasm",
        _ => return None,
    })
}
