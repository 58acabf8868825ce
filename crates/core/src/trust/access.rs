//! The readers of each content. A content without a list is open to every linked node.

use std::collections::BTreeMap;

use super::{AccessTable, AdmissionRules, Applicant, Denial, Members, Role};
use crate::base::ContentId;

/// Readers by content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessList(BTreeMap<ContentId, Members>);

impl AccessList {
    /// No content has a list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Limits a content to these readers from now on.
    pub fn restrict(&mut self, content: ContentId, readers: Members) {
        self.0.insert(content, readers);
    }
}

impl AdmissionRules for AccessList {
    fn admit(&self, _applicant: &Applicant<'_>) -> Result<Role, Denial> {
        Ok(Role::Full)
    }

    fn access(&self) -> AccessTable {
        let restrict = |table: AccessTable, (content, readers): (&ContentId, &Members)| {
            table.restrict(*content, readers.nodes())
        };
        self.0.iter().fold(AccessTable::open(), restrict)
    }

    fn is_open(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::NodeId;

    #[test]
    fn a_content_with_a_list_is_for_its_readers_alone() {
        let [reader, other] = [1, 2].map(|byte| NodeId::from_bytes([byte; 32]));
        let [listed, free] = [3, 4].map(|byte| ContentId::from_bytes([byte; 32]));
        let mut access = AccessList::new();
        assert!(access.is_open());
        access.restrict(listed, reader.to_string().parse().expect("a list"));
        let table = access.access();
        assert!(table.grants(reader, listed) && !table.grants(other, listed));
        assert!(table.grants(other, free) && !access.is_open());
    }
}
