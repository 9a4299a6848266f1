//! Several coordinators of one cluster: who leads, and what happens to each.

use dockmgr_client::{Client, Options};
use dockmgr_proto::v1;
use dockmgr_support::channel::{Address, Credentials};
use rustix::process::Signal;

use super::{Cluster, TAIL_LINES};
use crate::process::Process;
use crate::raw::Api;
use crate::{STEP_LIMIT, wait_until};

impl Cluster {
    /// How many coordinators there are, those that were killed included.
    pub fn coordinators(&self) -> usize {
        self.coordinators.len()
    }

    /// The process of coordinator `n`.
    ///
    /// # Panics
    /// If it was killed.
    pub fn coordinator_n(&mut self, n: usize) -> &mut Process {
        self.coordinators[n].process.as_mut().expect("the coordinator runs")
    }

    /// Kills coordinator `n` as a power cut would.
    pub async fn kill_coordinator_n(&mut self, n: usize) {
        self.coordinators[n].process.take().expect("the coordinator runs").kill().await;
    }

    /// Asks coordinator `n` to end and waits for it.
    pub async fn stop_coordinator_n(&mut self, n: usize) {
        let mut process = self.coordinators[n].process.take().expect("the coordinator runs");
        process.signal(Signal::TERM);
        let status = process.wait(STEP_LIMIT).await;
        assert_eq!(status.code(), Some(0), "an orderly end:\n{}", process.log_tail(TAIL_LINES));
    }

    /// Starts coordinator `n` without waiting for it.
    pub fn launch_coordinator_n(&mut self, n: usize) {
        let port = self.coordinators[n].port;
        let process = self.settings.coordinator(self.folder.path(), n, port, self.etcd.as_ref());
        self.coordinators[n].process = Some(process);
    }

    /// Starts coordinator `n` and waits until it serves, as leader or by knowing one.
    pub async fn start_coordinator_n(&mut self, n: usize) {
        self.launch_coordinator_n(n);
        wait_until("the coordinator to serve", STEP_LIMIT, async || {
            let process = self.coordinator_n(n);
            assert!(!process.has_ended(), "the coordinator ended:\n{}", process.log_tail(TAIL_LINES));
            let client = self.client_at(&self.server_of(n)).await?;
            let serves = client.is_serving().await.map_err(|error| error.to_string())?;
            serves.then_some(()).ok_or_else(|| "not serving".to_owned())
        })
        .await;
    }

    /// Which coordinator leads, as coordinator `asked` says; an error while it names none.
    pub async fn leader_by(&self, asked: usize) -> Result<usize, String> {
        let api = Api::at(self, &self.server_of(asked)).await.map_err(|error| error.to_string())?;
        let request = v1::ListJobsRequest { page_size: 1, ..v1::ListJobsRequest::default() };
        let answer = api.jobs().list_jobs(request).await.map_err(|status| status.to_string())?;
        let leader = answer.metadata().get("dockmgr-leader").and_then(|url| url.to_str().ok());
        let leader = leader.ok_or("the answer names no leader")?;
        (0..self.coordinators.len())
            .find(|n| self.server_of(*n) == leader)
            .ok_or_else(|| format!("'{leader}' is none of ours"))
    }

    /// Waits until a coordinator that runs says who leads and gives that one's number.
    pub async fn leader(&self) -> usize {
        let running = || (0..self.coordinators.len()).filter(|n| self.coordinators[*n].process.is_some());
        wait_until("a leader", STEP_LIMIT, async || {
            let mut last = "no coordinator runs".to_owned();
            for n in running() {
                match self.leader_by(n).await {
                    Ok(leader) if self.coordinators[leader].process.is_some() => return Ok(leader),
                    Ok(leader) => last = format!("{n} still names {leader}, which was ended"),
                    Err(error) => last = error,
                }
            }
            Err(last)
        })
        .await
    }

    /// A coordinator that runs and does not lead.
    pub async fn follower(&self) -> usize {
        let leader = self.leader().await;
        (0..self.coordinators.len())
            .find(|n| *n != leader && self.coordinators[*n].process.is_some())
            .expect("another coordinator runs")
    }

    /// A client of the coordinators in `servers`, which are separated by commas.
    pub async fn client_at(&self, servers: &str) -> Result<Client, String> {
        let addresses: Result<Vec<Address>, _> = servers.split(',').map(Address::parse).collect();
        let addresses = addresses.map_err(|error| error.to_string())?;
        let credentials = Credentials { token: Some(self.token.clone()), ..Credentials::default() };
        Client::connect(Options::new(addresses, credentials)).await.map_err(|error| error.to_string())
    }
}
