//! A corrupt seed: built from the library, with a store that returns wrong bytes.

use std::path::Path;
use std::sync::Arc;

use swarm_core::base::Bitfield;
use swarm_core::manifest::{ChunkIndex, Manifest, Source};
use swarm_discovery::Finders;
use swarm_engine::{Join, Order};
use swarm_files::{IndexOptions, SeedStore, Store, StoreError, Verdict, index};
use swarm_link::{Endpoint, Identity, LinkOptions};
use swarm_node::clock::wall_clock;
use swarm_node::{Node, Options};
use tokio::runtime::Runtime;

/// The corrupt seed. Ends with its runtime.
pub struct Liar {
    runtime: Option<Runtime>,
    _node: Node,
    peer: String,
    node_id: String,
}

impl Liar {
    /// Serves this file, with one wrong byte in every read.
    pub fn start(file: &Path, key: u8) -> Self {
        Self::begin(file, key, Vec::new())
    }

    /// The same, announced to this coordinator.
    pub fn start_announced(file: &Path, key: u8, coordinator: &str) -> Self {
        Self::begin(file, key, vec![coordinator.parse().expect("a place")])
    }

    fn begin(file: &Path, key: u8, coordinators: Vec<Source>) -> Self {
        let made = index(&[file.to_owned()], &IndexOptions::default(), None, &|_| {}).expect("a good file");
        let all = Bitfield::full(made.manifest.geometry().chunk_count());
        let store = SeedStore::new(made.manifest.clone(), made.roots, all.clone(), wall_clock);
        let runtime = Runtime::new().expect("threads");
        let identity = Identity::from_seed([key; 32]);
        let listen = "127.0.0.1:0".parse().expect("an address");
        let (node, node_id, port) = runtime.block_on(async {
            let endpoint =
                Endpoint::bind(Some(listen), &identity, LinkOptions::default()).expect("a free port");
            let (node_id, port) = (endpoint.node_id(), endpoint.port());
            let finders = Finders { coordinators, ..Finders::default() };
            let (node, mut events, _) = Node::start(endpoint, Options { finders, ..Options::default() });
            runtime.spawn(async move { while events.recv().await.is_some() {} });
            let content = made.manifest.id();
            let manifest = Some(made.manifest);
            node.join(Join { content, manifest, order: Order::RarestFirst, patience: None }).await;
            let nothing = Bitfield::new(all.len());
            node.open_store(content, Arc::new(LyingStore(store)), all, nothing).await;
            (node, node_id.to_string(), port)
        });
        let peer = format!("{node_id}@127.0.0.1:{port}");
        Self { runtime: Some(runtime), _node: node, peer, node_id }
    }

    /// For `--peer`.
    pub fn peer(&self) -> &str {
        &self.peer
    }

    pub fn node(&self) -> &str {
        &self.node_id
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

struct LyingStore(SeedStore);

impl Store for LyingStore {
    fn manifest(&self) -> &Manifest {
        self.0.manifest()
    }

    fn read(&self, chunk: ChunkIndex, offset: u32, buf: &mut [u8]) -> Result<(), StoreError> {
        self.0.read(chunk, offset, buf)?;
        if let Some(byte) = buf.first_mut() {
            *byte = !*byte;
        }
        Ok(())
    }

    fn write_chunk(&self, chunk: ChunkIndex, data: &[u8]) -> Result<Verdict, StoreError> {
        self.0.write_chunk(chunk, data)
    }

    fn keep_slice(&self, chunk: ChunkIndex, offset: u32, data: &[u8]) -> Result<(), StoreError> {
        self.0.keep_slice(chunk, offset, data)
    }

    fn verify_kept(&self, chunk: ChunkIndex) -> Result<Verdict, StoreError> {
        self.0.verify_kept(chunk)
    }

    fn flush(&self) -> Result<Vec<ChunkIndex>, StoreError> {
        self.0.flush()
    }

    fn finish(&self) -> Result<(), StoreError> {
        self.0.finish()
    }
}
