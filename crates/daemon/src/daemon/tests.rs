use std::time::Duration;

use swarm_core::base::ContentId;
use swarm_sync::ContentHash;
use tokio::sync::oneshot;

use super::*;
use crate::library::{Input, Question};

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a place");
    write("config.json", r#"{"port": 0, "listen": "127.0.0.1", "lan": false}"#);
    std::fs::create_dir(folder.path().join("files")).expect("a place");
    let mount = r#"{"dir": "files", "libpath": "/", "sync": true}"#;
    write("libraries.json", &format!(r#"{{"Lib": {{"guid": "0011223344556677", "mounts": [{mount}]}}}}"#));
    folder
}

/// The loop of this daemon stands still, as if it waited for one of its parts: each part has far more to do and to say than all queues hold.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_part_of_a_daemon_waits_for_its_loop() {
    let folder = folder();
    let Started { mut desk, queues, node_task } = start(Daemon::prepare(folder.path()).expect("a daemon"));
    desk.apply().await;
    let (library, handle) = desk.handles().pop_first().expect("a library");
    let contents: Vec<ContentId> = (0..8).map(|number| ContentId::from_bytes([number; 32])).collect();
    let work = async {
        for _ in 0..2 * QUEUE {
            let (reply, answered) = oneshot::channel();
            let asked = Input::Ask(Question::Log { limit: 1 }, reply);
            handle.inputs.send(asked).await.map_err(|_| "the worker has ended").expect("it works");
            answered.await.expect("an answer");
        }
        desk.to_contents(contents::Input::Mirror(library, contents, 0)).await;
        for _ in 0..4 * QUEUE {
            // Each has the contents ask the exchange for all that is fetched.
            desk.to_contents(contents::Input::PeerCame(library)).await;
            desk.to_exchange(exchange::Input::Changed(library)).await;
        }
        let (reply, answered) = oneshot::channel();
        desk.to_contents(contents::Input::Supply { file: ContentHash([1; 32]), reply }).await;
        answered.await.expect("an answer");
    };
    let done = tokio::time::timeout(Duration::from_secs(60), work).await;
    assert!(done.is_ok(), "a part waits for the loop, which may wait for that part");
    drop((handle, queues));
    desk.stop(node_task).await;
}
