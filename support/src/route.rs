//! Which coordinator to dial next: each of those given in turn, and past one that only forwards straight to the leader.
//!
//! Every coordinator names the leader's address in its answers. Long streams go there directly, so that output does not pass
//! a third machine; a leader that cannot be reached from here is spoken to through the coordinator that can. Owns the choice;
//! the stream and its retries are the caller's.

use std::time::Duration;

use tokio::time::Instant;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::channel::{self, Address, Credentials};

/// Header of an answer that names the leader's address.
pub const LEADER_HEADER: &str = "dockmgr-leader";
/// Header of an answer by a coordinator that leads itself: the way to it, perhaps through a proxy, is the one that was given.
pub const LEADS_HEADER: &str = "dockmgr-leads";

/// How long a coordinator may take to name the leader; without an answer it is dialled itself.
const ASK: Duration = Duration::from_secs(2);
/// How long a leader that could not be reached directly is left alone: a way that is cut stays so for a while, and the
/// forwarded one works.
const DETOUR: Duration = Duration::from_secs(30);
/// A stream that broke sooner than this means that the way is bad.
const GOOD: Duration = Duration::from_secs(10);

/// The ways to the leader.
#[derive(Debug)]
pub struct Routes {
    coordinators: Vec<Address>,
    credentials: Credentials,
    next: usize,
    /// The address that was handed out last, and when.
    tried: Option<(Address, Instant)>,
    /// A leader that cannot be reached directly, and until when that is believed.
    detour: Option<(Address, Instant)>,
}

impl Routes {
    /// Ways through `coordinators`, of which there is at least one.
    pub fn new(coordinators: Vec<Address>, credentials: Credentials) -> Self {
        Self { coordinators, credentials, next: 0, tried: None, detour: None }
    }

    /// The address to dial now; the one before is taken to have failed. Cancel safe.
    pub async fn next(&mut self) -> Address {
        let direct = |tried: &Address| !self.coordinators.contains(tried) || self.coordinators.len() > 1;
        if let Some((tried, at)) = self.tried.take()
            && at.elapsed() < GOOD
            && direct(&tried)
        {
            self.detour = Some((tried, Instant::now() + DETOUR));
        }
        let via = self.coordinators[self.next % self.coordinators.len()].clone();
        self.next += 1;
        let leader = self.leader_by(&via).await;
        let chosen = leader.filter(|leader| self.may_go_to(leader, &via)).unwrap_or(via);
        self.tried = Some((chosen.clone(), Instant::now()));
        chosen
    }

    /// Never a step down from TLS, and not where it has just failed.
    fn may_go_to(&self, leader: &Address, via: &Address) -> bool {
        let avoided =
            self.detour.as_ref().is_some_and(|(bad, until)| bad == leader && Instant::now() < *until);
        !avoided && leader.is_tls() == via.is_tls()
    }

    /// The leader, by the word of one coordinator.
    async fn leader_by(&self, via: &Address) -> Option<Address> {
        let endpoint = channel::endpoint(via, &self.credentials).ok()?;
        let mut health = HealthClient::new(endpoint.connect_lazy());
        let check = health.check(HealthCheckRequest { service: String::new() });
        let answer = tokio::time::timeout(ASK, check).await.ok()?.ok()?;
        if answer.metadata().contains_key(LEADS_HEADER) {
            return None;
        }
        Address::parse(answer.metadata().get(LEADER_HEADER)?.to_str().ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn coordinators_that_do_not_answer_are_dialled_in_turn() {
        let all: Vec<Address> = ["http://127.0.0.1:1", "http://127.0.0.1:2"]
            .iter()
            .map(|text| Address::parse(text).expect("valid"))
            .collect();
        let mut routes = Routes::new(all.clone(), Credentials::default());
        for n in 0..4 {
            assert_eq!(routes.next().await, all[n % 2]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_that_cannot_be_reached_is_spoken_to_through_another_for_a_while() {
        let address = |text| Address::parse(text).expect("valid");
        let (via, leader) = (address("http://127.0.0.1:1"), address("http://127.0.0.1:2"));
        let mut routes = Routes::new(vec![via.clone()], Credentials::default());
        assert!(routes.may_go_to(&leader, &via));
        assert!(!routes.may_go_to(&address("https://127.0.0.1:2"), &via), "the same kind of connection only");
        routes.tried = Some((leader.clone(), Instant::now()));
        routes.next().await;
        assert!(!routes.may_go_to(&leader, &via), "it has just failed");
        tokio::time::advance(DETOUR).await;
        assert!(routes.may_go_to(&leader, &via), "a way that was cut may be whole again");
    }
}
