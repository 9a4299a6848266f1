use std::collections::BTreeMap;

use uuid::Uuid;

use super::*;
use crate::ids::{JobId, NodeId};
use crate::spec::Resources;

const GIB: u64 = 1 << 30;

fn host(cpu_millis: u64) -> Host {
    let capacity = Resources { cpu_millis, memory: GIB, gpus: 0 };
    Host { capacity, takes_work: true, ..Host::default() }
}

fn shape(cpu_millis: u64) -> Shape {
    let resources = Resources { cpu_millis, memory: 1, gpus: 0 };
    Shape { resources, constraints: Vec::new(), bind_sources: Vec::new() }
}

fn job(number: u64) -> JobId {
    JobId::new(number).unwrap()
}

fn wish() -> Wish<'static> {
    Wish { image: "debian", digest: None, spread: false, avoid: None }
}

fn nodes(hosts: impl IntoIterator<Item = Host>) -> (BTreeMap<NodeId, Host>, OpenHosts) {
    let mut open = OpenHosts::default();
    let mut all = BTreeMap::new();
    for (host, number) in hosts.into_iter().zip(1..) {
        let id = NodeId(Uuid::from_u128(number));
        open.update(id, &host);
        all.insert(id, host);
    }
    (all, open)
}

#[test]
fn a_mount_is_allowed_only_at_or_under_an_allowed_folder() {
    let rows = [
        ("/data", "/data", true),
        ("/data/", "/data", true),
        ("/data", "/data/a/b", true),
        ("/", "/etc", true),
        ("/data", "/database", false),
        ("/data", "/", false),
        ("/data", "/data/../etc", false),
        ("/data", "data", false),
        ("/data/a", "/data", false),
    ];
    for (folder, source, allowed) in rows {
        let host = Host { allowed_mounts: vec![folder.to_owned()], ..host(1000) };
        let shape = Shape { bind_sources: vec![source.to_owned()], ..shape(1) };
        assert_eq!(shape.fits_now(&host), allowed, "{source} under {folder}");
    }
}

#[test]
fn a_full_or_closed_node_is_not_even_listed() {
    let full = Host { used: Resources { cpu_millis: 1000, memory: 0, gpus: 0 }, ..host(1000) };
    let closed = Host { takes_work: false, ..host(8000) };
    let (all, mut open) = nodes([full, closed, host(2000)]);
    assert_eq!(open.with_cpu(0).count(), 1);
    assert_eq!(pick(&shape(1000), wish(), &open, &all), Some(NodeId(Uuid::from_u128(3))));
    open.remove(NodeId(Uuid::from_u128(3)));
    assert_eq!(pick(&shape(1000), wish(), &open, &all), None);
}

#[test]
fn a_shape_that_fits_nowhere_is_tried_once_for_all_its_jobs() {
    let (all, open) = nodes([host(1000)]);
    let mut queue = Queue::default();
    let mut large = None;
    for number in 1..=1000 {
        let id = queue.hold(shape(5000));
        queue.set(id, Place::new(0, job(number)), true);
        large = Some(id);
    }
    let small = queue.hold(shape(500));
    queue.set(small, Place::new(-5, job(2000)), true);
    let asked = std::cell::Cell::new(0);
    let mut pass = Pass::new(&queue, &Scope::All);
    let choice = pass.next(&queue, &open, &all, |_| {
        asked.set(asked.get() + 1);
        Some(wish())
    });
    assert_eq!(choice.map(|choice| choice.job), Some(job(2000)), "smaller jobs fill the gap");
    assert_eq!(asked.get(), 2, "one question a shape");
    assert!(large.is_some_and(|id| queue.head(id) == Some(Place::new(0, job(1)))));
}

#[test]
fn a_shape_is_forgotten_with_its_last_job() {
    let mut queue = Queue::default();
    let first = queue.hold(shape(1));
    assert_eq!(queue.hold(shape(1)), first);
    queue.set(first, Place::new(0, job(1)), true);
    queue.release(first);
    assert_eq!(queue.position(Place::new(0, job(1)), 10), 1);
    queue.release(first);
    assert!(queue.is_empty() && queue.shape(first).is_none());
    assert_ne!(queue.hold(shape(1)), first);
}
