//! What a cluster promises, on the fake runtime: real coordinator, real workers, real command line, no containers.

mod arrays;
mod basics;
mod coordinators;
mod crashes;
mod full_store;
mod hostile;
mod keeping;
mod lines;
mod losing;
mod nodes;
mod placement;
mod restored;
mod retries;
mod rolling;
mod scale;
mod searching;
mod starved;
mod storage;
mod traces;
mod watching;

/// Makes two tests of one story: on the embedded store and on etcd.
macro_rules! on_both_stores {
    ($($story:ident),+ $(,)?) => {
        mod redb {
            $(#[tokio::test] async fn $story() { super::$story(dockmgr_tests::Store::Redb).await; })+
        }
        mod etcd {
            $(#[tokio::test] async fn $story() {
                if dockmgr_tests::needs::etcd() {
                    super::$story(dockmgr_tests::Store::Etcd).await;
                }
            })+
        }
    };
}
pub(crate) use on_both_stores;
