//! The decoders of this room, for those who try them with any bytes: the fuzz targets and their replay. Nothing else uses this.

use std::path::Path;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;

use super::config::{Config, ConfigError, file};
use super::control::{self, Call};
use super::page::AskedNode;
use super::protocol::{Answer, Request, Status};
use super::{reputations, saved};
use swarm_pages::limits::HEAD_LEN_MAX;

/// What a list of saved contents says, written again, and how many they are; or why it is none.
pub fn saved_list(bytes: &[u8]) -> Result<(Vec<u8>, usize), String> {
    let contents = saved::decode(bytes)?;
    let count = contents.len();
    Ok((saved::encode(contents).map_err(|error| error.to_string())?, count))
}

/// What a list of peers says, written again, and how many they are; or why it is none.
pub fn peer_list(bytes: &[u8]) -> Result<(Vec<u8>, usize), String> {
    let now = std::time::SystemTime::UNIX_EPOCH;
    let peers = reputations::decode(bytes, now)?;
    Ok((reputations::encode(&peers, now).map_err(|error| error.to_string())?, peers.len()))
}

/// The configuration that a text is.
pub fn config(text: &str) -> Result<Config, ConfigError> {
    file::parse(Path::new("node.toml"), text, Path::new("/etc/swarm"))
}

/// The request on a line of a control socket, or what is answered to it.
pub fn request(line: &[u8]) -> Result<Request, Answer> {
    control::parse(line)
}

/// What the metrics page answers to a client that says this and then ends.
pub fn metrics_page(said: &[u8]) -> Vec<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("no I/O driver, so nothing that can fail").block_on(async {
        let (mut theirs, ours) = tokio::io::duplex(said.len().max(PIPE_LEN));
        let (calls, mut asked) = mpsc::channel::<Call>(1);
        let healthy = Status { is_healthy: true, ..Status::default() };
        let node = async {
            while let Some(call) = asked.recv().await {
                // Who asked may be gone.
                let _ = call.answer.send(Answer::Status(Box::new(healthy.clone())));
            }
        };
        let client = async {
            let mut answer = Vec::new();
            // It may have hung up by then; what it said before is there all the same.
            let _ = theirs.write_all(said).await;
            let _ = theirs.shutdown().await;
            let _ = theirs.read_to_end(&mut answer).await;
            answer
        };
        tokio::join!(swarm_pages::client(ours, AskedNode(calls)), node, client).2
    })
}

/// Holds every head and every answer whole.
const PIPE_LEN: usize = 4 * HEAD_LEN_MAX;
