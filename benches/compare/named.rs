//! Options of a benchmark: `--name value` each.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The options that were given, by name.
pub(crate) struct Named<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Named<'a> {
    pub(crate) fn of(args: &'a [String]) -> Self {
        Self(args.chunks(2).map(|pair| (pair[0].as_str(), pair.get(1).map_or("", String::as_str))).collect())
    }

    pub(crate) fn number(&self, name: &str, default: u64) -> u64 {
        self.0.get(name).map_or(default, |text| text.parse().expect("a number"))
    }

    /// Its parts between commas.
    pub(crate) fn list(&self, name: &str, default: &str) -> Vec<String> {
        self.0.get(name).copied().unwrap_or(default).split(',').map(str::to_owned).collect()
    }

    /// The folder of `--dir`.
    pub(crate) fn dir(&self, default: PathBuf) -> PathBuf {
        self.0.get("--dir").map_or(default, PathBuf::from)
    }
}
