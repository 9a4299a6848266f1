//! What containers of attempts are called and labelled, so that a crashed worker finds them and touches no others.

use std::collections::BTreeMap;

use crate::ids::{AttemptId, ClusterId, NodeId};

/// Label keys on every container of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// The cluster.
    Cluster,
    /// The node whose worker made it.
    Node,
    /// The job's number.
    Job,
    /// The task's index.
    Task,
    /// The attempt's number.
    Attempt,
}

impl Label {
    /// The key as the daemon sees it.
    pub fn key(self) -> &'static str {
        match self {
            Self::Cluster => "dockmgr.cluster",
            Self::Node => "dockmgr.node",
            Self::Job => "dockmgr.job",
            Self::Task => "dockmgr.task",
            Self::Attempt => "dockmgr.attempt",
        }
    }
}

/// Whose containers these are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContainerIdentity {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node.
    pub node: NodeId,
}

impl ContainerIdentity {
    /// Labels every container of this node carries.
    pub fn labels(self) -> BTreeMap<String, String> {
        BTreeMap::from([
            (Label::Cluster.key().to_owned(), self.cluster.to_string()),
            (Label::Node.key().to_owned(), self.node.to_string()),
        ])
    }

    /// Labels of one attempt's container.
    pub fn labels_of(self, attempt: AttemptId) -> BTreeMap<String, String> {
        let mut labels = self.labels();
        labels.insert(Label::Job.key().to_owned(), attempt.job().to_string());
        labels.insert(Label::Task.key().to_owned(), attempt.task.index.to_string());
        labels.insert(Label::Attempt.key().to_owned(), attempt.number.to_string());
        labels
    }

    /// Whether a container with these labels is the one of `attempt`; other labels may come from its image.
    pub fn owns(self, attempt: AttemptId, labels: &BTreeMap<String, String>) -> bool {
        self.labels_of(attempt).iter().all(|(key, value)| labels.get(key) == Some(value))
    }

    /// The attempt a container of this node belongs to; `None` if the labels are not those of ours.
    pub fn attempt_of(self, labels: &BTreeMap<String, String>) -> Option<AttemptId> {
        let number = |label: Label| labels.get(label.key())?.parse::<u64>().ok();
        let small = |label: Label| u32::try_from(number(label)?).ok();
        let attempt =
            AttemptId::from_parts(number(Label::Job)?, small(Label::Task)?, small(Label::Attempt)?)?;
        self.owns(attempt, labels).then_some(attempt)
    }
}

/// Name of an attempt's container: the same at every try, so a create whose answer was lost is found again.
///
/// Twelve hexadecimal digits of the cluster's id keep clusters on one daemon apart; the labels carry all of it.
pub fn container_name(cluster: ClusterId, attempt: AttemptId) -> String {
    let cluster = cluster.0.simple().to_string();
    // The last digits of a UUIDv7 are random; the first are a time that two clusters may share.
    let short = &cluster[cluster.len() - 12..];
    format!("dockmgr-{short}-{}-{}-{}", attempt.job(), attempt.task.index, attempt.number)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn identity(cluster: u128) -> ContainerIdentity {
        ContainerIdentity { cluster: ClusterId(Uuid::from_u128(cluster)), node: NodeId(Uuid::from_u128(7)) }
    }

    #[test]
    fn only_exactly_our_labels_make_a_container_ours() {
        let attempt: AttemptId = "42.7.2".parse().expect("well formed");
        let ours = identity(1);
        let mut labels = ours.labels_of(attempt);
        labels.insert("maintainer".into(), "somebody".into());
        assert_eq!(ours.attempt_of(&labels), Some(attempt));
        assert_eq!(identity(2).attempt_of(&labels), None);
        for key in [Label::Cluster, Label::Node, Label::Job, Label::Task, Label::Attempt] {
            let mut fewer = labels.clone();
            fewer.remove(key.key());
            assert_eq!(ours.attempt_of(&fewer), None, "without {key:?} it is foreign");
        }
        labels.insert(Label::Job.key().into(), "042".into());
        assert_eq!(ours.attempt_of(&labels), None, "another spelling of the number is not ours");
    }

    #[test]
    fn names_differ_by_cluster_and_attempt() {
        let attempt: AttemptId = "42.7.2".parse().expect("well formed");
        let name = container_name(identity(0x1234_5678_9abc).cluster, attempt);
        assert_eq!(name, "dockmgr-123456789abc-42-7-2");
    }
}
