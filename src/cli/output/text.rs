//! Words and tables for people.

use std::fmt::Write as _;
use std::time::Duration;

use crate::base::{ByteLen, Rate};
use crate::engine::{Bottleneck, PeerSnapshot, PeerStanding};
use crate::manifest::{ChunkIndex, Manifest};

/// What holds a fetch up; empty if nothing does.
pub(in crate::cli) fn bottleneck(bottleneck: &Bottleneck, manifest: Option<&Manifest>) -> String {
    match bottleneck {
        Bottleneck::None => String::new(),
        Bottleneck::NoPeer(None) => "no peer is linked yet".to_owned(),
        Bottleneck::NoPeer(Some(reason)) => format!("no peer is linked ({reason})"),
        Bottleneck::AllDeclined => "no linked peer has this content".to_owned(),
        Bottleneck::NoManifest => "the manifest has not come yet".to_owned(),
        Bottleneck::NoPeerHas(chunk) => format!("no linked peer has {}", chunk_name(*chunk, manifest)),
        Bottleneck::AllChoked => "all peers choke us: they serve others first".to_owned(),
        Bottleneck::Disk => "the disk is the limit: chunks wait to be written".to_owned(),
    }
}

/// `chunk 17 of film.mov`
pub(in crate::cli) fn chunk_name(chunk: ChunkIndex, manifest: Option<&Manifest>) -> String {
    let Some(manifest) = manifest else { return format!("chunk {}", chunk.get()) };
    let file = manifest.geometry().span(chunk).file;
    let first = manifest.geometry().file_chunk_range(file).start;
    format!("chunk {} of {}", chunk.get() - first, manifest.file(file).path)
}

/// `1 file`, `2 files`.
pub(in crate::cli) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Who gave how much. One row a peer that gave anything or went wrong.
pub(in crate::cli) fn peer_table(peers: &[PeerSnapshot], elapsed: Duration) -> String {
    let total_len: u64 = peers.iter().map(|peer| peer.totals.received_len).sum();
    let mut table = format!(
        "  {:<10}{:>12}{:>8}{:>14}{:>9}  {}\n",
        "peer", "received", "share", "mean rate", "chunks", ""
    );
    for peer in peers {
        let totals = &peer.totals;
        let share = if total_len == 0 { 0.0 } else { totals.received_len as f64 * 100.0 / total_len as f64 };
        let _ = writeln!(
            table,
            "  {:<10}{:>12}{:>7.1}%{:>14}{:>9}  {}",
            peer.node.short(),
            ByteLen(totals.received_len),
            share,
            Rate::over(totals.received_len, elapsed),
            totals.verified_chunks,
            standing(peer),
        );
    }
    table.pop();
    table
}

/// What there is to say about a peer beside figures; empty if nothing.
pub(in crate::cli) fn standing(peer: &PeerSnapshot) -> String {
    match &peer.standing {
        PeerStanding::Linked | PeerStanding::Away(None) => String::new(),
        PeerStanding::Away(Some(reason)) => format!("away: {reason}"),
        PeerStanding::Refused(reason) => format!("refused: {reason}"),
        PeerStanding::Banned(violation) => format!("banned: {violation}"),
    }
}

/// `1:02:03`, `2:03`, `5 s`.
pub(in crate::cli) fn duration(time: Duration) -> String {
    let secs = time.as_secs();
    match (secs / 3600, secs / 60 % 60, secs % 60) {
        (0, 0, secs) => format!("{secs} s"),
        (0, minutes, secs) => format!("{minutes}:{secs:02}"),
        (hours, minutes, secs) => format!("{hours}:{minutes:02}:{secs:02}"),
    }
}
