//! Fetches a file of an origin from its beginning to its end. Invariant: what was read is of one version as far as the origin tells them apart, and
//! its hashes are those that are listed, or it is an error; it comes no faster than this node, and the library, may fetch. Blocking.

use std::time::Duration;

use sha2::{Digest as _, Sha256};
use swarm_core::base::ByteLen;
use swarm_files::StoreError;
use swarm_node::Throttle;
use swarm_origins::{ListedFile, OriginError, Version};
use tokio::runtime::Handle;

use super::deciding::Digests;
use super::shared::Shared;

/// A file that is fetched.
pub(super) struct Whole<'a> {
    pub(super) shared: &'a Shared,
    pub(super) guid: &'a str,
    pub(super) file: &'a ListedFile,
    /// Limits of what comes.
    pub(super) down: &'a [Throttle],
    pub(super) runtime: &'a Handle,
}

/// Why a file did not come.
#[derive(Debug, thiserror::Error)]
pub(super) enum WholeError {
    #[error(transparent)]
    Origin(#[from] OriginError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the origin is not used any more")]
    Over,
    #[error("its bytes, {0} of them, are not those that are listed")]
    Wrong(ByteLen),
}

impl Whole<'_> {
    /// Gives all bytes to `sink`, in order. Returns both hashes of what came.
    pub(super) fn fetch(
        &self,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), StoreError>,
    ) -> Result<Digests, WholeError> {
        let mut version = Version { len: self.file.length, tag: None };
        let (mut at, mut tries) = (0, 0);
        let (mut blake3, mut sha256) = (blake3::Hasher::new(), Sha256::new());
        loop {
            let before = at;
            let come = self.fetch_from(&mut at, &mut version, &mut |bytes| {
                blake3.update(bytes);
                sha256.update(bytes);
                sink(bytes)
            });
            match come {
                Ok(()) => break,
                // Without a strong tag what comes now may be of another version.
                Err(WholeError::Origin(error))
                    if error.is_transient() && tries < TRIES && (at == 0 || version.tag.is_some()) =>
                {
                    tries = if at > before { 0 } else { tries + 1 };
                    let pause = error.after().unwrap_or_default().max(PAUSE * (1 << tries));
                    if pause > PAUSE_MAX {
                        return Err(error.into());
                    }
                    self.wait(async {
                        tokio::time::sleep(pause).await;
                        Ok(())
                    })?;
                }
                Err(error) => return Err(error),
            }
        }
        let (blake3, sha256) = (blake3.finalize().into(), sha256.finalize().into());
        let is_right = self.file.blake3.is_none_or(|listed| listed == blake3)
            && self.file.sha256.is_none_or(|listed| listed == sha256)
            && (self.file.blake3.is_some() || self.file.sha256.is_some());
        if is_right {
            Ok(Digests { blake3: Some(blake3), sha256: Some(sha256) })
        } else {
            Err(WholeError::Wrong(ByteLen(at)))
        }
    }

    fn fetch_from(
        &self,
        at: &mut u64,
        version: &mut Version,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), StoreError>,
    ) -> Result<(), WholeError> {
        let range = *at..version.len;
        let opening = self.shared.origin.open(self.guid, &self.file.path, range, version);
        let mut body = self.wait(opening)?;
        version.tag = body.tag().map(str::to_owned).or(version.tag.take());
        while let Some(bytes) = self.wait(body.next())? {
            sink(&bytes)?;
            *at += bytes.len() as u64;
            // The server feels it: what is not read holds up its connection.
            self.wait(async {
                for down in self.down {
                    down.wait(bytes.len()).await;
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn wait<T>(&self, work: impl Future<Output = Result<T, OriginError>>) -> Result<T, WholeError> {
        self.shared.wait(self.runtime, work).ok_or(WholeError::Over)?.map_err(WholeError::Origin)
    }
}

/// Tries without anything new.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(250);
/// A server that asks for a longer one is left alone.
const PAUSE_MAX: Duration = Duration::from_secs(10);
