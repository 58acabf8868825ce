use std::time::Duration;

use swarm_core::base::ContentId;
use swarm_sync::ContentHash;
use tokio::sync::oneshot;

use super::starting::Queues;
use super::*;
use crate::library::{Input, LibrarySettings, Question};

/// A daemon whose loop stands still, as if it waited for one of its parts. It has a library, which is empty.
pub(crate) struct Standing {
    desk: Desk,
    queues: Queues,
    node_task: JoinHandle<NodeSnapshot>,
    pub(crate) library: LibraryKey,
    pub(crate) handle: LibraryHandle,
    pub(crate) settings: LibrarySettings,
    folder: tempfile::TempDir,
}

impl Standing {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a place");
        write("config.json", r#"{"port": 0, "listen": "127.0.0.1", "lan": false}"#);
        std::fs::create_dir(folder.path().join("files")).expect("a place");
        let mount = r#"{"dir": "files", "libpath": "/", "sync": true}"#;
        write(
            "libraries.json",
            &format!(r#"{{"Lib": {{"guid": "0011223344556677", "mounts": [{mount}]}}}}"#),
        );
        let Started { mut desk, queues, node_task } =
            super::start(Daemon::prepare(folder.path()).expect("a daemon"));
        desk.apply().await;
        let (library, handle) = desk.handles().pop_first().expect("a library");
        let settings = desk.libraries[&library].settings().clone();
        Self { desk, queues, node_task, library, handle, settings, folder }
    }

    /// What waits to be taken up by the sync target.
    pub(crate) fn uploads(&self) -> usize {
        let uploads = self.folder.path().join("files/.swarm/uploads");
        std::fs::read_dir(uploads).map_or(0, Iterator::count)
    }

    pub(crate) async fn end(self) {
        let Self { desk, queues, node_task, handle, folder, .. } = self;
        drop((handle, queues));
        desk.stop(node_task).await;
        drop(folder);
    }
}

/// Each part has far more to do and to say than all queues hold.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_part_of_a_daemon_waits_for_its_loop() {
    let standing = Standing::start().await;
    let Standing { desk, library, handle, .. } = &standing;
    let contents: Vec<ContentId> = (0..8).map(|number| ContentId::from_bytes([number; 32])).collect();
    let work = async {
        for _ in 0..2 * QUEUE {
            let (reply, answered) = oneshot::channel();
            let asked = Input::Ask(Question::Log { limit: 1 }, reply);
            handle.inputs.send(asked).await.map_err(|_| "the worker has ended").expect("it works");
            answered.await.expect("an answer");
        }
        desk.to_contents(contents::Input::Mirror(*library, contents, 0)).await;
        for _ in 0..4 * QUEUE {
            // Each has the contents ask the exchange for all that is fetched.
            desk.to_contents(contents::Input::PeerCame(*library)).await;
            desk.to_exchange(exchange::Input::Changed(*library)).await;
        }
        let (reply, answered) = oneshot::channel();
        desk.to_contents(contents::Input::Supply { file: ContentHash([1; 32]), reply }).await;
        answered.await.expect("an answer");
    };
    let done = tokio::time::timeout(Duration::from_secs(60), work).await;
    assert!(done.is_ok(), "a part waits for the loop, which may wait for that part");
    standing.end().await;
}

/// The pinning of a key reads all files, and no later look tells what changed in the others.
#[tokio::test]
async fn what_is_written_before_a_key_is_pinned_is_taken_over_with_it() {
    let mut standing = Standing::start().await;
    let path = standing.folder.path().to_owned();
    let write = |name: &str, text: &str| std::fs::write(path.join(name), text).expect("a place");
    let address = "127.0.0.1:9".to_owned();
    write("peers.json", &format!(r#"[{{"address": "{address}"}}]"#));
    let desk = &mut standing.desk;
    let reloaded = desk.folder.reload();
    desk.on_reloaded(reloaded).await;
    write("users.json", r#"[{"user": "bob", "pass": "secret", "role": "viewer"}]"#);
    let node = NodeId::from_bytes([7; 32]);
    desk.on_dialed(Dialed::Identified { address, node }).await;
    assert_eq!(desk.folder.peers()[0].node, Some(node));
    let users = std::fs::read_to_string(path.join("users.json")).expect("it is there");
    assert!(users.contains("argon2") && !users.contains("secret"), "{users}");
    standing.end().await;
}
