//! A manifest or ticket from an http(s) URL. Invariant: no redirect leads to another scheme, from https back to http, or round and
//! round. Waits as long as the server does: patience is `steps`'.

use std::io::Read as _;

use bytes::Bytes;
use ureq::http::header::LOCATION;

use super::failure::Failure;
use super::steps::Progress;
use swarm_core::base::Category;
use swarm_core::base::limits::MANIFEST_FILE_LEN_MAX;

/// Whether an argument is meant as a URL.
pub(super) fn is_url(text: &str) -> bool {
    has_scheme(text, HTTP) || has_scheme(text, HTTPS)
}

/// What stands at a URL, up to a byte more than a manifest may have.
pub(super) fn download(url: &str, progress: &Progress) -> Result<Bytes, Failure> {
    let failed = |why: &dyn std::fmt::Display| {
        Failure::new(Category::NoSource, format_args!("cannot get {}: {why}", url.escape_debug()))
    };
    // Redirects are followed here, where each can be looked at.
    let agent: ureq::Agent = ureq::Agent::config_builder().max_redirects(0).build().into();
    let mut at = url.trim().to_owned();
    for _ in 0..=REDIRECTS_MAX {
        let answer = agent.get(&at).call().map_err(|error| failed(&error))?;
        if !answer.status().is_redirection() {
            let mut bytes = Vec::new();
            let body = answer.into_body().into_reader().take(MANIFEST_FILE_LEN_MAX as u64 + 1);
            progress.of(body).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
            return Ok(bytes.into());
        }
        let location = answer.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        let location =
            location.ok_or_else(|| failed(&"a redirect says not where to: ask for another URL"))?;
        at = redirected(&at, location).map_err(|why| failed(&why))?;
    }
    Err(failed(&format_args!("more than {REDIRECTS_MAX} redirects: ask for another URL")))
}

/// Where a redirect leads (RFC 3986, 5.2), if it may.
fn redirected(from: &str, location: &str) -> Result<String, String> {
    let location = location.split('#').next().unwrap_or_default();
    let (scheme, rest) = from.split_once("://").unwrap_or(("http", from));
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let refused = |why: &str| Err(format!("the redirect to `{}` {why}", location.escape_debug()));
    if is_url(location) {
        let is_downgrade = has_scheme(from, HTTPS) && !has_scheme(location, HTTPS);
        return if is_downgrade {
            refused("gives up encryption: it is not followed")
        } else {
            Ok(location.to_owned())
        };
    }
    let is_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    if location.split_once(':').is_some_and(|(before, _)| !before.is_empty() && before.chars().all(is_scheme))
    {
        return refused("is not http(s): it is not followed");
    }
    if location.starts_with("//") {
        return Ok(format!("{scheme}:{location}"));
    }
    let path = rest[authority.len()..].split(['?', '#']).next().unwrap_or_default();
    let (target, query) = match location.split_once('?') {
        Some((target, query)) => (target, format!("?{query}")),
        None => (location, String::new()),
    };
    let target = match target {
        "" => path.to_owned(),
        _ if target.starts_with('/') => target.to_owned(),
        _ => format!("{}/{target}", path.rsplit_once('/').map_or("", |(folder, _)| folder)),
    };
    Ok(format!("{scheme}://{authority}{}{query}", without_dots(&target)))
}

/// A path without `.` and `..`.
fn without_dots(path: &str) -> String {
    let mut kept = Vec::new();
    for part in path.split('/').skip(1) {
        match part {
            "." => {}
            ".." => drop(kept.pop()),
            part => kept.push(part),
        }
    }
    format!("/{}", kept.join("/"))
}

fn has_scheme(text: &str, scheme: &str) -> bool {
    text.trim().get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
}

const HTTP: &str = "http://";
const HTTPS: &str = "https://";
/// As many as a moved file behind a shortener and a mirror list may take, and more.
const REDIRECTS_MAX: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_stay_with_http_and_with_encryption() {
        let from = "https://a.example/films/one.swarm?x=1";
        for (location, to) in [
            ("https://b.example/two#part", "https://b.example/two"),
            ("//b.example/two", "https://b.example/two"),
            ("/two?y", "https://a.example/two?y"),
            ("two", "https://a.example/films/two"),
            ("../two", "https://a.example/two"),
            ("?y=2", "https://a.example/films/one.swarm?y=2"),
        ] {
            assert_eq!(redirected(from, location).as_deref(), Ok(to), "{location}");
        }
        for location in
            ["file:///etc/passwd", "FILE:x", "http://a.example/two", "ftp://b.example/", "data:,x"]
        {
            let why = redirected(from, location).expect_err(location);
            assert!(why.contains("not followed"), "{why}");
        }
        assert_eq!(redirected("http://a.example", "x").as_deref(), Ok("http://a.example/x"));
        assert_eq!(
            redirected("http://a.example/x", "https://a.example/x").as_deref(),
            Ok("https://a.example/x")
        );
    }
}
