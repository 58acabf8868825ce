//! Bytes: reads files of all layers, and copies contents to the sync target as far as there is room.

use swarm_files::free_len;
use swarm_sync::{
    Blind, BlindWhy, ContentSource, Entry, Found, Replica as _, ReplicaError, StageJob, Staged, TreePath,
};

use crate::Overlay;
use crate::layer::{Inward, Layer};
use crate::overlay::Target;
use crate::standing::Shown;

/// Reads files, those of one layer at a time.
pub(crate) fn hash_all(overlay: &Overlay, files: Vec<Found>) -> Vec<Result<(TreePath, Entry), Blind>> {
    let mut results: Vec<Option<Result<(TreePath, Entry), Blind>>> = vec![None; files.len()];
    let mut of_layers: Vec<(&Layer, Vec<usize>, Vec<Found>)> =
        overlay.layers().map(|layer| (layer, Vec::new(), Vec::new())).collect();
    for (at, file) in files.iter().enumerate() {
        match overlay.shown(&file.path) {
            Ok(Some(Shown::In { layer, inside, .. })) => {
                let mut of_layers = of_layers.iter_mut();
                if let Some((_, places, files)) = of_layers.find(|(one, ..)| std::ptr::eq(*one, layer)) {
                    places.push(at);
                    files.push(Found { path: inside, ..file.clone() });
                }
            }
            Ok(Some(Shown::Shape) | None) => {}
            Err(error) => {
                let why = BlindWhy::Unreadable(error.to_string());
                results[at] = Some(Err(Blind { path: file.path.clone(), why }));
            }
        }
    }
    for (layer, places, inside) in of_layers {
        for (at, result) in places.into_iter().zip(layer.replica.hash(inside)) {
            let path = || files[at].path.clone();
            let result = result.map(|(_, entry)| (path(), entry));
            results[at] = Some(result.map_err(|blind| Blind { path: path(), ..blind }));
        }
    }
    let changing = |file: Found| Blind { path: file.path, why: BlindWhy::Changing };
    results.into_iter().zip(files).map(|(done, file)| done.unwrap_or_else(|| Err(changing(file)))).collect()
}

/// Copies contents beside the tree of the sync target, as far as there is room.
pub(crate) fn stage_all(
    overlay: &Overlay,
    jobs: Vec<StageJob>,
    carried: &(dyn Fn(u64) + Sync),
) -> Vec<Result<Staged, ReplicaError>> {
    let mut room = overlay.target.as_ref().map_or(0, Target::room);
    let mut admitted = Vec::new();
    let mut results: Vec<Option<ReplicaError>> = Vec::with_capacity(jobs.len());
    for job in jobs {
        let path = job.path.clone();
        let inside = overlay.target_for(&path).and_then(|target| match target.layer.inward(&path) {
            Inward::Below(inside) => Ok(inside),
            Inward::Root | Inward::Above | Inward::Apart => {
                Err(ReplicaError::NoTarget { path: path.clone() })
            }
        });
        let admission = match (inside, room.checked_sub(job.content.len)) {
            (Ok(inside), Some(rest)) => {
                room = rest;
                admitted.push(StageJob { path: inside, ..job });
                None
            }
            (Ok(_), None) => Some(ReplicaError::Full { path }),
            (Err(error), _) => Some(error),
        };
        results.push(admission);
    }
    let staged = match &overlay.target {
        Some(Target { layer, .. }) => {
            let staged = layer.replica.stage(admitted, carried).into_iter();
            staged.map(|result| result.map_err(|error| layer.outward_error(error))).collect()
        }
        None => Vec::new(),
    };
    let mut staged = staged.into_iter();
    let staged = |refused: Option<ReplicaError>| match refused {
        Some(error) => Err(error),
        None => staged.next().unwrap_or(Err(ReplicaError::Stopped)),
    };
    results.into_iter().map(staged).collect()
}

impl Target {
    /// Bytes that may still be copied to it. A file system that does not tell has room.
    fn room(&self) -> u64 {
        free_len(&self.layer.dir).map_or(u64::MAX, |free| free.saturating_sub(self.min_free))
    }
}

/// A source of which nothing can be read.
pub(crate) struct NoSource(pub(crate) ReplicaError);

impl ContentSource for NoSource {
    fn read_at(&mut self, _: u64, _: &mut [u8]) -> Result<usize, ReplicaError> {
        Err(self.0.clone())
    }

    fn as_any(&mut self) -> &mut dyn std::any::Any {
        self
    }
}
