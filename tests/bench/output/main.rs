//! How fast output goes from a container to the log store and to a reader, beside Docker's own way, and what it costs the
//! coordinator's memory.
//!
//! `DOCKMGR_BENCH_PART` names one part: `upload`, `follow` or `passing`.

mod follow;
mod passing;
mod upload;

use std::process::ExitCode;

use dockmgr_tests::figures::{self, Table};
use dockmgr_tests::needs;

#[tokio::main]
async fn main() -> ExitCode {
    figures::expect_release();
    let part = std::env::var("DOCKMGR_BENCH_PART").ok();
    let wanted = |name: &str| part.as_deref().is_none_or(|part| part == name);
    let mut table = Table::default();
    if (wanted("upload") || wanted("follow")) && !needs::docker() {
        return ExitCode::FAILURE;
    }
    if wanted("upload") {
        upload::measure(&mut table).await;
    }
    if wanted("follow") {
        follow::measure(&mut table).await;
    }
    if wanted("passing") {
        passing::measure(&mut table).await;
    }
    table.print("output on its way")
}
