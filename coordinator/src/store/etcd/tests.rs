//! What only etcd can do to us: leases that run out, answers that do not come.

use std::time::Duration;

use super::test_process::is_unavailable;
use super::{Config, EtcdProcess};
use crate::store::conformance::{Leader, candidate, key, within};
use crate::store::{Config as StoreConfig, Ended, Error, EtcdUser, Prefix, Store, Write};

async fn open(config: &Config) -> Store {
    Store::open(&StoreConfig::Etcd(config.clone())).await.expect("open")
}

/// Settings under which a lease outlives the pauses of a test.
fn patient(etcd: &EtcdProcess) -> Config {
    let mut config = etcd.etcd_config();
    config.lease_ttl = Duration::from_secs(60);
    config.call_timeout = Duration::from_millis(500);
    config
}

#[tokio::test]
async fn a_dead_leader_is_replaced_and_its_commits_are_fenced() {
    let Some(etcd) = EtcdProcess::start().await else { return };
    let mut config = etcd.etcd_config();
    config.lease_ttl = Duration::from_secs(2);
    let dead = open(&config).await;
    let cancel = tokio_util::sync::CancellationToken::new();
    let seen = tokio::sync::watch::Sender::new(crate::store::Outlook::default());
    // Its keeper never runs: to etcd this is a leader that died.
    let (lease, _keeper) = within(dead.campaign(&candidate("dead"), &seen, &cancel)).await.expect("campaign");
    assert_eq!(dead.leader().await.expect("read").map(|leader| leader.name).as_deref(), Some("dead"));

    let successor = open(&config).await;
    let new = Leader::of(&successor).await;
    assert!(new.lease.epoch() > lease.epoch());
    within(lease.lost()).await;
    new.put("a", "new").await;
    let late =
        dead.commit(vec![Write::put(key("a"), "old")], crate::store::Guard::leader(lease.epoch())).await;
    assert!(matches!(late, Err(Error::Fenced { .. })), "{late:?}");
    assert_eq!(successor.get(&key("a")).await.expect("get").expect("present").value.as_ref(), b"new");
}

#[tokio::test]
async fn a_kept_lease_outlives_its_time_to_live() {
    let Some(etcd) = EtcdProcess::start().await else { return };
    let mut config = etcd.etcd_config();
    config.lease_ttl = Duration::from_secs(2);
    let leader = Leader::of(&open(&config).await).await;
    let outlived = tokio::time::timeout(Duration::from_secs(5), leader.lease.lost()).await.is_err();
    assert!(outlived, "renewed leadership must not end");
    leader.put("a", "x").await;
}

#[tokio::test]
async fn a_leader_without_etcd_steps_down_before_its_lease_can_run_out() {
    let Some(etcd) = EtcdProcess::start().await else { return };
    let mut config = etcd.etcd_config();
    config.lease_ttl = Duration::from_secs(3);
    let leader = Leader::of(&open(&config).await).await;
    let lease = leader.lease.clone();
    etcd.pause();
    let lost = tokio::time::timeout(Duration::from_secs(3), lease.lost()).await;
    assert!(lost.is_ok() && !lease.is_current(), "must notice within the time to live");
    assert_eq!(leader.ended().await, Ended::Lost);
    etcd.resume();
}

#[tokio::test]
async fn a_commit_without_an_answer_is_decided_when_etcd_is_back() {
    let Some(etcd) = EtcdProcess::start().await else { return };
    let leader = Leader::of(&open(&patient(&etcd)).await).await;
    for round in 0..3 {
        let name = format!("round/{round}");
        let before = leader.put("before", "x").await;
        etcd.pause();
        let writes = vec![Write::put(key(&name), "x")];
        let commit = leader.commit(writes);
        let resume = async {
            tokio::time::sleep(Duration::from_millis(1200)).await;
            etcd.resume();
        };
        let (committed, ()) = tokio::join!(commit, resume);
        let found = within(leader.store.get(&key(&name))).await.expect("get");
        match &committed {
            Ok(revision) => assert_eq!(found.expect("a commit that happened is there").revision, *revision),
            Err(error) => {
                assert!(is_unavailable(error), "{error:?}");
                assert!(found.is_none(), "a commit that did not happen is not there");
            }
        }
        assert!(leader.put("after", "x").await > before, "the leader goes on");
        let late = within(leader.store.get(&key(&name))).await.expect("get");
        assert_eq!(late.is_some(), committed.is_ok(), "it cannot happen afterwards");
    }
}

#[tokio::test]
async fn a_dropped_commit_is_decided_before_the_next() {
    let Some(etcd) = EtcdProcess::start().await else { return };
    let leader = Leader::of(&open(&patient(&etcd)).await).await;
    etcd.pause();
    let dropped = leader.commit(vec![Write::put(key("a"), "dropped")]);
    assert!(tokio::time::timeout(Duration::from_millis(100), dropped).await.is_err());
    etcd.resume();
    let next = leader.put("b", "next").await;
    if let Some(entry) = within(leader.store.get(&key("a"))).await.expect("get") {
        assert!(entry.revision < next, "the dropped commit must not overtake");
    }
    leader.put("c", "goes on").await;
}

#[tokio::test]
async fn an_outage_that_lasts_makes_the_outcome_unknown_and_ends_leadership() {
    let Some(etcd) = EtcdProcess::start().await else { return };
    let leader = Leader::of(&open(&patient(&etcd)).await).await;
    etcd.pause();
    let outcome = leader.commit(vec![Write::put(key("a"), "x")]).await;
    assert!(matches!(outcome, Err(Error::Unknown { .. })), "{outcome:?}");
    assert!(!leader.lease.is_current());
    let next = leader.commit(Vec::new()).await;
    assert!(matches!(next, Err(Error::Fenced { .. })), "{next:?}");
    etcd.resume();
}

#[tokio::test]
async fn a_watch_survives_a_pause_of_etcd() {
    let Some(etcd) = EtcdProcess::start().await else { return };
    let leader = Leader::of(&open(&patient(&etcd)).await).await;
    let start = leader.put("jobs/0", "x").await;
    let mut watch = leader.store.watch(&Prefix::all(), start);
    let first = leader.put("jobs/1", "x").await;
    assert_eq!(within(watch.next()).await.expect("batch").revision, first);
    etcd.pause();
    assert!(is_unavailable(&within(leader.store.get(&key("jobs/0"))).await.expect_err("paused")));
    etcd.resume();
    let second = leader.put("jobs/2", "x").await;
    assert_eq!(within(watch.next()).await.expect("batch").revision, second);
}

#[tokio::test]
async fn e07_an_etcd_without_room_refuses_commits_and_leaves_leadership_alone() {
    let Some(etcd) = EtcdProcess::start_with(&["--quota-backend-bytes", "4000000"]).await else { return };
    let mut config = etcd.etcd_config();
    config.lease_ttl = Duration::from_secs(2);
    let leader = Leader::of(&open(&config).await).await;
    let large = vec![b'x'; 200_000];
    let (mut stored, full) = loop_until_full(&leader, &large).await;
    assert!(full.notice().expect("a word for people").contains("defrag"), "{full:?}");
    for _ in 0..3 {
        let small = leader.commit(vec![Write::put(key("small"), "x")]).await;
        assert!(matches!(small, Err(Error::Exhausted { .. })), "{small:?}");
    }
    let outlived = tokio::time::timeout(Duration::from_secs(5), leader.lease.lost()).await.is_err();
    assert!(outlived, "the lease needs no room");
    assert!(leader.store.get(&key("small")).await.expect("reads go on").is_none());
    let page = leader.store.list(&Prefix::all(), None, 1000).await.expect("reads go on");
    stored.sort();
    assert_eq!(page.entries.iter().map(|entry| entry.key.clone()).collect::<Vec<_>>(), stored);

    make_room(&etcd, &leader.store).await;
    let revision = leader.put("small", "x").await;
    assert_eq!(leader.store.get(&key("small")).await.expect("get").expect("stored").revision, revision);
}

/// What a person does; the compaction is ours, to see that it needs no room.
async fn make_room(etcd: &EtcdProcess, store: &Store) {
    etcd.ctl(&["del", "--prefix", "dockmgr/test/data/fill/"]);
    store.compact(0).await.expect("compaction needs no room");
    etcd.ctl(&["defrag"]);
    etcd.ctl(&["alarm", "disarm"]);
}

/// Commits until etcd has no room; what was stored, and the error.
async fn loop_until_full(leader: &Leader, value: &[u8]) -> (Vec<crate::store::Key>, Error) {
    let mut stored = Vec::new();
    for n in 0..1000 {
        let name = key(&format!("fill/{n:03}"));
        match leader.commit(vec![Write::put(name.clone(), value.to_vec())]).await {
            Ok(_) => stored.push(name),
            Err(error) => return (stored, error),
        }
    }
    panic!("the quota does not hold");
}

#[tokio::test]
async fn e07_who_cannot_stand_for_election_says_why() {
    let Some(etcd) = EtcdProcess::start_with(&["--quota-backend-bytes", "4000000"]).await else { return };
    let store = open(&etcd.etcd_config()).await;
    let leader = Leader::of(&store).await;
    loop_until_full(&leader, &vec![b'x'; 200_000]).await;
    leader.resign().await;
    let (cancel, seen) = (tokio_util::sync::CancellationToken::new(), tokio::sync::watch::Sender::default());
    let mut outlook: tokio::sync::watch::Receiver<crate::store::Outlook> = seen.subscribe();
    let candidate = candidate("hopeful");
    let campaign = store.campaign(&candidate, &seen, &cancel);
    let told = async {
        let seen = outlook.wait_for(|seen| seen.trouble.is_some()).await.expect("the sender lives");
        assert!(seen.trouble.as_deref().is_some_and(|trouble| trouble.contains("defrag")), "{seen:?}");
        drop(seen);
        make_room(&etcd, &store).await;
    };
    let (won, ()) = within(async { tokio::join!(campaign, told) }).await;
    won.expect("there is room");
    assert_eq!(outlook.borrow().trouble, None);
}

#[tokio::test]
async fn e10_a_login_that_is_outdated_is_renewed_once_and_a_wrong_one_is_refused() {
    let Some(etcd) = EtcdProcess::start().await else { return };
    let log_in = |password: &str| {
        // Each login takes etcd a second, during which the lease of this thread is not renewed.
        let mut config = patient(&etcd);
        config.call_timeout = Duration::from_secs(10);
        config.user = Some(EtcdUser { name: "root".to_owned(), password: password.to_owned() });
        config
    };
    etcd.ctl(&["user", "add", "root:right"]);
    etcd.ctl(&["user", "grant-role", "root", "root"]);
    etcd.ctl(&["auth", "enable"]);
    let refused = Store::open(&StoreConfig::Etcd(log_in("wrong"))).await.expect_err("refused");
    assert!(matches!(refused, Error::Refused { action: "log in to etcd", .. }), "{refused:?}");
    assert!(!format!("{:?}", log_in("wrong")).contains("wrong"), "a password is never shown");
    let leader = Leader::of(&open(&log_in("right")).await).await;
    leader.put("a", "1").await;
    let as_root = |args: &[&str]| etcd.ctl(&[&["--user", "root:right"], args].concat());
    for n in 0..3 {
        // Changes the revision of users and roles, which every login is bound to.
        as_root(&["user", "add", &format!("user{n}:x")]);
        leader.put("a", format!("{n}")).await;
    }
    // Every login of before is unknown afterwards.
    as_root(&["auth", "disable"]);
    etcd.ctl(&["auth", "enable"]);
    leader.put("a", "again").await;
    assert!(leader.lease.is_current());
}

#[tokio::test]
async fn e11_keys_that_are_not_ours_do_not_hide_those_that_are() {
    let Some(etcd) = EtcdProcess::start().await else { return };
    let leader = Leader::of(&open(&etcd.etcd_config()).await).await;
    for n in 0..5 {
        leader.put(&format!("jobs/{n}"), "x").await;
        for foreign in 0..3 {
            // No key of ours ends in a slash.
            etcd.ctl(&["put", &format!("dockmgr/test/data/jobs/{n}{foreign}/"), "foreign"]);
        }
    }
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let prefix = Prefix::new("jobs/").expect("valid");
        let page = leader.store.list(&prefix, after.as_ref(), 2).await.expect("a foreign key is passed over");
        found.extend(page.entries.into_iter().map(|entry| entry.key.to_string()));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, ["jobs/0", "jobs/1", "jobs/2", "jobs/3", "jobs/4"]);
}

#[tokio::test]
async fn clusters_that_share_an_etcd_do_not_see_each_other() {
    let Some(etcd) = EtcdProcess::start().await else { return };
    let (mut one, mut two) = (etcd.etcd_config(), etcd.etcd_config());
    one.prefix = "dockmgr/one".to_owned();
    two.prefix = "dockmgr/one-more".to_owned();
    let (one, two) = (Leader::of(&open(&one).await).await, Leader::of(&open(&two).await).await);
    one.put("a", "1").await;
    assert!(two.store.get(&key("a")).await.expect("get").is_none());
    assert!(two.store.list(&Prefix::all(), None, 10).await.expect("list").entries.is_empty());
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused() {
    for endpoints in
        [vec![], vec!["127.0.0.1:1"], vec!["http://127.0.0.1:1", "https://127.0.0.1:1"], vec!["https://x:1"]]
    {
        let config = Config::new(endpoints.iter().map(ToString::to_string).collect());
        let refused = Store::open(&StoreConfig::Etcd(config)).await.expect_err("must be refused");
        assert!(matches!(refused, Error::BadConfig { .. }), "{endpoints:?}: {refused:?}");
    }
    let mut config = Config::new(vec!["http://127.0.0.1:1".to_owned()]);
    config.call_timeout = Duration::from_millis(200);
    let silent = Store::open(&StoreConfig::Etcd(config)).await.expect_err("nothing listens");
    assert!(silent.is_retryable(), "{silent:?}");
}
