//! The cluster under test: members in their namespaces, the proxies between them, the disks.
//!
//! ```text
//!   worker 0, 1 --------------------------+--> coordinator 0 --------------> etcd 0, 1, 2
//!   worker 2, 3 --> proxy (in the hub) ---+--> coordinator 1, 2 --> proxy --> etcd 0, 1, 2
//!   anybody, once 1 or 2 leads --> proxy ----> coordinator 1, 2
//! ```
//! Owns putting it together and taking it away. What goes wrong with it, and when, is decided elsewhere.

pub(crate) mod daemon;
pub(crate) mod member;
pub(crate) mod net;
mod words;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use dockmgr_client::{Client, Options};
use dockmgr_proto::v1;
use dockmgr_support::channel::{Address, Bearer, Credentials};
use dockmgr_support::secret::ApiToken;
use dockmgr_support::tasks::Tasks;
use dockmgr_tests::proxy::Proxy;
use tokio::time::Instant;

use crate::Profile;
use daemon::Daemon;
use member::{Member, SmallDisk, Who};
use net::Net;

/// Members of each kind.
pub(crate) const ETCDS: usize = 3;
/// Coordinators.
pub(crate) const COORDINATORS: usize = 3;
/// Where coordinators listen.
const API_PORT: u16 = 7443;
/// Where etcds listen for clients.
const ETCD_PORT: u16 = 2379;
/// Size of a worker's disk: room for the output of all jobs it may have, and filled in a moment.
const DISK_MEBIBYTES: u32 = 96;
/// How long the cluster may take to come up on a busy machine.
const START: Duration = Duration::from_secs(60);

/// Everything that runs.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) members: Vec<Member>,
    pub(crate) proxies: Vec<Proxy>,
    /// Of worker n.
    pub(crate) disks: Vec<SmallDisk>,
    /// The Docker daemon of the run, in the profile that has one.
    pub(crate) daemon: Option<Daemon>,
    pub(crate) folder: PathBuf,
    /// Where coordinator n says that it is.
    advertised: Vec<SocketAddr>,
    token: ApiToken,
    profile: Profile,
}

impl World {
    /// Starts everything and waits until all workers take work.
    pub(crate) async fn start(
        net: &mut Net,
        folder: &Path,
        profile: Profile,
        tasks: &Tasks,
    ) -> anyhow::Result<Self> {
        let daemon = match profile {
            Profile::Fake => None,
            Profile::Docker => Some(Daemon::start(folder).await?),
        };
        let token = words::token(folder)?;
        let mut world = Self {
            members: Vec::new(),
            proxies: Vec::new(),
            disks: Vec::new(),
            daemon,
            folder: folder.to_owned(),
            advertised: Vec::new(),
            token,
            profile,
        };
        world.add_etcds(net)?;
        world.add_coordinators(net, tasks).await?;
        world.add_workers(net, tasks).await?;
        for member in &mut world.members {
            member.start();
        }
        world.wait_ready().await?;
        Ok(world)
    }

    /// How many workers the profile has.
    pub(crate) fn workers(&self) -> usize {
        self.profile.workers()
    }

    /// A member.
    pub(crate) fn member(&mut self, who: Who) -> &mut Member {
        self.members.iter_mut().find(|member| member.who == who).expect("every member is made at the start")
    }

    /// Data folder of worker `n`.
    pub(crate) fn worker_folder(&self, n: usize) -> PathBuf {
        self.folder.join(format!("worker-{n}"))
    }

    /// Where the fake runtime of worker `n` keeps its state.
    pub(crate) fn fake_folder(&self, n: usize) -> PathBuf {
        self.folder.join(format!("fake-{n}"))
    }

    /// A client that knows all coordinators, beginning with number `first`.
    pub(crate) fn client(&self, first: usize) -> anyhow::Result<Options> {
        let mut addresses = self.addresses(Who::Coordinator, COORDINATORS, API_PORT);
        addresses.rotate_left(first % COORDINATORS);
        let servers = addresses.iter().map(|address| Address::parse(&format!("http://{address}")));
        let servers = servers.collect::<Result<Vec<_>, _>>().context("address the coordinators")?;
        let credentials = Credentials { token: Some(self.token.clone()), ..Credentials::default() };
        Ok(Options::new(servers, credentials))
    }

    /// Which coordinator leads, as the first says that answers.
    pub(crate) async fn leader(&self) -> Option<usize> {
        let addresses = self.addresses(Who::Coordinator, COORDINATORS, API_PORT);
        for (n, address) in addresses.iter().enumerate() {
            let asked = tokio::time::timeout(Duration::from_millis(400), self.leader_by(*address)).await;
            if let Ok(Ok(leader)) = asked {
                // One that names nobody leads itself.
                return leader.map_or(Some(n), |url| {
                    self.advertised.iter().position(|other| url.contains(&other.to_string()))
                });
            }
        }
        None
    }

    /// Asks one coordinator anything: answers name the leader.
    async fn leader_by(&self, address: SocketAddr) -> anyhow::Result<Option<String>> {
        let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}"))?.connect().await?;
        let bearer = Bearer::new(Some(&self.token));
        let mut jobs = v1::job_service_client::JobServiceClient::with_interceptor(channel, bearer);
        let answer = jobs.list_jobs(v1::ListJobsRequest { page_size: 1, ..Default::default() }).await?;
        Ok(answer.metadata().get("dockmgr-leader").and_then(|url| url.to_str().ok()).map(str::to_owned))
    }

    /// Waits until every worker takes work.
    pub(crate) async fn wait_ready(&mut self) -> anyhow::Result<()> {
        let give_up = Instant::now() + START;
        let mut seen = "no coordinator answers".to_owned();
        while Instant::now() < give_up {
            let client = Client::connect(self.client(0)?).await;
            let nodes = match client {
                Ok(client) => client.all_nodes().await.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            match nodes {
                Ok(nodes) => {
                    let ready = nodes.iter().filter(|node| node.state() == v1::node::State::Ready).count();
                    if ready == self.workers() {
                        return Ok(());
                    }
                    seen = format!("{ready} of {} workers are ready: {nodes:?}", self.workers());
                }
                Err(error) => seen = error,
            }
            self.members.iter_mut().for_each(Member::supervise);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        anyhow::bail!("the cluster was not ready within {START:?}: {seen}")
    }

    /// Ends everything in an orderly way; who had to be killed.
    pub(crate) async fn stop(&mut self) -> Vec<Who> {
        let mut killed = Vec::new();
        for member in self.members.iter_mut().rev() {
            if !member.stop(Duration::from_secs(15)).await {
                killed.push(member.who);
            }
        }
        killed
    }

    /// Addresses of all members of a kind.
    fn addresses(&self, kind: fn(usize) -> Who, count: usize, port: u16) -> Vec<SocketAddr> {
        let of = |who| self.members.iter().find(|member| member.who == who);
        (0..count)
            .filter_map(|n| of(kind(n)))
            .map(|member| SocketAddr::new(member.space.address.into(), port))
            .collect()
    }

    fn add_etcds(&mut self, net: &mut Net) -> anyhow::Result<()> {
        let spaces = (0..ETCDS).map(|n| net.add(&format!("e{n}"))).collect::<Result<Vec<_>, _>>()?;
        let peers: Vec<_> = spaces.iter().map(|space| space.address).collect();
        for (n, space) in spaces.into_iter().enumerate() {
            let words = words::etcd(n, &peers, ETCD_PORT, &self.folder);
            self.members.push(Member::new(Who::Etcd(n), space, words, self.folder.clone()));
        }
        Ok(())
    }

    async fn add_coordinators(&mut self, net: &mut Net, tasks: &Tasks) -> anyhow::Result<()> {
        for n in 0..COORDINATORS {
            let space = net.add(&format!("c{n}"))?;
            let mut etcds = self.addresses(Who::Etcd, ETCDS, ETCD_PORT);
            // Number 0 speaks to etcd directly, so that cuts between the two are in the kernel.
            if n > 0 {
                etcds = self.proxied(format!("coordinator-{n}"), "etcd", &etcds, tasks).await?;
            }
            let listen = SocketAddr::new(space.address.into(), API_PORT);
            // Long streams go straight to where the leader says it is: with two of three that is a proxy.
            let advertised = if n > 0 {
                self.proxied(format!("everybody via {n}"), "coordinator", &[listen], tasks).await?[0]
            } else {
                listen
            };
            self.advertised.push(advertised);
            let words = words::coordinator(n, listen, advertised, &etcds, &self.folder)?;
            self.members.push(Member::new(Who::Coordinator(n), space, words, self.folder.clone()));
        }
        Ok(())
    }

    async fn add_workers(&mut self, net: &mut Net, tasks: &Tasks) -> anyhow::Result<()> {
        for n in 0..self.workers() {
            let space = net.add(&format!("w{n}"))?;
            let mut servers = self.addresses(Who::Coordinator, COORDINATORS, API_PORT);
            // The second half speaks through proxies, the first directly.
            if n >= self.workers() / 2 {
                servers = self.proxied(format!("worker-{n}"), "coordinator", &servers, tasks).await?;
            }
            self.disks.push(SmallDisk::mount(self.worker_folder(n), DISK_MEBIBYTES)?);
            // The state of the fake belongs to the daemon it pretends to be, whose disk is another one.
            std::fs::create_dir(self.fake_folder(n)).context("make a folder for the fake")?;
            std::os::unix::fs::symlink(self.fake_folder(n), self.worker_folder(n).join("fake"))
                .context("link the fake's folder")?;
            let words = words::worker(n, &servers, &self.folder, self.daemon.as_ref());
            self.members.push(Member::new(Who::Worker(n), space, words, self.folder.clone()));
        }
        Ok(())
    }

    /// Puts a proxy in front of each target.
    async fn proxied(
        &mut self,
        from: String,
        kind: &str,
        targets: &[SocketAddr],
        tasks: &Tasks,
    ) -> anyhow::Result<Vec<SocketAddr>> {
        let mut addresses = Vec::new();
        for (n, target) in targets.iter().enumerate() {
            let proxy = Proxy::start(format!("{from} to {kind}-{n}"), Net::hub(), *target, tasks).await?;
            addresses.push(proxy.address);
            self.proxies.push(proxy);
        }
        Ok(addresses)
    }
}
