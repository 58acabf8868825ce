//! Links of a page to files of the repository and to headings in them.

use std::fs;
use std::path::Path;

/// The links of a page without a target, each with its place.
pub(crate) fn dead(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.to_string_lossy()));
    let targets = links(&text);
    let is_dead = |target: &&str| {
        let (file, heading) = target.split_once('#').unwrap_or((target, ""));
        let file =
            if file.is_empty() { path.to_owned() } else { path.parent().expect("a folder").join(file) };
        !file.exists() || (!heading.is_empty() && !headings(&file).iter().any(|known| known == heading))
    };
    targets
        .into_iter()
        .filter(is_dead)
        .map(|target| format!("{}: {target}", path.to_string_lossy()))
        .collect()
}

/// `[text](target)` outside of code blocks, without web addresses.
fn links(text: &str) -> Vec<&str> {
    let mut is_code = false;
    let mut found = Vec::new();
    for line in text.lines() {
        is_code ^= line.trim_start().starts_with("```");
        let targets =
            line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
        found.extend(targets.filter(|target| !is_code && !target.contains("://")));
    }
    found
}

/// The headings of a page in the form that links use: lower case, words joined by hyphens.
fn headings(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let titles =
        text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let slug = |title: &str| -> String {
        let kept = title
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
            .collect::<String>();
        kept.replace(' ', "-")
    };
    titles.map(slug).collect()
}

#[test]
fn a_link_is_found_where_it_is_none_of_the_web_and_no_code() {
    let text = "[a](b.md) and [c](https://d)\n```sh\n[e](f)\n```\n![g](h.svg#i)\n";
    assert_eq!(links(text), ["b.md", "h.svg#i"]);
}
