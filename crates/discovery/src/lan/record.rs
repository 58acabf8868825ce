//! The TXT record of a node. Decoding validates: an invalid record is dropped whole.

use std::collections::BTreeSet;

use data_encoding::BASE64URL_NOPAD;
use mdns_sd::{TxtProperties, TxtProperty};

use crate::limits::{LAN_CONTENTS_MAX, LAN_IDS_PER_STRING};
use swarm_core::base::{ContentId, NodeId};
use swarm_core::presence::Presence;

/// Stands for a content towards nodes that know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) struct ShortId(pub(in super::super) [u8; 8]);

/// A node and its contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Announcement {
    pub(in super::super) node: NodeId,
    pub(in super::super) contents: BTreeSet<ShortId>,
}

impl ShortId {
    /// Derived with a key of its own, so that no other purpose has the same value. Two contents with equal short ids cost a dial.
    pub(super) fn of(content: ContentId) -> Self {
        let derived = blake3::derive_key("swarm lan content v1", content.as_bytes());
        let [a, b, c, d, e, f, g, h, ..] = derived;
        Self([a, b, c, d, e, f, g, h])
    }
}

impl Announcement {
    /// Chooses the contents to announce: first the wanted ones, then those that other nodes here ask for, then the rest in turns.
    pub(super) fn new(
        node: NodeId,
        presences: &[Presence],
        is_asked_for: impl Fn(&Presence) -> bool,
        turn: usize,
    ) -> Self {
        let (first, rest): (Vec<&Presence>, Vec<&Presence>) =
            presences.iter().partition(|presence| presence.is_wanting || is_asked_for(presence));
        let (wanted, asked): (Vec<&Presence>, Vec<&Presence>) =
            first.into_iter().partition(|presence| presence.is_wanting);
        let places = LAN_CONTENTS_MAX.saturating_sub(wanted.len() + asked.len());
        let skipped = if rest.len() <= places { 0 } else { (turn * places) % rest.len() };
        let rest = rest.iter().cycle().skip(skipped).take(rest.len()).copied();
        let contents = wanted.into_iter().chain(asked).chain(rest).take(LAN_CONTENTS_MAX);
        Self { node, contents: contents.map(|presence| ShortId::of(presence.content)).collect() }
    }

    /// The properties of the TXT record.
    pub(in super::super) fn to_txt(&self) -> Vec<TxtProperty> {
        let mut txt = vec![TxtProperty::from((NODE, self.node.to_string()))];
        let ids: Vec<ShortId> = self.contents.iter().copied().collect();
        for (index, ids) in ids.chunks(LAN_IDS_PER_STRING).enumerate() {
            let bytes: Vec<u8> = ids.iter().flat_map(|id| id.0).collect();
            txt.push(TxtProperty::from((format!("{CONTENTS}{index}"), BASE64URL_NOPAD.encode(&bytes))));
        }
        txt
    }

    /// `None` if the record names no node or is malformed. Unknown keys are skipped: later builds may add some.
    pub(in super::super) fn from_txt(txt: &TxtProperties) -> Option<Self> {
        let node = txt.get_property_val_str(NODE)?.parse().ok()?;
        let mut contents = BTreeSet::new();
        for index in 0..LAN_CONTENTS_MAX / LAN_IDS_PER_STRING {
            let Some(text) = txt.get_property_val_str(&format!("{CONTENTS}{index}")) else { break };
            let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
            let (ids, rest) = bytes.as_chunks::<8>();
            if !rest.is_empty() || ids.len() > LAN_IDS_PER_STRING {
                return None;
            }
            contents.extend(ids.iter().copied().map(ShortId));
        }
        Some(Self { node, contents })
    }
}

const NODE: &str = "node";
/// The key of a list of contents; a number follows.
const CONTENTS: &str = "has";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn presence(number: u16, is_wanting: bool) -> Presence {
        let mut id = [0; 32];
        id[..2].copy_from_slice(&number.to_be_bytes());
        let content = ContentId::from_bytes(id);
        let links = Vec::new();
        Presence { content, have_count: 0, chunk_count: 0, is_wanting, links }
    }

    fn node() -> NodeId {
        NodeId::from_bytes([3; 32])
    }

    fn decoded(txt: Vec<TxtProperty>) -> Option<Announcement> {
        let info = mdns_sd::ServiceInfo::new("_swarm._udp.local.", "x", "x.local.", "", 1, txt).ok()?;
        Announcement::from_txt(info.get_properties())
    }

    #[test]
    fn an_announcement_survives_being_sent() {
        let presences: Vec<Presence> = (0..100).map(|number| presence(number, false)).collect();
        let sent = Announcement::new(node(), &presences, |_| false, 0);
        assert_eq!(sent.contents.len(), LAN_CONTENTS_MAX);
        assert_eq!(decoded(sent.to_txt()), Some(sent));
    }

    #[test]
    fn what_is_wanted_or_asked_for_is_always_announced_and_the_rest_by_turns() {
        let mut presences: Vec<Presence> = (0..500).map(|number| presence(number, false)).collect();
        presences[400].is_wanting = true;
        let asked = presences[300].content;
        let mut seen = BTreeSet::new();
        for turn in 0..9 {
            let said = Announcement::new(node(), &presences, |presence| presence.content == asked, turn);
            assert!(said.contents.contains(&ShortId::of(presences[400].content)), "turn {turn}");
            assert!(said.contents.contains(&ShortId::of(asked)), "turn {turn}");
            seen.extend(said.contents);
        }
        assert_eq!(seen.len(), 500);
    }

    #[test]
    fn a_short_id_is_stable_and_no_part_of_the_content_id() {
        let content = ContentId::from_bytes([7; 32]);
        assert_eq!(ShortId::of(content).0, [135, 122, 219, 43, 180, 159, 72, 58]);
    }

    proptest! {
        #[test]
        fn no_record_makes_it_panic_or_keep_too_much(
            node in "[0-9a-f]{60,66}", has in prop::collection::vec("[A-Za-z0-9_-]{0,240}", 0..8)
        ) {
            let mut txt = vec![TxtProperty::from((NODE, node))];
            for (index, text) in has.into_iter().enumerate() {
                txt.push(TxtProperty::from((format!("{CONTENTS}{index}"), text)));
            }
            let heard = decoded(txt);
            prop_assert!(heard.is_none_or(|heard| heard.contents.len() <= LAN_CONTENTS_MAX));
        }
    }
}
