//! The files that say who belongs, as the command line names them.

use std::path::{Path, PathBuf};

use super::args::{Global, TrustArgs};
use super::failure::Failure;
use super::setup;
use super::steps::Steps;
use swarm_core::base::text::without_mark;
use swarm_core::base::{Category, ContentId, Shown};
use swarm_credentials::{CredentialsError, TrustFiles, certificate_of};
use swarm_host::AdmissionFiles;
use swarm_link::{Endpoint, Identity};
use swarm_node::clock::wall_clock;

/// Longer than any certificate of a node's.
const CERTIFICATE_LEN_MAX: u64 = 64 << 10;

impl TrustArgs {
    /// The files; `readers` are those of one content.
    pub(super) fn files(&self, readers: Option<(ContentId, &PathBuf)>) -> TrustFiles {
        // The certificate is of this node's key.
        let Self { allow, ca, revoked, cert: _, dev } = self.clone();
        TrustFiles {
            allow,
            ca,
            revoked,
            is_dev: dev,
            readers: readers.into_iter().map(|(content, path)| (content, path.clone())).collect(),
            readers_dir: None,
        }
    }
}

/// This node's key, with the certificate that it is to show.
pub(super) fn identity(
    global: &Global,
    claim: Option<ContentId>,
    cert: Option<&Path>,
) -> Result<Identity, Failure> {
    let identity = setup::identity(global, claim)?;
    let Some(path) = cert else { return Ok(identity) };
    let pem = read(path)?;
    let certificate = certificate_of(&pem, path)?;
    let node = identity.node_id();
    identity.showing(certificate).map_err(|found| match found {
        Some(found) => CredentialsError::WrongNode { path: path.to_owned(), found, node }.into(),
        None => Failure::new(
            Category::Usage,
            format_args!(
                "the certificate in `{}` is for no node: make one by `swarm cert node`",
                Shown(&path)
            ),
        ),
    })
}

/// Sets the admission rules of an endpoint, and replaces them when the files change.
pub(super) async fn admission_files(
    endpoint: &Endpoint,
    files: TrustFiles,
    steps: &mut Steps<'_>,
) -> Result<AdmissionFiles, Failure> {
    let endpoint = endpoint.clone();
    steps.run("reading who belongs", move |_| Ok(AdmissionFiles::set(&endpoint, files, wall_clock)?)).await
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let read =
        std::fs::File::open(path).and_then(|file| file.take(CERTIFICATE_LEN_MAX).read_to_end(&mut bytes));
    read.map_err(|error| Failure::file("read", path, &error))?;
    let bytes = without_mark(&bytes);
    let bytes =
        bytes.map_err(|error| Failure::new(Category::Usage, format_args!("`{}`: {error}", Shown(&path))))?;
    Ok(bytes.to_vec())
}
