//! Chunks by peer, to look at: which chunks of a part of a content are here, which each peer has, and which it is asked for now. Many chunks make
//! one cell, so that the answer is no longer than what is shown of it. Reads everything, changes nothing.

use std::collections::BTreeMap;
use std::ops::Range;

use swarm_core::base::{Bitfield, ContentId, NodeId, Rate};

use super::Survey;
use super::chunks::ChunkState;
use super::io::LinkId;
use super::pipeline::Pipeline;

/// What is wanted of a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapQuery {
    /// Which content.
    pub content: ContentId,
    /// Which of its chunks, by index, in order; what lies outside of the content is left out.
    pub chunks: Vec<Range<u32>>,
    /// Cells at most; zero for figures alone.
    pub cells_max: u32,
    /// Peers at most; those that send most stand first.
    pub peers_max: usize,
}

/// A part of a content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChunkMap {
    /// Chunks of it that are wanted or here.
    pub chunk_count: u32,
    /// Of them, those that are here, verified.
    pub here_count: u32,
    /// Bytes of the chunks that are wanted or here.
    pub wanted_len: u64,
    /// Bytes of those that are here.
    pub here_len: u64,
    /// Bytes of others that came: of chunks that are not whole, or not checked yet.
    pub coming_len: u64,
    /// Of each cell, the percentage of its chunks that is here.
    pub here: Vec<u8>,
    /// Peers that have some of it, those that send most first.
    pub peers: Vec<PeerRow>,
    /// Peers that have some of it and are not in the list.
    pub further_peers: usize,
}

/// One peer of a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerRow {
    /// The peer.
    pub node: NodeId,
    /// Chunks that it has.
    pub has_count: u32,
    /// Bytes that it is asked for and that have not come.
    pub asked_len: u64,
    /// The same of the whole content.
    pub asked_of_content_len: u64,
    /// Payload from it now, over all contents; zero if nothing is asked of it.
    pub rate: Rate,
    /// It serves nothing to this node now.
    pub is_choked: bool,
    /// It did not send for too long.
    pub is_stalled: bool,
    /// Of each cell, the percentage of its chunks that the peer has.
    pub has: Vec<u8>,
    /// Of each cell, the percentage of its chunks that it is asked for.
    pub asked: Vec<u8>,
}

/// The chunks of a map, and how they make cells: each cell has as many as another, but for one.
struct Cells {
    chunks: Vec<u32>,
    is_in: Bitfield,
    count: usize,
}

impl Survey<'_> {
    /// A map of chunks by peer; nothing if no store of the content is open.
    pub fn chunk_map(&self, query: &MapQuery) -> Option<ChunkMap> {
        let chunks = self.engine.transfer.downloads.chunks(query.content)?;
        let geometry = chunks.geometry();
        let is_counted = |index: &u32| {
            geometry.chunk(*index).is_some_and(|chunk| chunks.state(chunk) != ChunkState::Unwanted)
        };
        let cells = Cells::new(query, geometry.chunk_count(), is_counted);
        let mut map =
            ChunkMap { here: cells.shares(|chunk| chunks.have().contains(chunk)), ..ChunkMap::default() };
        for chunk in cells.chunks.iter().filter_map(|index| geometry.chunk(*index)) {
            let len = u64::from(geometry.chunk_len(chunk));
            map.chunk_count += 1;
            map.wanted_len += len;
            match chunks.state(chunk) {
                ChunkState::Verified | ChunkState::Durable => {
                    map.here_count += 1;
                    map.here_len += len;
                }
                ChunkState::Checking => map.coming_len += len,
                ChunkState::Unwanted | ChunkState::Queued | ChunkState::Active => {
                    map.coming_len += u64::from(chunks.kept_len(chunk));
                }
            }
        }
        let holders = self.engine.transfer.downloads.holders(query.content);
        let mut peers: Vec<PeerRow> =
            holders.filter_map(|(link, has)| self.row(query.content, &cells, link, has)).collect();
        let on_its_way = self.engine.transfer.pipelines.values();
        map.coming_len += on_its_way.map(|pipeline| came_len(pipeline, query.content, &cells)).sum::<u64>();
        map.coming_len = map.coming_len.min(map.wanted_len - map.here_len);
        peers.sort_by_key(|peer| std::cmp::Reverse((peer.asked_len > 0, peer.rate.0, peer.has_count)));
        map.further_peers = peers.len().saturating_sub(query.peers_max);
        peers.truncate(query.peers_max);
        map.peers = peers;
        Some(map)
    }

    /// Payload that came of a content since it was joined, by the peer that sent it.
    pub(super) fn received(&self, content: ContentId) -> BTreeMap<NodeId, u64> {
        self.engine.transfer.downloads.received(content).cloned().unwrap_or_default()
    }

    fn row(&self, content: ContentId, cells: &Cells, link: LinkId, has: &Bitfield) -> Option<PeerRow> {
        let pipeline = self.engine.transfer.pipeline(link)?;
        let has_count = has.both(&cells.is_in).count() as u32;
        let (mut asked, mut asked_len, mut asked_of_content_len) = (Vec::new(), 0, 0);
        for open in pipeline.requests.values().filter(|open| open.content == content && !open.is_abandoned) {
            asked_of_content_len += open.missing_len();
            if cells.is_in.contains(open.run.first().get()) {
                asked_len += open.missing_len();
                let chunks = self.engine.transfer.downloads.chunks(content)?;
                asked.extend(chunks.chunks_from(open.run, open.next).map(|chunk| chunk.get()));
            }
        }
        asked.sort_unstable();
        (has_count > 0 || asked_len > 0).then(|| PeerRow {
            node: pipeline.node,
            has_count,
            asked_len,
            asked_of_content_len,
            rate: pipeline
                .rate(self.engine.turn.now)
                .filter(|_| pipeline.outstanding_len > 0)
                .unwrap_or_default(),
            is_choked: pipeline.is_choked,
            is_stalled: pipeline.is_stalled(),
            has: cells.shares(|chunk| has.contains(chunk)),
            asked: cells.shares(|chunk| asked.binary_search(&chunk).is_ok()),
        })
    }
}

/// Bytes that came of open requests for chunks of a range, and that no chunk counts yet.
fn came_len(pipeline: &Pipeline, content: ContentId, cells: &Cells) -> u64 {
    let of_it = pipeline.requests.values().filter(|open| open.content == content);
    let of_chunks = of_it.filter(|open| cells.is_in.contains(open.run.first().get()));
    of_chunks.map(super::pipeline::OpenRequest::unfinished_len).sum()
}

impl Cells {
    fn new(query: &MapQuery, chunk_count: u32, is_counted: impl Fn(&u32) -> bool) -> Self {
        let within = |range: &Range<u32>| range.start.min(chunk_count)..range.end.min(chunk_count);
        let chunks: Vec<u32> = query.chunks.iter().flat_map(within).filter(is_counted).collect();
        let mut is_in = Bitfield::new(chunk_count);
        for chunk in &chunks {
            is_in.insert(*chunk);
        }
        let count = chunks.len().min(query.cells_max as usize);
        Self { chunks, is_in, count }
    }

    /// Of each cell, the percentage of chunks of which something is so. One of a thousand is one percent, and not nothing; all but one are 99.
    fn shares(&self, is_so: impl Fn(u32) -> bool) -> Vec<u8> {
        let edge = |cell: usize| cell * self.chunks.len() / self.count;
        let share = |cell: usize| {
            let chunks = &self.chunks[edge(cell)..edge(cell + 1)];
            let (count, all) = (chunks.iter().filter(|chunk| is_so(**chunk)).count(), chunks.len());
            match count {
                0 => 0,
                _ if count == all => 100,
                _ => (count * 100 / all).clamp(1, 99) as u8,
            }
        };
        (0..self.count).map(share).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(chunks: Range<u32>, cells_max: u32, so: &[u32], expected: &[u8]) {
        let content = ContentId::from_bytes([1; 32]);
        let query = MapQuery { content, chunks: vec![chunks], cells_max, peers_max: 0 };
        let cells = Cells::new(&query, 5000, |_| true);
        assert_eq!(cells.shares(|chunk| so.contains(&chunk)), expected);
    }

    #[test]
    fn cells_say_which_share_of_their_chunks_it_is() {
        check(0..4, 4, &[1, 2], &[0, 100, 100, 0]);
        check(2..6, 4, &[1, 2], &[100, 0, 0, 0]);
        check(0..8, 2, &[0, 4, 5, 6, 7], &[25, 100]);
        check(0..5, 2, &[0, 2, 3], &[50, 66]);
        check(0..0, 0, &[], &[]);
        let but_one: Vec<u32> = (1..1000).collect();
        check(0..2000, 2, &but_one, &[99, 0]);
        check(0..2000, 2, &[7], &[1, 0]);
    }
}
