//! One run of one profile: start, load and faults, quiet phase, judgement.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use dockmgr_client::Client;
use dockmgr_proto::v1;
use dockmgr_support::shutdown;
use dockmgr_support::tasks::Tasks;
use tokio_util::sync::CancellationToken;

use crate::faults::Faults;
use crate::job::Size;
use crate::load::{Load, Seen};
use crate::oracle::{self, Leaks, Verdict};
use crate::world::net::Net;
use crate::world::{COORDINATORS, World, daemon};
use crate::{Profile, plan, report, say};

/// How long the jobs may take to end after the last fault: the longest job, a loss, another attempt of it.
const QUIET: Duration = Duration::from_secs(150);

/// How a run went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Clean,
    Violations,
    Interrupted,
}

/// Runs one profile.
pub(crate) fn run(seed: u64, profile: Profile, length: Duration, keep: bool) -> anyhow::Result<Outcome> {
    let name = format!("dmc{}{}", std::process::id(), if profile == Profile::Fake { "f" } else { "d" });
    // Dropped last, after everything that lives in it.
    let mut net = Net::enter(&name)?;
    // Short: unix sockets below it have paths of at most 107 bytes.
    let folder = std::env::temp_dir().join(&name);
    std::fs::create_dir(&folder).context("make the folder of the run")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(async {
        let tasks = Tasks::default();
        let stop = shutdown::on_signals(&tasks).context("listen for signals")?;
        let outcome = play(&mut net, &folder, (seed, profile, length), &tasks, &stop).await;
        tasks.shut_down(Duration::from_secs(5)).await;
        outcome
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    drop(net);
    match outcome {
        Ok(Outcome::Clean | Outcome::Interrupted) if !keep => {
            std::fs::remove_dir_all(&folder).context("remove the folder of the run")?;
        }
        _ => say(&format!("chaos: all logs are kept in {}", folder.display())),
    }
    outcome
}

async fn play(
    net: &mut Net,
    folder: &Path,
    (seed, profile, length): (u64, Profile, Duration),
    tasks: &Tasks,
    stop: &CancellationToken,
) -> anyhow::Result<Outcome> {
    let mut world = World::start(net, folder, profile, tasks).await?;
    let leaks = Leaks::measure(&world);
    let load = load(&world, seed, profile).await?;
    say("chaos: the cluster is up, faults begin");
    let (users, enough) = (Tasks::default(), CancellationToken::new());
    let submitting = tasks.spawn("load", load.clone().run(users.clone(), enough.clone()));
    let done = Faults::new(&mut world).run(&plan::plan(seed, profile, length), length, stop).await;
    enough.cancel();
    submitting.await.context("the load panicked")?;
    if stop.is_cancelled() {
        world.stop().await;
        return Ok(Outcome::Interrupted);
    }
    std::fs::write(folder.join("faults.txt"), done.history.join("\n"))
        .context("write the history of faults")?;
    say("chaos: everything is mended, waiting for all jobs to end");
    let mut verdict = Verdict::default();
    quiet(&mut world, &users, &load, stop, &mut verdict).await?;
    let (left, took) = oracle::settle(&leaks, &mut world).await;
    for what in left {
        verdict.blame("leaks after 60 s", what);
    }
    say(&format!("chaos: settled after {:.1} s, judging", took.as_secs_f64()));
    let executions = executions(&world);
    verdict.judge(&load, &load.clients[0], &executions, &done).await?;
    for who in world.stop().await {
        verdict.blame("leaks after 60 s", format!("{who} had to be killed at the end"));
    }
    for member in &mut world.members {
        let left = member.space.processes();
        if !left.is_empty() {
            verdict.blame("leaks after 60 s", format!("{} left processes {left:?}", member.who));
        }
        panics(&member.log(), &member.who.to_string(), &mut verdict);
    }
    if let Some(daemon) = world.daemon.as_mut() {
        daemon.stop().await;
    }
    let table = report::table(seed, profile, length, &done, &verdict);
    std::fs::write(folder.join("table.txt"), &table).context("write the table")?;
    say(&table);
    Ok(if verdict.violations.is_empty() { Outcome::Clean } else { Outcome::Violations })
}

/// Waits until every user has seen the end of their job.
async fn quiet(
    world: &mut World,
    users: &Tasks,
    load: &Load,
    stop: &CancellationToken,
    verdict: &mut Verdict,
) -> anyhow::Result<()> {
    let give_up = tokio::time::Instant::now() + QUIET;
    loop {
        let open = load.seen.jobs().values().filter(|sight| sight.end.is_none()).count();
        let late = tokio::time::Instant::now() > give_up;
        if open == 0 || late || stop.is_cancelled() {
            if late {
                verdict.blame(
                    "lost or doubled jobs",
                    format!("{open} jobs have not ended {QUIET:?} after the last fault"),
                );
            }
            let ended = users.shut_down(Duration::from_secs(if late { 1 } else { 30 })).await;
            if !ended.is_empty() && !late {
                verdict.blame("wrong answers to users", format!("some users never got an answer: {ended:?}"));
            }
            return world.wait_ready().await.context("after all faults");
        }
        world.members.iter_mut().for_each(crate::world::member::Member::supervise);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn load(world: &World, seed: u64, profile: Profile) -> anyhow::Result<Load> {
    let mut clients = Vec::new();
    for first in 0..COORDINATORS {
        clients.push(Client::connect(world.client(first)?).await.context("connect a user")?);
    }
    let fake = profile == Profile::Fake;
    let mounts = world.daemon.iter().map(|daemon| v1::Mount {
        kind: v1::mount::Kind::Bind.into(),
        source: daemon.marks().display().to_string(),
        target: "/marks".to_owned(),
        read_only: false,
    });
    Ok(Load {
        clients,
        seen: Seen::default(),
        seed,
        size: Size { numbers: if fake { 3000 } else { 20_000 }, pause: if fake { 1.5 } else { 1.0 } },
        rate: if fake { 25.0 } else { 2.0 },
        most: if fake { 220 } else { 12 },
        image: daemon::IMAGE.to_owned(),
        mounts: mounts.collect(),
        prefix: if fake { |_| String::new() } else { marking },
    })
}

/// The words by which a container marks its start, every pause and its end, outside of the cluster.
fn marking(number: u64) -> String {
    format!(
        "m() {{ read -r up _ </proc/uptime; echo \"$1 $DOCKMGR_JOB $DOCKMGR_ATTEMPT $up\" >>/marks/{number}; }}; \
         m S; trap 'm E' EXIT; sleep() {{ command sleep \"$@\"; m T; }}; "
    )
}

/// What really ran.
fn executions(world: &World) -> Vec<oracle::Execution> {
    match &world.daemon {
        Some(daemon) => oracle::read_marks(&daemon.marks()),
        None => (0..world.workers()).flat_map(|n| oracle::read_fake(&world.fake_folder(n))).collect(),
    }
}

/// A program that panicked, however well it went on, is a violation.
fn panics(log: &PathBuf, who: &str, verdict: &mut Verdict) {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    if let Some(line) = text.lines().find(|line| line.contains("panicked at")) {
        verdict.blame("wrong answers to users", format!("{who} panicked: {line}"));
    }
}
