//! The connection to etcd: settings, deadlines, TLS.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use etcd_client::{
    Certificate, Client, ConnectOptions, Identity, KvClient, LeaseClient, TlsOptions, Txn, TxnResponse,
    WatchClient,
};

use super::Error;
use super::failure::{classify, login_is_outdated, never_sent};

/// How long a leader may be silent before another may take over. A killed leader is replaced within this time plus
/// etcd's 0.5 s check interval, the candidates' 0.25 s poll and loading: under the 10 s that are promised, on a busy machine,
/// too. A leader that lost etcd steps down, and says so to its callers, after 0.7 of it: under 5 s. Below 5 s a slow disk
/// of etcd would already cost leadership.
pub const DEFAULT_LEASE_TTL: Duration = Duration::from_secs(6);

/// Deadline of one call: etcd's own election takes up to about 2 s, and its server gives up on a request after 7 s.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// TCP and TLS set-up; a host that is down must not use up the whole call.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// HTTP/2 ping interval. etcd closes connections that ping more often than every 5 s.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// How long a ping may stay unanswered before the connection is dropped.
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a call is made that finds its member down. With one of three down each try finds one that is up with two
/// chances in three; with all down this takes a fifth of a second.
const UNREACHED_TRIES: u32 = 12;
/// Between two of these: long enough not to spin, short against everything that waits for etcd.
const UNREACHED_PAUSE: Duration = Duration::from_millis(20);
/// Largest answer to a read. A page is halved until it fits; a single value is at most 1.5 MiB.
const MAX_READ_BYTES: usize = 16 << 20;
/// Largest watch message: etcd sends up to 1000 revisions in one when a watch catches up.
const MAX_WATCH_BYTES: usize = 64 << 20;

/// How to reach etcd.
#[derive(Debug, Clone)]
pub struct Config {
    /// URLs of the members, `http://` or `https://`; any of them may be down.
    pub endpoints: Vec<String>,
    /// What all keys of this cluster begin with, such as `dockmgr/default`; clusters may share an etcd.
    pub prefix: String,
    /// Certificates; required for `https://`.
    pub tls: Option<TlsFiles>,
    /// Who to log in as, where etcd asks for it.
    pub user: Option<User>,
    /// See [`DEFAULT_LEASE_TTL`]. etcd raises anything below 2 s.
    pub lease_ttl: Duration,
    /// Deadline of one call to etcd.
    pub call_timeout: Duration,
    /// What the leader lets etcd forget; `None` where something else sees to it.
    pub compaction: Option<Compaction>,
}

/// Forgetting old revisions, which would fill etcd's quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compaction {
    /// Time between two compactions.
    pub every: Duration,
    /// Newest revisions that are kept, for watches that are behind and for those who look into an accident.
    pub keep: u64,
}

impl Default for Compaction {
    /// Every 5 minutes, as etcd's own default is, keeping the last 10,000.
    fn default() -> Self {
        Self { every: Duration::from_mins(5), keep: 10_000 }
    }
}

impl Config {
    /// The usual settings, without TLS.
    pub fn new(endpoints: Vec<String>) -> Self {
        Self {
            endpoints,
            prefix: "dockmgr/default".to_owned(),
            tls: None,
            user: None,
            lease_ttl: DEFAULT_LEASE_TTL,
            call_timeout: CALL_TIMEOUT,
            compaction: Some(Compaction::default()),
        }
    }
}

/// A user of etcd.
#[derive(Clone)]
pub struct User {
    /// Its name.
    pub name: String,
    /// Its password; never shown.
    pub password: String,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("name", &self.name).finish_non_exhaustive()
    }
}

/// PEM files for TLS with etcd.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// Certificates that etcd's own must descend from.
    pub ca: PathBuf,
    /// Certificate and key that this program shows, where etcd asks for one.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// A connection whose calls all have a deadline. Cheap to clone.
#[derive(Clone)]
pub(super) struct Link {
    /// Shared, because a client is some 4 KiB of handles.
    client: Arc<Client>,
    call_timeout: Duration,
    logged_in: bool,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("call_timeout", &self.call_timeout).finish_non_exhaustive()
    }
}

impl Link {
    /// Prepares the connection; etcd need not answer yet, unless there is a user to log in as.
    pub(super) async fn connect(config: &Config) -> Result<Self, Error> {
        let secure = config.endpoints.iter().filter(|url| url.starts_with("https://")).count();
        let plain = config.endpoints.iter().filter(|url| url.starts_with("http://")).count();
        if config.endpoints.is_empty() || secure + plain != config.endpoints.len() || secure * plain > 0 {
            return refuse("give the etcd endpoints as URLs, all http:// or all https://");
        }
        let mut options = ConnectOptions::new()
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_keep_alive(PING_INTERVAL, PING_TIMEOUT)
            .with_keep_alive_while_idle(true)
            // A member that is cut off from its cluster says so instead of letting a watch hang.
            .with_require_leader(true);
        options = match (&config.tls, secure > 0) {
            (Some(files), true) => options.with_tls(files.read().await?),
            (None, true) => return refuse("https:// etcd endpoints need a CA certificate file"),
            (Some(_), false) => return refuse("etcd certificates need https:// endpoints"),
            (None, false) => options,
        };
        if let Some(User { name, password }) = &config.user {
            options = options.with_user(name, password).with_auto_token_refresh(true);
        }
        let connect = || Client::connect(&config.endpoints, Some(options.clone()));
        let client = match &config.user {
            Some(_) => within(config.call_timeout, "log in to etcd", connect).await?,
            None => connect().await.map_err(|error| Error::BadConfig { detail: error.to_string() })?,
        };
        let logged_in = config.user.is_some();
        Ok(Self { client: Arc::new(client), call_timeout: config.call_timeout, logged_in })
    }

    pub(super) fn call_timeout(&self) -> Duration {
        self.call_timeout
    }

    pub(super) fn kv(&self) -> KvClient {
        self.client.kv_client().max_decoding_message_size(MAX_READ_BYTES)
    }

    /// Runs one transaction under the deadline and sorts its error.
    pub(super) async fn transact(&self, action: &'static str, txn: &Txn) -> Result<TxnResponse, Error> {
        let kv = self.kv();
        let transact = || {
            let (mut kv, txn) = (kv.clone(), txn.clone());
            async move { kv.txn(txn).await }
        };
        self.call(action, transact).await
    }

    pub(super) fn leases(&self) -> LeaseClient {
        self.client.lease_client()
    }

    pub(super) fn watches(&self) -> WatchClient {
        self.client.watch_client().max_decoding_message_size(MAX_WATCH_BYTES)
    }

    /// Runs one call under the deadline and sorts its error.
    pub(super) async fn call<T, F>(&self, action: &'static str, call: impl FnMut() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        self.call_within(self.call_timeout, action, call).await
    }

    /// Runs one call for at most about `limit` and sorts its error. A call that is cut off may still take effect in etcd.
    ///
    /// A call that was refused because users or roles of etcd changed, or because the login ran out, did nothing; it is made
    /// once more after a new login. The library does so for the second reason only.
    pub(super) async fn call_within<T, F>(
        &self,
        limit: Duration,
        action: &'static str,
        mut call: impl FnMut() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        let answer = within(limit, action, &mut call).await;
        if !self.logged_in || !answer.as_ref().is_err_and(login_is_outdated) {
            return answer;
        }
        tracing::info!("logging in to etcd again");
        within(limit, "log in to etcd again", || self.client.refresh_token()).await?;
        within(limit, action, call).await
    }
}

/// Runs one call for at most `limit`. A call that is cut off may still take effect in etcd.
///
/// One that reached no member is made again: calls are spread over all members, and one of three may be down for long.
async fn within<T, F>(limit: Duration, action: &'static str, mut call: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, etcd_client::Error>>,
{
    let reached = async {
        for _ in 1..UNREACHED_TRIES {
            match call().await {
                Err(error) if never_sent(&error) => tokio::time::sleep(UNREACHED_PAUSE).await,
                answer => return answer,
            }
        }
        call().await
    };
    match tokio::time::timeout(limit, reached).await {
        Ok(answer) => answer.map_err(|error| classify(action, error)),
        Err(elapsed) => Err(Error::Unavailable { action, source: Box::new(elapsed) }),
    }
}

impl TlsFiles {
    async fn read(&self) -> Result<TlsOptions, Error> {
        let mut tls = TlsOptions::new().ca_certificate(Certificate::from_pem(read(&self.ca).await?));
        if let Some((certificate, key)) = &self.identity {
            tls = tls.identity(Identity::from_pem(read(certificate).await?, read(key).await?));
        }
        Ok(tls)
    }
}

async fn read(path: &PathBuf) -> Result<Vec<u8>, Error> {
    let unreadable = |error| Error::BadConfig { detail: format!("read '{}': {error}", path.display()) };
    tokio::fs::read(path).await.map_err(unreadable)
}

fn refuse<T>(detail: &str) -> Result<T, Error> {
    Err(Error::BadConfig { detail: detail.to_owned() })
}
