//! Keys of sealed contents: in files, in tickets, wrapped for nodes.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::failure::Failure;
use super::output::HashView;
use super::source::Wanted;
use swarm_core::base::limits::WRAPPED_KEYS_MAX;
use swarm_core::base::{Category, ContentId, NodeId};
use swarm_core::manifest::{ContentKey, Manifest, WrappedKey};
use swarm_files::Index;
use swarm_host::content_key_in;
use swarm_link::{Identity, random_bytes};

/// The key in a file, which is made, with a new key, if there is none.
pub(super) fn key_or_new(path: &Path) -> Result<ContentKey, Failure> {
    let failed = |error: std::io::Error| Failure::file("make", path, &error);
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(mut file) => {
            let key = ContentKey::from_bytes(random_bytes()?);
            file.write_all(format!("{key}\n").as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
            Ok(key)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => key_in(path),
        Err(error) => Err(failed(error)),
    }
}

/// The key in a file that is there.
pub(super) fn key_in(path: &Path) -> Result<ContentKey, Failure> {
    Ok(content_key_in(path)?)
}

/// The sealed content of what was indexed, opened.
pub(super) fn sealed(index: &Index, key: &ContentKey, is_json: bool) -> Result<Manifest, Failure> {
    let view = HashView::new("sealing", is_json);
    Ok(swarm_files::seal(index, key, &|progress| view.show(progress))?)
}

/// A manifest as a holder of this key sees it.
pub(super) fn opened(manifest: &Manifest, key: &ContentKey) -> Result<Manifest, Failure> {
    Ok(manifest.opened(key)?)
}

/// The key for each of some nodes.
pub(super) fn wrapped(
    key: &ContentKey,
    content: ContentId,
    nodes: &[NodeId],
) -> Result<Vec<WrappedKey>, Failure> {
    if nodes.len() > WRAPPED_KEYS_MAX {
        let message =
            format!("a ticket holds the key for at most {WRAPPED_KEYS_MAX} nodes: make several tickets");
        return Err(Failure::new(Category::Usage, message));
    }
    let wrap = |node: &NodeId| {
        WrappedKey::new(key, content, *node, random_bytes()?).ok_or_else(|| {
            Failure::new(
                Category::Usage,
                format_args!("{node} is no node's id: `swarm id --key FILE` prints one"),
            )
        })
    };
    nodes.iter().map(wrap).collect()
}

impl Wanted {
    /// The key that this node can have: the one of a file, or the ticket's, or one that is wrapped for it.
    pub(super) fn content_key(
        &self,
        file: Option<&Path>,
        identity: &Identity,
    ) -> Result<Option<ContentKey>, Failure> {
        if let Some(path) = file {
            return key_in(path).map(Some);
        }
        let signing = identity.signing_key();
        let unwrapped =
            || self.wrapped_keys.iter().find_map(|wrapped| wrapped.unwrap(self.content, &signing));
        Ok(self.key.clone().or_else(unwrapped))
    }
}
