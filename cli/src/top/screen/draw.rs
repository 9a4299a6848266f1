//! How a screen is drawn. Foreign text (names, commands, messages) was made harmless before it gets here, or is here.

use dockmgr_proto::v1::{GetOverviewResponse, Node, Resources};
use dockmgr_support::clock;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Row as Cells, Table, TableState, Wrap};

use super::{Screen, Shown};
use crate::output::{self, Row as _};
use crate::terminal::escape_line;
use crate::top::keys::HELP;

/// Cells of a bar.
const BAR: usize = 8;
/// Most lines of workers; the others are counted. Those with a problem come first.
const MOST_NODES: usize = 8;
/// Heights of a minute in the row of throughput.
const HEIGHTS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);

/// Draws all of it.
pub(super) fn everything(screen: &Screen, frame: &mut Frame<'_>) {
    let shown = screen.facts.nodes.len().min(MOST_NODES);
    let nodes = u16::try_from(shown + 2).unwrap_or(u16::MAX);
    let parts = [Constraint::Length(4), Constraint::Length(nodes), Constraint::Min(3), Constraint::Length(1)];
    let [title, nodes, jobs, bottom] = Layout::vertical(parts).areas(frame.area());
    frame.render_widget(Paragraph::new(head(screen)), title);
    frame.render_widget(Paragraph::new(workers(screen)), nodes);
    draw_jobs(screen, frame, jobs);
    frame.render_widget(Paragraph::new(keys(screen)), bottom);
    if let Some((text, first)) = &screen.page {
        let lines: Vec<Line<'_>> = text.lines().skip(*first).map(Line::from).collect();
        let [_, area, _] =
            Layout::vertical([Constraint::Length(2), Constraint::Min(3), Constraint::Length(1)])
                .areas(frame.area());
        over(frame, area, lines, " Esc goes back ");
    }
    if screen.has_help {
        let height = u16::try_from(HELP.len() + 2).unwrap_or(u16::MAX);
        let area = frame.area().centered(Constraint::Length(58), Constraint::Length(height));
        over(frame, area, HELP.map(Line::from).to_vec(), " keys ");
    }
}

fn over(frame: &mut Frame<'_>, area: Rect, lines: Vec<Line<'_>>, title: &'static str) {
    frame.render_widget(Clear, area);
    let page = Paragraph::new(lines).wrap(Wrap { trim: false }).block(Block::bordered().title(title));
    frame.render_widget(page, area);
}

fn head(screen: &Screen) -> Vec<Line<'static>> {
    let overview = &screen.facts.overview;
    vec![
        Line::from(vec![
            Span::styled("dockmgr ", BOLD),
            Span::raw(escape_line(&screen.server)),
            Span::raw("   "),
            link(screen),
        ]),
        Line::from(format!(
            "tasks    running {}  starting {}  queued {}  unknown {}   {}",
            overview.running_tasks,
            overview.starting_tasks,
            overview.queued_tasks,
            overview.unknown_tasks,
            queue(overview)
        )),
        throughput(overview),
    ]
}

/// Whether what is shown is how it is now.
fn link(screen: &Screen) -> Span<'static> {
    match (&screen.problem, screen.read_millis) {
        (None, None) => Span::raw("connecting"),
        (None, Some(_)) => Span::styled("live", colour(screen, Color::Green)),
        (Some(problem), read) => {
            let old = read.map_or_else(String::new, |read| {
                let millis = u64::try_from(clock::wall_millis().saturating_sub(read)).unwrap_or(0);
                let old = output::duration(std::time::Duration::from_millis(millis));
                format!(", this is {old} old")
            });
            let text = format!("reconnecting{old}: {}", escape_line(problem));
            Span::styled(text, colour(screen, Color::Red).add_modifier(Modifier::BOLD))
        }
    }
}

/// How long the oldest waits, and for what.
fn queue(overview: &GetOverviewResponse) -> String {
    let Some(oldest) = &overview.oldest_queued_time else { return "nothing waits".to_owned() };
    let room = match (overview.no_room_jobs, overview.no_node_jobs) {
        (_, none @ 1..) => format!("; {none} jobs fit no worker"),
        (some @ 1.., 0) => format!("; {some} jobs wait for room"),
        (0, 0) => String::new(),
    };
    format!("the oldest waits {}{room}", output::age(Some(oldest)))
}

/// How many jobs ended in each minute of the last hour.
fn throughput(overview: &GetOverviewResponse) -> Line<'static> {
    let minutes = overview.ended.iter().map(|minute| minute.succeeded + minute.failed + minute.cancelled);
    let minutes: Vec<u32> = minutes.collect();
    let most = minutes.iter().copied().max().unwrap_or(0).max(1);
    let row: String = minutes
        .iter()
        .map(|count| {
            let height = (u64::from(*count) * 8).div_ceil(u64::from(most));
            usize::try_from(height).ok().and_then(|height| HEIGHTS.get(height)).copied().unwrap_or(' ')
        })
        .collect();
    let sum: u64 = minutes.iter().copied().map(u64::from).sum();
    let failed: u64 = overview.ended.iter().map(|minute| u64::from(minute.failed)).sum();
    let last = minutes.last().copied().unwrap_or(0);
    Line::from(format!("ended    {last} this minute, {sum} this hour, {failed} of them failed  {row}"))
}

fn workers(screen: &Screen) -> Vec<Line<'static>> {
    let head = "WORKER           CPU                MEMORY                  RUNS  STATE";
    let mut nodes: Vec<&Node> = screen.facts.nodes.iter().collect();
    nodes.sort_by_key(|node| node.state() == dockmgr_proto::v1::node::State::Ready && !node.draining);
    let more = nodes.len().saturating_sub(MOST_NODES);
    let rest = match (nodes.len(), more) {
        (0, _) if screen.read_millis.is_some() => "no worker is registered".to_owned(),
        (_, 0) => String::new(),
        (_, more) => format!("and {more} more"),
    };
    let rows = nodes.into_iter().take(MOST_NODES).map(|node| worker(screen, node));
    [Line::styled(head, BOLD)].into_iter().chain(rows).chain([Line::from(rest)]).collect()
}

fn worker(screen: &Screen, node: &Node) -> Line<'static> {
    let cells = node.cells(false);
    let cell = |at: usize| cells.get(at).cloned().unwrap_or_default();
    let none = Resources::default();
    let (used, has) = (node.used.as_ref().unwrap_or(&none), node.capacity.as_ref().unwrap_or(&none));
    Line::from(vec![
        Span::raw(format!("{:<16.16} ", cell(0))),
        bar(screen, used.cpu_millis, has.cpu_millis),
        Span::raw(format!(" {:<9.9} ", cell(2))),
        bar(screen, used.memory_bytes, has.memory_bytes),
        Span::raw(format!(" {:<14.14} {:>4}  ", cell(3), cell(4))),
        Span::styled(cell(1), of_state(screen, &cell(1))),
    ])
}

/// How much of something is held: something is never nothing, and only all is full.
fn bar(screen: &Screen, used: i64, has: i64) -> Span<'static> {
    let most = i64::try_from(BAR).unwrap_or(0);
    let cells = if has > 0 { used.saturating_mul(most) / has } else { 0 };
    let least = i64::from(used > 0);
    let full = usize::try_from(cells.clamp(least, most)).unwrap_or(0);
    let hue = if full == BAR { Color::Yellow } else { Color::Green };
    Span::styled(format!("{}{}", "#".repeat(full), ".".repeat(BAR - full)), colour(screen, hue))
}

fn draw_jobs(screen: &Screen, frame: &mut Frame<'_>, area: Rect) {
    let kind = match screen.shown {
        Shown::All => "JOB",
        Shown::Failed => "FAILED",
    };
    let head = [kind, "NAME", "STATE", "EXIT", "TASKS", "AGE", "RAN", "COMMAND"];
    let rows = screen.jobs().iter().map(|job| {
        let cells = job.cells(false);
        let style = cells.get(2).map(|state| of_state(screen, state)).unwrap_or_default();
        Cells::new(cells).style(style)
    });
    let is_array = screen.jobs().iter().any(|job| job.spec.as_ref().is_some_and(|spec| spec.array.is_some()));
    let tasks = if is_array { 24 } else { 6 };
    let widths = [8, 18, 10, 5, tasks, 6, 6].map(Constraint::Length).into_iter().chain([Constraint::Min(8)]);
    let table = Table::new(rows, widths)
        .header(Cells::new(head).style(BOLD))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = TableState::default().with_selected(Some(screen.place()));
    frame.render_stateful_widget(table, area, &mut state);
}

fn keys(screen: &Screen) -> Line<'static> {
    let order = format!("{}{}", screen.order.word(), if screen.is_turned { " reversed" } else { "" });
    let kind = match screen.shown {
        Shown::All => "failed",
        Shown::Failed => "all jobs",
    };
    let all = [
        ("q", "quit"),
        ("↑↓", "choose"),
        ("Enter", "describe"),
        ("l", "logs"),
        ("s", &order),
        ("f", kind),
        ("?", "help"),
    ];
    let words =
        |(key, does): (&str, &str)| [Span::styled(format!(" {key}"), BOLD), Span::raw(format!(" {does} "))];
    all.into_iter().flat_map(words).collect()
}

fn of_state(screen: &Screen, state: &str) -> Style {
    match state.split([' ', ',']).next().unwrap_or_default() {
        "failed" | "lost" | "silent" | "unknown" => colour(screen, Color::Red),
        "not_ready" | "queued" | "cancelled" => colour(screen, Color::Yellow),
        "running" => colour(screen, Color::Green),
        _ => Style::new(),
    }
}

fn colour(screen: &Screen, colour: Color) -> Style {
    if screen.has_colours { Style::new().fg(colour) } else { Style::new() }
}
