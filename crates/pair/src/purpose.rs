//! What a run was for, as the memory of the pair keeps it with the end of the run.

use serde::{Deserialize, Serialize};
use swarm_sync::{ChangeCause, RunId};

use crate::Summary;

/// What a run was for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Purpose {
    /// Its cause.
    pub cause: ChangeCause,
    /// Of an undo, the run that it took back.
    pub undone_run: Option<RunId>,
}

/// What is kept of a run that ended.
#[derive(Serialize)]
pub(crate) struct Ended {
    #[serde(flatten)]
    pub(crate) planned: Summary,
    #[serde(flatten)]
    pub(crate) purpose: Purpose,
}

impl Purpose {
    /// From what was kept. A run that was killed, or ended before purposes were kept, was one like any other.
    pub(crate) fn of_kept(summary: Option<&str>) -> Self {
        summary.and_then(|summary| serde_json::from_str(summary).ok()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purpose_is_read_back_from_the_end_of_its_run() {
        let purpose = Purpose { cause: ChangeCause::Undo, undone_run: Some(RunId::at_ms(7)) };
        let kept = serde_json::to_string(&Ended { planned: Summary::default(), purpose }).expect("JSON");
        assert_eq!(Purpose::of_kept(Some(&kept)), purpose);
        let old = serde_json::to_string(&Summary::default()).expect("JSON");
        assert_eq!(Purpose::of_kept(Some(&old)), Purpose::default());
        assert_eq!(Purpose::of_kept(None), Purpose::default());
    }
}
