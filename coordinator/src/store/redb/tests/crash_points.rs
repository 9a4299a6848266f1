//! Stops the disk before each single operation of a small life of the store, and looks at what is there afterwards: every
//! commit that was acknowledged, at most one that was not, and each of them whole. Then the same with damaged files.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::super::super::Limits;
use super::disk::Disk;
use super::*;

/// What the store holds: revision, epoch and every value.
type State = (u64, u64, BTreeMap<String, Bytes>);

/// Commits of one life: as many jobs are submitted, placed, started, ended and at last forgotten.
const JOBS: usize = 6;
/// Power losses that are tried at each point.
const POWER_LOSSES: u64 = 3;
/// Damaged files that are tried.
const MUTATIONS: u64 = 2000;

/// The commits of a small life, as the controller makes them.
fn life() -> Vec<Vec<Write>> {
    let mut commits = Vec::new();
    for job in 0..JOBS {
        let (record, tasks) = (format!("jobs/{job}"), format!("tasks/{job}/0"));
        commits.push(vec![
            Write::put(key(&record), vec![1; 700]),
            Write::put(key("numbers/cluster"), vec![u8::try_from(job).expect("few")]),
            Write::put(key(&format!("requests/{job}")), vec![2; 40]),
        ]);
        for step in 0..3 {
            commits.push(vec![Write::put(key(&tasks), vec![step; 120 + 40 * usize::from(step)])]);
        }
        let ended = Write::put(key(&record), vec![9; 900]);
        commits.push(vec![ended, Write::put(key(&tasks), vec![3; 260])]);
        if job >= 3 {
            let old = job - 3;
            let gone = ["jobs", "requests"].map(|kind| Write::delete(key(&format!("{kind}/{old}"))));
            commits.push(gone.into_iter().chain([Write::delete(key(&format!("tasks/{old}/0")))]).collect());
        }
    }
    commits
}

/// Lives on `disk` until it stops; the states that were acknowledged.
fn live(disk: &Disk) -> Vec<State> {
    let mut acknowledged = Vec::new();
    let Ok(tables) = Tables::on(disk.clone()) else { return acknowledged };
    let epoch = Epoch(1);
    if tables.store_epoch(epoch).is_err() {
        return acknowledged;
    }
    acknowledged.push(state(&tables));
    let guard = Guard::leader(epoch);
    for (n, writes) in life().into_iter().enumerate() {
        let set = WriteSet::new(writes, &guard, Limits::EMBEDDED).expect("small");
        if tables.commit(&set, &guard, Revision(n as u64 + 1)).is_err() {
            return acknowledged;
        }
        acknowledged.push(state(&tables));
    }
    acknowledged
}

/// A new file.
fn empty() -> Vec<u8> {
    let disk = Disk::default();
    drop(Tables::on(disk.clone()).expect("a new file"));
    disk.after_kill()
}

fn state(tables: &Tables) -> State {
    let (revision, epoch) = tables.counters().expect("readable");
    let page = tables.list(&Prefix::all(), None, 1000).expect("readable");
    let all = page.entries.into_iter().map(|entry| (entry.key.to_string(), entry.value)).collect();
    (revision.0, epoch.0, all)
}

#[test]
fn whatever_was_acknowledged_is_there_after_a_stop_at_every_single_operation() {
    // A new file gets its name when it is whole.
    let empty = empty();
    let whole = Disk::with(empty.clone());
    let states = live(&whole);
    let points = whole.operations();
    assert!(points >= 300, "{points} points are too few to mean something");
    for point in 0..points {
        let disk = Disk::with(empty.clone()).stop_at(point);
        let acknowledged = live(&disk).len();
        let killed = std::iter::once(("kill", disk.after_kill()));
        let seeds = (0..POWER_LOSSES).map(|n| ((point as u64) << 8) | n);
        let lost = seeds.map(|seed| ("power loss", disk.after_power_loss(seed)));
        for (how, image) in killed.chain(lost) {
            let tables = Tables::on(Disk::with(image));
            let tables = tables.unwrap_or_else(|error| panic!("{how} at {point}: {error:?}"));
            let found = state(&tables);
            if acknowledged == 0 {
                assert!(found.2.is_empty(), "{how} at {point}: something came from nowhere");
                continue;
            }
            let due = &states[acknowledged - 1..states.len().min(acknowledged + 1)];
            assert!(due.contains(&found), "{how} at {point}: revision {} is wrong", found.0);
        }
    }
}

#[test]
fn after_a_failed_operation_nothing_more_is_acknowledged() {
    let empty = empty();
    let whole = Disk::with(empty.clone());
    live(&whole);
    for point in (0..whole.operations()).step_by(7) {
        let disk = Disk::with(empty.clone()).stop_at(point);
        let Ok(tables) = Tables::on(disk.clone()) else { continue };
        let guard = Guard::leader(Epoch(1));
        let mut failed = false;
        for (n, writes) in life().into_iter().enumerate() {
            let set = WriteSet::new(writes, &guard, Limits::EMBEDDED).expect("small");
            let commit = tables.commit(&set, &guard, Revision(n as u64 + 1));
            assert!(!(failed && commit.is_ok()), "stopped at {point}: commit {n} was acknowledged");
            failed |= commit.is_err();
        }
    }
}

/// Changes some bytes.
fn damage(bytes: &mut Vec<u8>, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let at = random.usize(..bytes.len());
    match random.u8(..5) {
        0 | 1 => bytes[at] ^= 1 << random.u8(..8),
        2 => {
            let page = at / 4096 * 4096;
            let end = bytes.len().min(page + 4096);
            bytes[page..end].fill(0);
        }
        3 => bytes.truncate(at),
        _ => {
            let end = bytes.len().min(at + random.usize(1..600));
            bytes[at..end].iter_mut().for_each(|byte| *byte = random.u8(..));
        }
    }
}

#[test]
fn a_damaged_file_is_refused_or_holds_what_was_stored() {
    let disk = Disk::with(empty());
    let states = live(&disk);
    let good = disk.after_kill();
    let (mut refused, mut whole, mut older) = (0, 0, 0);
    for seed in 0..MUTATIONS {
        let mut bytes = good.clone();
        damage(&mut bytes, seed);
        // The caller of the store turns a panic of the library into a refusal, see `run_blocking`.
        let opened =
            catch_unwind(AssertUnwindSafe(|| Tables::on(Disk::with(bytes)).map(|tables| state(&tables))));
        match opened {
            Err(_) | Ok(Err(_)) => refused += 1,
            Ok(Ok(found)) if Some(&found) == states.last() => whole += 1,
            Ok(Ok(found)) => {
                assert!(states.contains(&found), "damage {seed}: revision {} was never stored", found.0);
                older += 1;
            }
        }
    }
    assert!(refused > 100 && whole > 100, "{refused} refused, {whole} whole, {older} older");
    assert_eq!(older, 0, "acknowledged commits are missing and nobody said so");
}
