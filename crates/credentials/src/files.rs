//! The credential files that an operator named, and the rules built from them. Invariant: a change that cannot be read
//! changes nothing; the rules before it stay in force.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Authority, CredentialsError};
use crate::limits::CREDENTIALS_LEN_MAX;
use swarm_core::base::ContentId;
use swarm_core::base::text::{TextError, text_of, without_mark};
use swarm_core::trust::{AccessList, AdmissionRules, All, Members};

/// Paths of the files that decide which nodes belong. Without any, every node does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustFiles {
    /// The allow list; see [`Members`] for its format.
    pub allow: Option<PathBuf>,
    /// The certificate, PEM, of the authority that must have issued the certificates of nodes.
    pub ca: Option<PathBuf>,
    /// The authority's revocation list, PEM.
    pub revoked: Option<PathBuf>,
    /// Whether the development authority is accepted.
    pub is_dev: bool,
    /// The readers of a content, each a list of nodes.
    pub readers: Vec<(ContentId, PathBuf)>,
    /// A folder with more such lists, each named by its content's id in hex. Other files in it are ignored.
    pub readers_dir: Option<PathBuf>,
}

impl TrustFiles {
    /// Reads all files.
    ///
    /// # Errors
    /// If a file cannot be read or is malformed.
    pub fn load(&self) -> Result<Arc<dyn AdmissionRules>, CredentialsError> {
        self.load_without(&BTreeSet::new())
    }

    /// Reads all files; the contents in `missing`, whose lists are gone, are closed to every node.
    fn load_without(
        &self,
        missing: &BTreeSet<ContentId>,
    ) -> Result<Arc<dyn AdmissionRules>, CredentialsError> {
        let mut all: Vec<Arc<dyn AdmissionRules>> = Vec::new();
        if let Some(path) = &self.allow {
            all.push(Arc::new(members(path)?));
        }
        match (&self.ca, &self.revoked) {
            (Some(ca), revoked) => {
                let authority = Authority::new(&read(ca)?, ca, self.is_dev)?;
                let authority = match revoked {
                    Some(revoked) => authority.revoking(&read(revoked)?, revoked)?,
                    None => authority,
                };
                all.push(Arc::new(authority));
            }
            (None, Some(_)) => {
                return Err(CredentialsError::NoAuthority);
            }
            (None, None) => {}
        }
        let mut access = AccessList::new();
        for content in missing {
            access.restrict(*content, Members::default());
        }
        for (content, path) in self.lists()? {
            access.restrict(content, members(&path)?);
        }
        all.push(Arc::new(access));
        Ok(Arc::new(All(all)))
    }

    fn stamps(&self) -> Vec<Option<Stamp>> {
        let lists = self.lists().unwrap_or_default();
        let files = [&self.allow, &self.ca, &self.revoked, &self.readers_dir].into_iter().flatten();
        files.chain(lists.iter().map(|(_, path)| path)).map(|path| stamp(path)).collect()
    }

    /// All lists of readers; those of the folder are sorted by name.
    fn lists(&self) -> Result<Vec<(ContentId, PathBuf)>, CredentialsError> {
        let mut lists = self.readers.clone();
        if let Some(dir) = &self.readers_dir {
            for entry in fs::read_dir(dir).map_err(CredentialsError::io("list", dir))? {
                let entry = entry.map_err(CredentialsError::io("list", dir))?;
                if lists.len() >= LISTS_MAX {
                    return Err(CredentialsError::TooLong(dir.clone()));
                }
                if let Some(content) = entry.file_name().to_str().and_then(|name| name.parse().ok()) {
                    lists.push((content, entry.path()));
                }
            }
        }
        lists.sort();
        Ok(lists)
    }
}

/// The files, checked for changes again and again.
#[derive(Debug)]
pub struct WatchedFiles {
    files: TrustFiles,
    /// The state of the files at the last look; `None` makes the next look read them in any case.
    seen: Option<Vec<Option<Stamp>>>,
    /// Contents that ever had a list. If the list disappears, they are closed to every node, not open to all.
    listed: BTreeSet<ContentId>,
    /// The last error; each is reported once.
    trouble: Option<String>,
}

impl WatchedFiles {
    /// Reads them for the first time.
    ///
    /// # Errors
    /// If a file cannot be read or is malformed.
    pub fn load(files: TrustFiles) -> Result<(Self, Arc<dyn AdmissionRules>), CredentialsError> {
        // Taken before the files are read: a change during the read then shows at the next look.
        let seen = Some(files.stamps());
        let rules = files.load()?;
        let listed = files.lists()?.into_iter().map(|(content, _)| content).collect();
        Ok((Self { files, seen, listed, trouble: None }, rules))
    }

    /// Whether no file is named, and the last look has seen that.
    pub fn is_nothing(&self) -> bool {
        self.seen.as_ref().is_some_and(Vec::is_empty)
    }

    /// Sets other files; the next look reads them.
    pub fn set(&mut self, files: TrustFiles) {
        if self.files != files {
            self.files = files;
            self.seen = None;
            self.listed.clear();
        }
    }

    /// Other rules if a file has changed since the last look, also if that look failed.
    ///
    /// # Errors
    /// If a file cannot be read or is malformed now: the rules before stay in force.
    pub fn look(&mut self) -> Result<Option<Arc<dyn AdmissionRules>>, CredentialsError> {
        let seen = Some(self.files.stamps());
        if seen == self.seen {
            return Ok(None);
        }
        let loaded = self.files.load_without(&self.listed).and_then(|rules| {
            self.listed.extend(self.files.lists()?.into_iter().map(|(content, _)| content));
            Ok(rules)
        });
        // An I/O error may pass without any change of the file, so the next look reads it again.
        if !matches!(loaded, Err(CredentialsError::Io { .. })) {
            self.seen = seen;
        }
        let trouble = loaded.as_ref().err().map(ToString::to_string);
        let is_told = trouble.is_some() && trouble == self.trouble;
        self.trouble = trouble;
        if is_told { Ok(None) } else { loaded.map(Some) }
    }
}

/// Lists in one folder: every look, once a second, reads the state of each.
const LISTS_MAX: usize = 65_536;

/// The state of a file: two different stamps mean that it changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    len: u64,
    changed_at: (i64, i64),
}

fn stamp(path: &Path) -> Option<Stamp> {
    let meta = fs::metadata(path).ok()?;
    Some(Stamp { inode: meta.ino(), len: meta.len(), changed_at: (meta.ctime(), meta.ctime_nsec()) })
}

fn members(path: &Path) -> Result<Members, CredentialsError> {
    let bytes = read(path)?;
    let text = text_of(&bytes).map_err(unusable(path))?;
    text.parse().map_err(|source| CredentialsError::Members { path: path.to_owned(), source })
}

/// Reads a file of text or PEM up to its length limit, without a byte order mark.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, CredentialsError> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(CredentialsError::io("read", path))?;
    let limit = CREDENTIALS_LEN_MAX as u64 + 1;
    file.take(limit).read_to_end(&mut bytes).map_err(CredentialsError::io("read", path))?;
    if bytes.len() > CREDENTIALS_LEN_MAX {
        return Err(CredentialsError::TooLong(path.to_owned()));
    }
    Ok(without_mark(&bytes).map_err(unusable(path))?.to_vec())
}

fn unusable(path: &Path) -> impl FnOnce(TextError) -> CredentialsError {
    move |error| CredentialsError::Unusable { path: path.to_owned(), why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swarm_core::base::NodeId;
    use swarm_core::trust::Applicant;

    fn is_admitted(rules: &dyn AdmissionRules, node: NodeId) -> bool {
        rules.admit(&Applicant { node, certificate: &[], unix_secs: 0 }).is_ok()
    }

    #[test]
    fn a_list_that_changes_is_read_again_and_one_that_breaks_is_not_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("allow");
        let [one, other] = [1, 2].map(|byte| NodeId::from_bytes([byte; 32]));
        fs::write(&path, one.to_string()).expect("written");
        let files = TrustFiles { allow: Some(path.clone()), ..TrustFiles::default() };
        let (mut watched, first) = WatchedFiles::load(files).expect("read");
        assert!(is_admitted(&*first, one) && !is_admitted(&*first, other));
        assert!(watched.look().expect("nothing new").is_none());
        fs::write(&path, format!("{one}\n{other}")).expect("written");
        let second = watched.look().expect("read").expect("something new");
        assert!(is_admitted(&*second, other));
        fs::write(&path, "nonsense").expect("written");
        assert!(watched.look().is_err());
        assert!(watched.look().expect("told once").is_none());
        fs::remove_file(&path).expect("there");
        assert!(watched.look().is_err());
        assert!(watched.look().expect("told once").is_none());
        fs::write(&path, "# nobody").expect("written");
        let third = watched.look().expect("read").expect("something new");
        assert!(!is_admitted(&*third, one));
        watched.set(TrustFiles::default());
        assert!(watched.look().expect("nothing to read").expect("something new").is_open());
    }

    #[test]
    fn a_content_whose_list_disappears_is_closed_to_every_node() {
        let folder = tempfile::tempdir().expect("a folder");
        let (reader, content) = (NodeId::from_bytes([1; 32]), ContentId::from_bytes([2; 32]));
        let path = folder.path().join(content.to_string());
        fs::write(&path, reader.to_string()).expect("written");
        let readers_dir = Some(folder.path().to_owned());
        let (mut watched, first) =
            WatchedFiles::load(TrustFiles { readers_dir, ..TrustFiles::default() }).expect("read");
        assert!(first.access().grants(reader, content));
        fs::remove_file(&path).expect("there");
        let second = watched.look().expect("read").expect("something new");
        assert!(!second.access().grants(reader, content) && !second.is_open());
    }

    #[test]
    fn a_list_may_have_a_byte_order_mark_and_utf16_is_refused_by_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("allow");
        let [one, other] = [1, 2].map(|byte| NodeId::from_bytes([byte; 32]));
        let files = TrustFiles { allow: Some(path.clone()), ..TrustFiles::default() };
        fs::write(&path, format!("\u{feff}{one}\r\n{other} mirror\r\n")).expect("written");
        let list = files.load().expect("a list");
        assert!(is_admitted(&*list, one) && is_admitted(&*list, other));
        let wide: Vec<u8> = format!("\u{feff}{one}\n").encode_utf16().flat_map(u16::to_le_bytes).collect();
        fs::write(&path, wide).expect("written");
        let message = files.load().map(drop).expect_err("no list").to_string();
        assert!(message.contains("UTF-16"), "{message}");
        fs::write(&path, format!("{one}\u{200b}\n")).expect("written");
        let message = files.load().map(drop).expect_err("no list").to_string();
        assert!(message.contains("\\u{200b}"), "{message}");
    }

    #[test]
    fn without_files_every_node_belongs() {
        assert!(TrustFiles::default().load().expect("nothing to read").is_open());
    }
}
