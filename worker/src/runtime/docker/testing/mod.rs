//! A Docker daemon that misbehaves to order: its HTTP API on a socket of its own, in front of the fake daemon.
//!
//! Owns the socket, the faults and the switches of the whole daemon (hung, gone, another one). What a call does is the
//! fake's business, how it looks on the wire is `api`'s and `wire`'s. Only in tests. The conformance suite runs through
//! it too, so that it stays like the real thing.

mod api;
mod fault;
mod wire;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dockmgr_support::tasks::Tasks;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(crate) use fault::{Effect, Fault};

use super::Docker;
use crate::runtime::Call;
use crate::runtime::fake::Fake;
use wire::Request;

/// Production deadlines are divided by this: a hung call is given up within a second or two.
pub(crate) const PACE: u32 = 20;

/// Changes an answer on its way out.
pub(crate) type Edit = Arc<dyn Fn(&mut Value) + Send + Sync>;

/// A daemon behind a socket. Stops answering when dropped.
pub(crate) struct FakeDocker {
    pub(crate) fake: Fake,
    folder: TempDir,
    state: Arc<State>,
    serving: Mutex<CancellationToken>,
}

/// What all connections look at.
struct State {
    fake: Mutex<Fake>,
    about: Mutex<About>,
    orders: Mutex<Orders>,
    hung: watch::Sender<bool>,
    requests: Mutex<Vec<(Call, String)>>,
    tasks: Tasks,
}

/// What the daemon says of itself.
#[derive(Debug, Clone)]
pub(crate) struct About {
    pub(crate) id: String,
    pub(crate) version: String,
    pub(crate) api: (String, String),
    pub(crate) live_restore: bool,
    pub(crate) root: String,
}

#[derive(Default)]
struct Orders {
    once: BTreeMap<Call, VecDeque<Fault>>,
    always: BTreeMap<Call, Fault>,
    /// For calls whose path or query has this text in it.
    of_path: Vec<(Call, String, Fault)>,
    edits: BTreeMap<Call, Edit>,
}

impl FakeDocker {
    /// A healthy daemon.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let about = About {
            id: "DAEMON:A".to_owned(),
            version: "20.10.24".to_owned(),
            api: ("1.12".to_owned(), "1.41".to_owned()),
            live_restore: true,
            root: folder.path().display().to_string(),
        };
        let fake = Fake::new(8, 8 << 30);
        let state = State {
            fake: Mutex::new(fake.clone()),
            about: Mutex::new(about),
            orders: Mutex::default(),
            hung: watch::Sender::new(false),
            requests: Mutex::default(),
            tasks: Tasks::default(),
        };
        let this = Self { fake, folder, state: Arc::new(state), serving: Mutex::default() };
        this.listen();
        this
    }

    /// The socket's path.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("docker.sock")
    }

    /// A client with short deadlines.
    pub(crate) fn client(&self) -> Docker {
        Docker::hurried(&self.socket().display().to_string(), PACE)
    }

    /// Orders a fault for the next call of this kind that has none.
    pub(crate) fn order(&self, call: Call, fault: Fault) {
        locked(&self.state.orders).once.entry(call).or_default().push_back(fault);
    }

    /// Makes every call of this kind fail so, until told otherwise.
    pub(crate) fn always(&self, call: Call, fault: Option<Fault>) {
        let mut orders = locked(&self.state.orders);
        match fault {
            Some(fault) => orders.always.insert(call, fault),
            None => orders.always.remove(&call),
        };
    }

    /// Makes every call of this kind whose path or query contains `part` fail so.
    pub(crate) fn always_for(&self, call: Call, part: &str, fault: Fault) {
        locked(&self.state.orders).of_path.push((call, part.to_owned(), fault));
    }

    /// Mends everything.
    pub(crate) fn mend(&self) {
        *locked(&self.state.orders) = Orders::default();
    }

    /// Changes every answer to this call.
    pub(crate) fn edit(&self, call: Call, edit: impl Fn(&mut Value) + Send + Sync + 'static) {
        locked(&self.state.orders).edits.insert(call, Arc::new(edit));
    }

    /// Changes what it says of itself.
    pub(crate) fn is_now(&self, change: impl FnOnce(&mut About)) {
        change(&mut locked(&self.state.about));
    }

    /// Stops it as SIGSTOP does, or lets it go on with what came in meanwhile.
    pub(crate) fn hang(&self, hung: bool) {
        self.state.hung.send_replace(hung);
    }

    /// Cuts all connections and takes the socket away, as a daemon that ends.
    pub(crate) fn stop(&self) {
        locked(&self.serving).cancel();
        let _gone = std::fs::remove_file(self.socket());
    }

    /// Listens again.
    pub(crate) fn listen(&self) {
        let listener = UnixListener::bind(self.socket()).expect("binds");
        let token = CancellationToken::new();
        *locked(&self.serving) = token.clone();
        let state = Arc::clone(&self.state);
        self.state.tasks.spawn("fake docker", async move {
            while let Some(Ok((socket, _))) = token.run_until_cancelled(listener.accept()).await {
                let (one, token) = (Arc::clone(&state), token.clone());
                state.tasks.spawn("fake docker call", async move {
                    token.run_until_cancelled(one.serve(socket)).await;
                });
            }
        });
    }

    /// Puts another daemon behind the socket, with other containers.
    pub(crate) fn swap(&self, id: &str, fake: &Fake) {
        self.stop();
        self.is_now(|about| id.clone_into(&mut about.id));
        *locked(&self.state.fake) = fake.clone();
        self.listen();
    }

    /// How many requests of this kind came in, whatever was done with them.
    pub(crate) fn count(&self, call: Call) -> usize {
        self.count_of(call, "")
    }

    /// How many requests of this kind came in whose path or query contains `part`.
    pub(crate) fn count_of(&self, call: Call, part: &str) -> usize {
        let requests = locked(&self.state.requests);
        requests.iter().filter(|(made, target)| *made == call && target.contains(part)).count()
    }
}

impl Drop for FakeDocker {
    fn drop(&mut self) {
        self.stop();
    }
}

impl State {
    async fn serve(self: Arc<Self>, mut socket: UnixStream) {
        let Some(request) = Request::read(&mut socket).await else { return };
        let Some(call) = api::call_of(&request) else {
            return wire::refuse(&mut socket, 404, "page not found").await;
        };
        locked(&self.requests).push((call, request.target.clone()));
        // What came in while it hung is carried out when it goes on, whether anybody still waits or not.
        let mut hung = self.hung.subscribe();
        if hung.wait_for(|hung| !hung).await.is_err() {
            return;
        }
        let fault = self.fault_for(call, &request.target);
        fault::answer(&self, call, &request, socket, fault).await;
    }

    fn fault_for(&self, call: Call, path: &str) -> Option<Fault> {
        let mut orders = locked(&self.orders);
        let once = orders.once.get_mut(&call).and_then(VecDeque::pop_front);
        let of_path =
            || orders.of_path.iter().find(|(of, part, _)| *of == call && path.contains(part.as_str()));
        once.or_else(|| of_path().map(|(_, _, fault)| fault.clone()))
            .or_else(|| orders.always.get(&call).cloned())
    }

    fn fake(&self) -> Fake {
        locked(&self.fake).clone()
    }

    fn about(&self) -> About {
        locked(&self.about).clone()
    }

    fn edit_of(&self, call: Call) -> Option<Edit> {
        locked(&self.orders).edits.get(&call).cloned()
    }
}

/// How long a hung call is held at most, so that no test leaves one behind for ever.
const HELD: Duration = Duration::from_secs(600);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A test that panicked has failed already.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
