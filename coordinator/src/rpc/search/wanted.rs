//! What a client asks for, checked and bounded.

use dockmgr_core::search::{Query, Times};
use dockmgr_proto::convert;
use dockmgr_proto::v1;
use tonic::Status;

use super::histogram::Split;
use super::place::{self, Order, Place};
use crate::rpc::status;

/// Hits when the client does not say.
const DEFAULT_HITS: u32 = 100;
/// Most hits of a page.
const MOST_HITS: u32 = 1000;
/// Bytes of a line when the client does not say.
const DEFAULT_LINE: u32 = 4 * 1024;
/// Most bytes of a line.
const MOST_LINE: u32 = 64 * 1024;
/// Most bytes of all hits together, before their context: what a search holds until it is over.
pub(super) const HITS_BYTES: u32 = 8 * 1024 * 1024;
/// Most lines before and after a hit.
const MOST_CONTEXT: u32 = 100;
/// Most spans of a count over time.
const MOST_BUCKETS: u32 = 1000;

/// A search as asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) query: Query,
    pub(super) times: Times,
    pub(super) order: Order,
    /// Most hits; 0 to count only.
    pub(super) limit: usize,
    /// Only hits behind this one.
    pub(super) after: Option<Place>,
    pub(super) before_lines: usize,
    pub(super) after_lines: usize,
    pub(super) line_bytes: usize,
    /// Most spans of the count over time; 0 for none.
    pub(super) buckets: usize,
    /// By what those counts are split.
    pub(super) split: Split,
    /// What page tokens are bound to.
    pub(super) question: String,
}

impl Wanted {
    /// Reads a request.
    pub(super) fn read(request: &v1::SearchLogsRequest) -> Result<Self, Status> {
        let invalid = |error: convert::Error| status::invalid(&[error.into()]);
        let query = Query::parse(&request.query);
        let query = query.map_err(|error| status::invalid_field("query", error.to_string()))?;
        let since =
            convert::time::optional_wall_from_wire("since_time", request.since_time).map_err(invalid)?;
        let until =
            convert::time::optional_wall_from_wire("until_time", request.until_time).map_err(invalid)?;
        let order = match v1::SearchOrder::try_from(request.order) {
            Ok(v1::SearchOrder::Unspecified | v1::SearchOrder::NewestFirst) => Order::NewestFirst,
            Ok(v1::SearchOrder::OldestFirst) => Order::OldestFirst,
            Err(_) => return Err(status::invalid_field("order", "is no known order")),
        };
        let split = match v1::SearchSplit::try_from(request.split) {
            Ok(v1::SearchSplit::Unspecified) => Split::Not,
            Ok(v1::SearchSplit::Level) => Split::ByLevel,
            Ok(v1::SearchSplit::Stream) => Split::ByStream,
            Err(_) => return Err(status::invalid_field("split", "is no known split")),
        };
        let question = format!("search {order:?} {since:?} {until:?} {query}");
        let after = place::from_token(&question, &request.page_token)?;
        let hits = or_default(request.limit, DEFAULT_HITS).min(MOST_HITS);
        let line = or_default(request.max_line_bytes, DEFAULT_LINE).min(MOST_LINE).min(HITS_BYTES / hits);
        Ok(Self {
            query,
            times: Times { since, until },
            order,
            limit: if request.count_only { 0 } else { hits as usize },
            after,
            before_lines: request.lines_before.min(MOST_CONTEXT) as usize,
            after_lines: request.lines_after.min(MOST_CONTEXT) as usize,
            line_bytes: line as usize,
            buckets: request.histogram_buckets.min(MOST_BUCKETS) as usize,
            split,
            question,
        })
    }
}

fn or_default(asked: u32, default: u32) -> u32 {
    if asked == 0 { default } else { asked }
}
