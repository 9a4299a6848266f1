//! `search`: lines in the output of all jobs.

use std::io::IsTerminal as _;

use clap::ValueEnum;
use dockmgr_client::Client;
use dockmgr_core::search::Query;
use dockmgr_proto::v1::search_logs_response::Event;
use dockmgr_proto::v1::{
    GetJobRequest, SearchDone, SearchLogsRequest, SearchLogsResponse, SearchOrder, SearchSplit,
};
use jiff::Timestamp;

use crate::failure::{Failure, Kind};
use crate::follow::Interrupts;
use crate::hits;
use crate::job_ref::{self, JobRef};
use crate::output;
use crate::parse::{self, Pair};
use crate::settings::Reach;

/// Most hits of one call.
const PAGE: u32 = 1000;
/// Spans of a count over time: as many as lines that are looked at on a screen.
const BUCKETS: u32 = 40;

#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A query is words, \"phrases\" and /regular expressions/, joined by AND, OR, NOT and parentheses; words side by side mean AND.
Fields: job, name, label:K=V, state, reason, node, task, attempt, stream, level (level>=warn), and those of JSON and
logfmt lines (user.id=42, ms>100). A * at either end of a word opens it: time*. Exit code: 0 hits, 1 none, 2 no query.

  cluster-cli search --since 1h 'level:error NOT \"connection reset\"'
  cluster-cli search -l team=search -C 3 timeout*")]
pub(crate) struct Args {
    /// Only from this time on: RFC 3339, or how long ago
    #[arg(long, value_name = "T", value_parser = parse::moment)]
    since: Option<Timestamp>,
    /// Only before this time
    #[arg(long, value_name = "T", value_parser = parse::moment)]
    until: Option<Timestamp>,
    /// Only this job (number, name, uid, last), task (42.7) or attempt (42.7.2)
    #[arg(long, value_name = "JOB", value_parser = job_ref::parse_attempt)]
    job: Option<JobRef>,
    /// Only jobs of this name; a * at either end opens it
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Only jobs with this label
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = parse::label)]
    label: Vec<Pair>,
    /// Only attempts in this state: active, running, succeeded, failed, ...
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// Only attempts that ended for this reason: exited, oom, timeout, ...
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
    /// Only one stream
    #[arg(long, value_enum)]
    stream: Option<Stream>,
    /// Only attempts on this node
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    /// Only attempts of this number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    attempt: Option<u32>,
    /// Lines of the same stream before each hit
    #[arg(short = 'B', long, value_name = "N", default_value_t = 0)]
    before: u32,
    /// Lines of the same stream after each hit
    #[arg(short = 'A', long, value_name = "N", default_value_t = 0)]
    after: u32,
    /// Lines before and after each hit
    #[arg(short = 'C', long, value_name = "N", conflicts_with_all = ["before", "after"])]
    around: Option<u32>,
    /// Most hits
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Go on behind a hit: the pageToken that -o jsonl gave it, or the nextPageToken of the end
    #[arg(long, value_name = "TOKEN", conflicts_with_all = ["count", "histogram"])]
    page_token: Option<String>,
    /// The oldest hits first
    #[arg(long)]
    oldest_first: bool,
    /// Only how many lines match
    #[arg(long)]
    count: bool,
    /// Only how many lines match over time
    #[arg(long, conflicts_with = "count")]
    histogram: bool,
    /// With --histogram: what kinds of lines the hits are
    #[arg(long, value_name = "KIND", value_enum, requires = "histogram")]
    by: Option<By>,
    /// Write control bytes to a terminal as they are
    #[arg(long)]
    raw: bool,
    /// jsonl: the API's JSON, one hit a line, then the end
    #[arg(short, long, value_enum)]
    output: Option<Output>,
    /// What to find
    #[arg(value_name = "QUERY")]
    query: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Stream {
    Stdout,
    Stderr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    Level,
    Stream,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Jsonl,
}

pub(crate) async fn execute(reach: &Reach, args: Args) -> Result<u8, Failure> {
    let words = args.query.join(" ");
    let asked = Query::parse(&words).map_err(|error| Failure::usage(format!("no query: {error}")))?;
    let client = reach.connect().await?;
    let query = query(&client, &args, &asked).await?;
    let around = args.around;
    let only_counts = args.count || args.histogram;
    let mut request = SearchLogsRequest {
        query,
        since_time: args.since.map(super::wire_time),
        until_time: args.until.map(super::wire_time),
        order: if args.oldest_first { SearchOrder::OldestFirst } else { SearchOrder::NewestFirst }.into(),
        lines_before: around.unwrap_or(args.before),
        lines_after: around.unwrap_or(args.after),
        histogram_buckets: if args.histogram { BUCKETS } else { 0 },
        count_only: only_counts,
        page_token: args.page_token.clone().unwrap_or_default(),
        split: match args.by {
            None => SearchSplit::Unspecified,
            Some(By::Level) => SearchSplit::Level,
            Some(By::Stream) => SearchSplit::Stream,
        }
        .into(),
        ..SearchLogsRequest::default()
    };
    let mut shown = Shown { args: &args, hits: 0, guard: !args.raw && std::io::stdout().is_terminal() };
    loop {
        request.limit = (args.limit - shown.hits).min(PAGE);
        let done = shown.page(&client, request.clone()).await?;
        request.page_token.clone_from(&done.next_page_token);
        if only_counts || request.page_token.is_empty() || shown.hits >= args.limit {
            return shown.end(done);
        }
    }
}

/// The query with what the flags ask for.
async fn query(client: &Client, args: &Args, asked: &Query) -> Result<String, Failure> {
    let mut parts = vec![format!("({asked})")];
    if let Some(JobRef { job, task, attempt }) = &args.job {
        let number = if job.bytes().all(|byte| byte.is_ascii_digit()) {
            job.clone()
        } else {
            let found = client.get_job(GetJobRequest { job: job.clone(), explain: false }).await?;
            found.job.ok_or_else(|| super::missing("job"))?.id.to_string()
        };
        let below = [task, attempt].into_iter().flatten().map(|number| format!(".{number}"));
        parts.push(format!("job:{number}{}", below.collect::<String>()));
    }
    parts.extend(args.name.as_deref().map(|name| format!("name:{}", quoted(name))));
    parts.extend(args.node.as_deref().map(|node| format!("node:{}", quoted(node))));
    parts.extend(args.label.iter().map(|label| format!("label:{}={}", label.key, label.value)));
    parts.extend(args.state.as_deref().map(|state| format!("state:{}", quoted(state))));
    parts.extend(args.reason.as_deref().map(|reason| format!("reason:{}", quoted(reason))));
    parts.extend(args.attempt.map(|attempt| format!("attempt:{attempt}")));
    parts.extend(args.stream.map(|stream| match stream {
        Stream::Stdout => "stream:stdout".to_owned(),
        Stream::Stderr => "stream:stderr".to_owned(),
    }));
    let whole = parts.join(" ");
    let whole = Query::parse(&whole).map_err(|error| Failure::usage(error.problem))?;
    Ok(whole.to_string())
}

/// A value of a flag as the query language has it; its stars keep their meaning.
fn quoted(value: &str) -> String {
    let (start, value) = value.strip_prefix('*').map_or(("", value), |rest| ("*", rest));
    let (end, value) = value.strip_suffix('*').map_or(("", value), |rest| ("*", rest));
    format!("{start}\"{}\"{end}", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// What was shown so far.
struct Shown<'a> {
    args: &'a Args,
    hits: u32,
    guard: bool,
}

impl Shown<'_> {
    /// Shows the hits of one call.
    async fn page(&mut self, client: &Client, request: SearchLogsRequest) -> Result<SearchDone, Failure> {
        let mut interrupts = Interrupts::listen()?;
        let mut search = client.search_logs(request);
        loop {
            let event = tokio::select! {
                // A hit, or how far it has come.
                event = search.next() => event?,
                // A person wants to go.
                () = interrupts.next() => return Err(Failure::new(Kind::Interrupted, "")),
            };
            match event {
                Some(Event::Hit(hit)) => {
                    self.hits += 1;
                    if self.args.output.is_some() {
                        json(Event::Hit(hit))?;
                    } else {
                        hits::show(&hit, self.guard, self.hits > 1)?;
                    }
                }
                Some(Event::Done(done)) => return Ok(done),
                Some(Event::Progress(_)) => {}
                None => return Err(super::missing("end")),
            }
        }
    }

    /// Tells what is to be told at the end; the exit code.
    fn end(self, done: SearchDone) -> Result<u8, Failure> {
        let total = done.total.as_ref().map_or(0, |total| total.hits);
        if done.incomplete {
            output::say(
                "cluster-cli: the search took too long and was ended: there may be more; narrow it with --since or --job",
            );
        }
        if done.unreadable_attempts > 0 {
            output::say(&format!(
                "cluster-cli: the output of {} attempts could not be read",
                done.unreadable_attempts
            ));
        }
        if self.args.output.is_some() {
            json(Event::Done(done))?;
        } else if self.args.histogram {
            output::print(&hits::histogram(&done))?;
        } else if self.args.count {
            output::print(&format!("{total}\n"))?;
        } else if total > u64::from(self.hits) && std::io::stderr().is_terminal() {
            output::say(&format!("cluster-cli: {} of {total} hits; --limit N shows more", self.hits));
        }
        Ok(u8::from(total == 0))
    }
}

fn json(event: Event) -> Result<(), Failure> {
    output::print(&output::json_line(&SearchLogsResponse { event: Some(event) })?)
}
