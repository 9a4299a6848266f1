use super::scenario::{Scenario, node};
use crate::ids::JobId;

#[test]
fn a_job_is_found_by_number_name_uid_and_last() {
    let mut t = Scenario::new();
    let first = t.submit("name=build");
    let second = t.submit("name=build");
    let third = t.submit("1cpu");
    let uid = t.cluster.job(first).expect("kept").uid.to_string();
    let rows = [
        ("1", Some(first)),
        ("namespaces/default/jobs/2", Some(second)),
        ("build", Some(second)),
        ("last", Some(third)),
        (uid.as_str(), Some(first)),
        ("99", None),
        ("", None),
        ("0", None),
        ("Build", None),
        ("namespaces/other/jobs/2", None),
    ];
    for (text, expected) in rows {
        assert_eq!(t.cluster.resolve(text), expected, "{text:?}");
    }
    let newest: Vec<JobId> = t.cluster.jobs_newest_first(Some(third)).map(|job| job.id).collect();
    let oldest: Vec<JobId> = t.cluster.jobs_oldest_first(Some(first)).map(|job| job.id).collect();
    assert_eq!((newest, oldest), (vec![second, first], vec![second, third]));
}

#[test]
fn a_node_is_found_by_name_and_id() {
    let t = Scenario::new().worker("w1", "1cpu").worker("w2", "1cpu");
    let id = node("w2");
    for text in ["w2".to_owned(), id.to_string(), format!("nodes/{id}"), "nodes/w2".to_owned()] {
        assert_eq!(t.cluster.resolve_node(&text), Some(id), "{text}");
    }
    assert_eq!(t.cluster.resolve_node("w3"), None);
}
