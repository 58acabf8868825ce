//! The files of the page, as `build.rs` found them.

/// Path, content type, and bytes compressed by gzip.
type PageFile = (&'static str, &'static str, &'static [u8]);

include!(concat!(env!("OUT_DIR"), "/page_files.rs"));

/// The content type and the compressed bytes of what a path names: `/get` is the page itself.
pub(crate) fn file(path: &str) -> Option<(&'static str, &'static [u8])> {
    let name = match path.strip_prefix('/')? {
        "get" | "get/" => "get/index.html",
        name => name,
    };
    let at = FILES.binary_search_by_key(&name, |(name, ..)| name).ok()?;
    let (_, kind, bytes) = FILES[at];
    Some((kind, bytes))
}

/// Whether this build has the WebAssembly that the page `/get` runs: it was built by `cargo xtask web` before.
pub fn has_wasm() -> bool {
    file("/swarm/wasm/swarm_web_bg.wasm").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_and_its_modules_are_there_and_nothing_beside_them() {
        assert!(FILES.is_sorted_by_key(|(name, ..)| name));
        assert!(file("/get") == file("/get/index.html") && file("/get").is_some());
        assert!(file("/swarm/src/index.js").is_some());
        for path in ["/", "", "get", "/get/../get/index.html", "/swarm", "/swarm/src/", "/swarm/package.json"]
        {
            assert!(file(path).is_none(), "{path}");
        }
    }
}
