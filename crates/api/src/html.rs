//! Pages that are made here, for people without a name: short, without scripts. Invariant: a text reaches a page escaped; a page loads nothing, and
//! its one style is named by its hash.

use std::fmt::Write as _;

use axum::http::header;
use axum::response::IntoResponse;
use data_encoding::BASE64;

/// A page with a title, whose text is escaped by the caller.
pub(crate) fn page(title: &str, body: &str, robots: &str) -> impl IntoResponse + use<> {
    let text = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"robots\" content=\"{robots}\"><title>{title}</title><style>{STYLE}</style></head><body>{body}</body></html>"
    );
    let hash = BASE64.encode(ring::digest::digest(&ring::digest::SHA256, STYLE.as_bytes()).as_ref());
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; sandbox allow-downloads"
    );
    let kind = "text/html; charset=utf-8".to_owned();
    ([(header::CONTENT_TYPE, kind), (header::CONTENT_SECURITY_POLICY, policy)], text)
}

/// A text as it stands in a page and in an attribute. Marks that turn the direction of a text around are shown as what they are.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' => {
                out.push('\u{fffd}')
            }
            control if control.is_control() => out.push('\u{fffd}'),
            letter => out.push(letter),
        }
    }
    out
}

/// A number of bytes for people.
pub(crate) fn size(len: u64) -> String {
    let mut out = String::new();
    let (mut rest, mut unit) = (len, 0);
    let mut tenths = 0;
    while rest >= 1000 && unit + 1 < UNITS.len() {
        (tenths, rest, unit) = (rest % 1000 / 100, rest / 1000, unit + 1);
    }
    let _ = if unit == 0 { write!(out, "{rest} B") } else { write!(out, "{rest}.{tenths} {}", UNITS[unit]) };
    out
}

const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
const STYLE: &str = ":root{color-scheme:light dark;--line:#d4dae1;--quiet:#5a6673;--link:#0b5fa5;--bg:#fbfcfd}\
@media(prefers-color-scheme:dark){:root{--line:#33404d;--quiet:#9fadba;--link:#7cc0ff;--bg:#12181e}}\
*{box-sizing:border-box}body{margin:0;background:var(--bg);font:16px/1.5 system-ui,sans-serif}main{max-width:60rem;margin:0 auto;padding:1.5rem 1rem 3rem}\
main.one{max-width:30rem;padding-top:12vh;text-align:center}h1{font-size:1.4rem;overflow-wrap:anywhere;margin:0 0 .5rem}a{color:var(--link)}\
nav{color:var(--quiet);margin:0 0 1rem;overflow-wrap:anywhere}.note,td,th{color:var(--quiet)}td:first-child{color:inherit;overflow-wrap:anywhere;width:99%}\
.get{display:inline-block;padding:.6rem 1.4rem;border-radius:.5rem;background:#0b5fa5;color:#fff;text-decoration:none;font-weight:600}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.45rem .5rem;border-bottom:1px solid var(--line);vertical-align:top}\
th{font-weight:600;font-size:.85rem}td.n,th.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}\
h2{font-size:1.15rem;margin:2rem 0 .5rem}h3{font-size:1rem;margin:1.5rem 0 .25rem;overflow-wrap:anywhere}code{font-size:.92em;overflow-wrap:anywhere}\
details{border-bottom:1px solid var(--line);padding:.45rem 0}summary{cursor:pointer;overflow-wrap:anywhere}details>*:not(summary){margin-left:1rem}\
details>table{width:calc(100% - 1rem);margin-bottom:.75rem}.parts{table-layout:fixed}.parts td,.parts td:first-child{width:auto;overflow-wrap:anywhere}\
.parts th:first-child{width:30%}.verb{display:inline-block;min-width:4rem;font-size:.85rem}\
@media(max-width:34rem){.d{display:none}}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_no_markup_in_a_page() {
        let check = |text: &str, expected: &str| assert_eq!(escaped(text), expected);
        check("<img src=x onerror='a()'>\"&", "&lt;img src=x onerror=&#39;a()&#39;&gt;&quot;&amp;");
        check("gpj.\u{202e}exe\n", "gpj.\u{fffd}exe\u{fffd}");
        check("Grüße", "Grüße");
    }

    #[test]
    fn a_size_has_one_digit_after_the_point() {
        let check = |len: u64, expected: &str| assert_eq!(size(len), expected);
        check(0, "0 B");
        check(999, "999 B");
        check(1000, "1.0 kB");
        check(1_590_000, "1.5 MB");
        check(u64::MAX, "18446.7 PB");
    }
}
