//! The other end of a control socket, for commands. Blocking. Prints nothing.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::protocol::{Answer, Envelope, Request, VERSION};
use crate::limits::CONTROL_ANSWER_LEN_MAX;
use swarm_core::base::{Category, Shown};

/// A connection to a running node.
#[derive(Debug)]
pub struct Client {
    reader: BufReader<UnixStream>,
    path: PathBuf,
}

/// Why a node did not answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No process listens.
    #[error("no node runs with the control socket `{}`", Shown(.0))]
    NoNode(PathBuf),
    /// The socket is another user's.
    #[error("the control socket `{}` is another user's: run this as the user of the node, or as root", Shown(.0))]
    NotAllowed(PathBuf),
    /// The connection broke.
    #[error("the node at `{}` did not answer: {source}; see its log", Shown(path))]
    Broken {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something else listens there, or another version.
    #[error("what answers at `{}` is no node that this swarm understands: {why}", Shown(path))]
    Malformed {
        /// The socket.
        path: PathBuf,
        /// What is wrong with the answer.
        why: String,
    },
}

impl ClientError {
    /// Its category.
    pub fn category(&self) -> Category {
        match self {
            Self::NoNode(_) => Category::NoNode,
            Self::NotAllowed(_) => Category::Denied,
            Self::Broken { .. } | Self::Malformed { .. } => Category::Other,
        }
    }
}

impl Client {
    /// Connects to the node at this socket.
    ///
    /// # Errors
    /// If no node runs there, or the socket is another user's.
    pub fn connect(path: &Path) -> Result<Self, ClientError> {
        let stream = UnixStream::connect(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                ClientError::NoNode(path.to_owned())
            }
            io::ErrorKind::PermissionDenied => ClientError::NotAllowed(path.to_owned()),
            _ => ClientError::Broken { path: path.to_owned(), source },
        })?;
        Ok(Self { reader: BufReader::new(stream), path: path.to_owned() })
    }

    /// Asks, shows `progress` (bytes hashed, bytes in all) while the node is at work, and returns the last answer.
    ///
    /// # Errors
    /// If the connection breaks, or what comes is no answer.
    pub fn ask(
        &mut self,
        request: Request,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Answer, ClientError> {
        let envelope = Envelope { version: VERSION, request };
        let line = serde_json::to_vec(&envelope).map_err(|error| self.malformed(error))?;
        let sent = self.reader.get_mut().write_all(&[line, vec![b'\n']].concat());
        sent.map_err(|source| self.broken(source))?;
        loop {
            match self.next()? {
                Answer::Progress { hashed_bytes, total_bytes } => progress(hashed_bytes, total_bytes),
                answer => return Ok(answer),
            }
        }
    }

    fn next(&mut self) -> Result<Answer, ClientError> {
        let mut line = Vec::new();
        let read = (&mut self.reader).take(CONTROL_ANSWER_LEN_MAX).read_until(b'\n', &mut line);
        read.map_err(|source| self.broken(source))?;
        if line.last() != Some(&b'\n') {
            return Err(self.broken(io::ErrorKind::UnexpectedEof.into()));
        }
        serde_json::from_slice(&line).map_err(|error| self.malformed(error))
    }

    fn broken(&self, source: io::Error) -> ClientError {
        ClientError::Broken { path: self.path.clone(), source }
    }

    fn malformed(&self, error: serde_json::Error) -> ClientError {
        ClientError::Malformed { path: self.path.clone(), why: error.to_string() }
    }
}
