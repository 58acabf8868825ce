//! An allow-list: a node a line, with a role if it is not a full one.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::{AccessTable, AdmissionRules, Applicant, Denial, Role};
use crate::base::NodeId;
use crate::base::limits::MEMBERS_MAX;

/// Nodes that may link; every other node is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members(BTreeMap<NodeId, Role>);

/// Why a text is not an allow list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MembersError {
    /// A line that is not a node and a role.
    #[error("line {line}: `{}` is no node: write NODEID, or NODEID mirror, and comments after #", text.escape_debug())]
    Line {
        /// Counted from 1.
        line: usize,
        /// The text of the line, cut to 80 characters.
        text: String,
    },
    /// The same node twice, with two roles.
    #[error("line {line}: node {} is already listed with another role: keep one line", node.short())]
    Twice {
        /// Line of the second entry, counted from 1.
        line: usize,
        /// The node that stands twice.
        node: NodeId,
    },
    /// Longer than a list may be.
    #[error("more than {MEMBERS_MAX} nodes: use certificates for so many")]
    TooMany,
}

impl Members {
    /// All that are listed.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.0.keys().copied()
    }
}

impl FromStr for Members {
    type Err = MembersError;

    /// Reads one node a line: its id, then its role if it is not a full member, then a comment after `#`. Empty lines are skipped.
    fn from_str(text: &str) -> Result<Self, MembersError> {
        let mut members = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let line_number = number + 1;
            let words = line.split('#').next().unwrap_or_default();
            let mut words = words.split_whitespace();
            let Some(id) = words.next() else { continue };
            let malformed =
                || MembersError::Line { line: line_number, text: line.chars().take(80).collect() };
            let node: NodeId = id.parse().map_err(|_| malformed())?;
            let role = words.next().map_or(Some(Role::Full), Role::from_name).ok_or_else(malformed)?;
            if words.next().is_some() {
                return Err(malformed());
            }
            if members.insert(node, role).is_some_and(|before| before != role) {
                return Err(MembersError::Twice { line: line_number, node });
            }
            if members.len() > MEMBERS_MAX {
                return Err(MembersError::TooMany);
            }
        }
        Ok(Self(members))
    }
}

impl AdmissionRules for Members {
    fn admit(&self, applicant: &Applicant<'_>) -> Result<Role, Denial> {
        self.0.get(&applicant.node).copied().ok_or(Denial::NotListed)
    }

    fn access(&self) -> AccessTable {
        AccessTable::of_nodes(self.nodes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_a_node_a_line_with_its_role_and_comments() {
        let [one, other] = [1, 2].map(|byte| NodeId::from_bytes([byte; 32]));
        let text = format!("# the lab\n{one}\n\n  {other} mirror # the basement\n{one} full\n");
        let members: Members = text.parse().expect("a list");
        let role = |node| members.admit(&Applicant { node, certificate: &[], unix_secs: 0 });
        assert_eq!(role(one), Ok(Role::Full));
        assert_eq!(role(other), Ok(Role::Mirror));
        assert_eq!(role(NodeId::from_bytes([3; 32])), Err(Denial::NotListed));
    }

    #[test]
    fn what_is_no_list_is_refused_with_its_line() {
        let node = NodeId::from_bytes([1; 32]);
        let line = |text: &str| match text.parse::<Members>() {
            Err(MembersError::Line { line, .. } | MembersError::Twice { line, .. }) => line,
            other => panic!("{other:?}"),
        };
        assert_eq!(line("\nnobody"), 2);
        assert_eq!(line(&format!("{node} owner")), 1);
        assert_eq!(line(&format!("{node} mirror too")), 1);
        assert_eq!(line(&format!("{node}\n{node} mirror")), 2);
    }
}
