//! What dockmgr promises on a real Docker daemon.

mod adoption;
mod codes;
mod crowd;
mod daemon;
mod fencing;
mod flood;
mod images;
mod limits;
mod output;
mod recovery;
mod settings;
mod stopping;

use dockmgr_tests::{Cluster, Store, needs};

/// A cluster on real Docker, unless a person chose to skip these tests.
pub(crate) async fn docker_cluster(store: Store) -> Option<Cluster> {
    let wanted = needs::docker() && (store == Store::Redb || needs::etcd());
    if wanted { Some(Cluster::builder().docker().store(store).start().await) } else { None }
}
