//! P10, P11: a worker that was killed takes its running containers back and finds those that ended meanwhile.

use dockmgr_tests::adoption::Adoption;
use dockmgr_tests::needs;

/// Containers of the short version.
const SHORT: u32 = 30;
/// Containers of the long version.
const LONG: u32 = 100;

#[tokio::test]
async fn p10_p11_a_killed_worker_takes_back_what_runs_and_finds_what_ended() {
    if !needs::docker() {
        return;
    }
    let count = if needs::full() { LONG } else { SHORT };
    let all = count as usize;
    let mut adoption = Adoption::start(count).await;
    adoption.kill().await;
    adoption.release(all / 3).await;
    adoption.restart(all).await;
    adoption.kill().await;
    adoption.restart(all - all / 3).await;
    adoption.release(all).await;
    adoption.expect_right_results().await;
}
