//! What a file is, by its name. Invariant: nothing that a browser would run is shown: it is stored, or shown as text.

/// What people look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Image,
    Text,
    Audio,
    Video,
    Other,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [Self::Image, Self::Text, Self::Audio, Self::Video, Self::Other];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Text => "text",
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Other => "other",
        }
    }

    pub(crate) fn of(name: &str) -> Self {
        match Self::content_type(name).split('/').next() {
            Some("image") => Self::Image,
            Some("text") => Self::Text,
            Some("audio") => Self::Audio,
            Some("video") => Self::Video,
            _ => Self::Other,
        }
    }

    /// The content type (RFC 9110, section 8.3).
    pub(crate) fn content_type(name: &str) -> &'static str {
        let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
        let found = TYPES.iter().find(|(_, endings)| endings.split(' ').any(|known| known == ending));
        found.map_or("application/octet-stream", |(kind, _)| kind)
    }

    /// Whether a browser may show it: a picture with scripts in it, as SVG, is stored.
    pub(crate) fn is_shown(name: &str) -> bool {
        let kind = Self::content_type(name);
        kind == "application/pdf" || (Self::of(name) != Self::Other && kind != "image/svg+xml")
    }
}

/// Content types, and the endings of names that have them. Programs and pages are plain text or bytes.
const TYPES: [(&str, &str); 32] = [
    ("image/jpeg", "jpg jpeg jpe jfif"),
    ("image/png", "png apng"),
    ("image/gif", "gif"),
    ("image/webp", "webp"),
    ("image/avif", "avif"),
    ("image/heic", "heic heif"),
    ("image/bmp", "bmp"),
    ("image/tiff", "tif tiff"),
    ("image/x-icon", "ico"),
    ("image/svg+xml", "svg"),
    ("video/mp4", "mp4 m4v"),
    ("video/webm", "webm"),
    ("video/quicktime", "mov qt"),
    ("video/x-matroska", "mkv"),
    ("video/mpeg", "mpg mpeg"),
    ("video/x-msvideo", "avi"),
    ("video/mp2t", "ts m2ts mts"),
    ("video/ogg", "ogv"),
    ("audio/mpeg", "mp3"),
    ("audio/mp4", "m4a m4b"),
    ("audio/ogg", "ogg oga opus"),
    ("audio/flac", "flac"),
    ("audio/wav", "wav"),
    ("audio/aac", "aac"),
    (
        "text/plain; charset=utf-8",
        "txt text log md markdown csv tsv json jsonl yaml yml toml ini conf cfg xml html htm xhtml css js mjs rs c h cpp hpp py sh go java rb sql tex srt vtt diff patch",
    ),
    ("application/pdf", "pdf"),
    ("application/zip", "zip"),
    ("application/gzip", "gz tgz"),
    ("application/x-tar", "tar"),
    ("application/zstd", "zst"),
    ("application/wasm", "wasm"),
    ("application/epub+zip", "epub"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_is_shown_and_what_is_stored() {
        let check = |name: &str, kind: &str, is_shown: bool| {
            assert_eq!((Kind::content_type(name), Kind::is_shown(name)), (kind, is_shown), "{name}");
        };
        check("a.JPG", "image/jpeg", true);
        check("film.mkv", "video/x-matroska", true);
        check("page.html", "text/plain; charset=utf-8", true);
        check("picture.svg", "image/svg+xml", false);
        check("book.pdf", "application/pdf", true);
        check("noending", "application/octet-stream", false);
        check("a.b.unknown", "application/octet-stream", false);
        assert!(Kind::ALL.map(Kind::name).contains(&Kind::of("a.flac").name()));
    }
}
