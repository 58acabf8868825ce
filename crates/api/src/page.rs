//! The files of the page, which are in the binary. Invariant: the page loads nothing from elsewhere and runs nothing that is not one of these files.

use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};

use crate::problem::Problem;

/// A file of the page: its path, its type, its bytes.
type PageFile = (&'static str, &'static str, &'static [u8]);

include!(concat!(env!("OUT_DIR"), "/page_files.rs"));

/// A file of the page, or that there is none: asked for what no route has.
pub(crate) async fn file(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    let path = if path.is_empty() { "index.html" } else { path };
    let found = FILES.iter().find(|(known, ..)| *known == path);
    let Some((_, kind, bytes)) = found.filter(|_| matches!(method, Method::GET | Method::HEAD)) else {
        let message = "there is nothing here: GET /api lists what can be asked";
        return Problem::not_found(message).into_response();
    };
    let tag = format!("\"{}\"", &blake3::hash(bytes).to_hex()[..16]);
    let is_known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let common = [
        (header::ETAG, tag.as_str()),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    if is_known {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    (common, [(header::CONTENT_TYPE, *kind)], *bytes).into_response()
}

/// What the page may load and do.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; font-src 'self'; connect-src 'self'; manifest-src 'self'; worker-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;
    use swarm_daemon::{ISSUES, ProposalEnd, STATES, TRUSTS};
    use swarm_daemon_files::Role;

    use super::FILES;
    use crate::auth::Permission;

    fn text(name: &str) -> &'static str {
        let (.., bytes) = FILES.iter().find(|(known, ..)| *known == name).expect("a file of the page");
        std::str::from_utf8(bytes).expect("UTF-8")
    }

    const ROLES: [(&str, Role); 4] = [
        ("mirror", Role::Mirror),
        ("viewer", Role::Viewer),
        ("editor", Role::Editor),
        ("admin", Role::Admin),
    ];

    #[test]
    fn every_word_that_a_daemon_says_has_a_text_in_every_language() {
        let mut keys = Vec::new();
        let mut add = |prefix: &str, words: &[&str]| {
            keys.extend(words.iter().map(|word| format!("{prefix}.{}", word.replace(' ', "_"))));
        };
        add("library.state", &STATES);
        add("issue", &ISSUES);
        add("approvals.end", &ProposalEnd::ALL.map(ProposalEnd::word));
        // Whoever is only told of has a section of its own.
        add("trust", &TRUSTS.map(|word| if word == "unknown" { "trusted" } else { word }));
        add("conflict.kind", &["simultaneous_edit", "deletion", "structure", "name"]);
        add("choice", &["keep-local", "keep-remote", "keep-both", "merge", "settled"]);
        add("why.supply", &["coming", "asked", "queued", "nobody", "failing"]);
        add("role", &ROLES.map(|(word, _)| word));
        add("need", &Permission::ALL.map(Permission::name));
        let languages = FILES.iter().filter(|(name, ..)| name.starts_with("i18n/"));
        let mut read = 0;
        for (name, ..) in languages {
            let words: BTreeMap<String, Value> = serde_json::from_str(text(name)).expect("JSON");
            let lacking: Vec<&String> = keys.iter().filter(|key| !words.contains_key(*key)).collect();
            assert!(lacking.is_empty(), "{name}: {lacking:?}");
            read += 1;
        }
        assert_eq!(read, 2);
    }

    #[test]
    fn the_page_knows_what_a_role_allows_in_a_library() {
        let page = text("parts/state.js");
        for (word, role) in ROLES {
            let of_library = Permission::ALL.into_iter().filter(|permission| permission.is_of_library());
            let granted = of_library.filter(|permission| permission.is_granted_to(role));
            let names: Vec<String> = granted.map(|permission| format!("\"{}\"", permission.name())).collect();
            let line = format!("  {word}: [{}],\n", names.join(", "));
            assert!(page.contains(&line), "parts/state.js lacks:\n{line}");
        }
    }
}
