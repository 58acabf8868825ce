//! The blocking work before a fetch can begin: what of the content is wanted, and a store that takes it. The one place where a folder is
//! opened to be filled. Knows no network.

use std::sync::Arc;

use swarm_core::base::Bitfield;
use swarm_core::manifest::Manifest;
use swarm_files::{
    HashProgress, LastLook, LeftOut, Opened, Opening, Store, StoreError, StreamStore, Target, TargetOptions,
};
use swarm_node::clock::wall_clock;

use super::fetch::FetchError;
use super::plan::{Destination, FolderPlan};
use super::selection::Chosen;

/// A store that takes a content, and what it holds already.
pub(crate) struct OpenedTarget {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) durable: Bitfield,
    pub(crate) wanted: Bitfield,
    /// An earlier fetch is gone on with.
    pub(crate) is_resumed: bool,
    /// What is there was hashed because nothing said what of it is good.
    pub(crate) is_doubted: bool,
    /// It cannot be written to, and holds everything that is wanted.
    pub(crate) is_whole: bool,
    /// What was wanted and the target cannot hold.
    pub(crate) left_out: Vec<LeftOut>,
}

/// Opens a folder for the files that were chosen. Blocks until everything is hashed that has to be.
pub(crate) fn open_folder(
    folder: &FolderPlan,
    manifest: &Manifest,
    chosen: Chosen,
    last_look: Option<LastLook>,
    progress: &(dyn Fn(HashProgress) + Sync),
) -> Result<OpenedTarget, StoreError> {
    let wanted = chosen.chunks(manifest);
    let options = TargetOptions { overwrite: folder.overwrite, unwanted_empty: chosen.unwanted_empty };
    let opening = Opening { progress, clock: wall_clock };
    Ok(match Target::open(&folder.out, manifest, &wanted, &options, opening)? {
        Target::Filled(store, opened) => {
            let (is_resumed, is_doubted) = (opened.resumed, opened.doubted);
            let Opened { durable, wanted, left_out, .. } = opened;
            let store = match last_look {
                Some(look) => store.looking_again(look),
                None => *store,
            };
            let store = Arc::new(store);
            OpenedTarget { store, durable, wanted, is_resumed, is_doubted, is_whole: false, left_out }
        }
        Target::Complete(store) => {
            let durable = store.good().clone();
            OpenedTarget { is_whole: true, ..OpenedTarget::new(Arc::new(*store), durable, wanted) }
        }
    })
}

/// Opens where a fetch goes to, for the files that were chosen.
pub(super) fn open(
    destination: &Destination,
    manifest: Manifest,
    chosen: Chosen,
    last_look: Option<LastLook>,
    progress: &(dyn Fn(HashProgress) + Sync),
) -> Result<OpenedTarget, FetchError> {
    match destination {
        Destination::Folder(folder) => {
            open_folder(folder, &manifest, chosen, last_look, progress).map_err(FetchError::Target)
        }
        Destination::Stream(out) => {
            let [file] = chosen.files.as_slice() else {
                return Err(FetchError::NotOneFile { count: chosen.files.len() });
            };
            let wanted = chosen.chunks(&manifest);
            let nothing = Bitfield::new(wanted.len());
            let store = StreamStore::new(manifest, *file, out());
            Ok(OpenedTarget::new(Arc::new(store), nothing, wanted))
        }
    }
}

impl OpenedTarget {
    /// One that nothing is to be said of.
    fn new(store: Arc<dyn Store>, durable: Bitfield, wanted: Bitfield) -> Self {
        let (is_resumed, is_doubted, is_whole) = (false, false, false);
        Self { store, durable, wanted, is_resumed, is_doubted, is_whole, left_out: Vec::new() }
    }
}
