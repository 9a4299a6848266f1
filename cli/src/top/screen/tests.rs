use dockmgr_proto::v1::job::State;
use dockmgr_proto::v1::{EndedMinute, GetOverviewResponse, JobSpec, Node, Resources, node};
use ratatui::backend::TestBackend;
use ratatui::buffer::Cell;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;
use ratatui::{Terminal, buffer::Buffer};

use super::*;
use crate::top::keys::{Wish, press};

fn job(id: u64, name: &str, state: State) -> Job {
    let spec = JobSpec { name: name.to_owned(), ..JobSpec::default() };
    Job { id, state: state.into(), spec: Some(spec), ..Job::default() }
}

fn screen() -> Screen {
    let resources =
        |cpu_millis, memory_bytes| Some(Resources { cpu_millis, memory_bytes, ..Resources::default() });
    let node = |name: &str, state: node::State| Node {
        display_name: name.to_owned(),
        state: state.into(),
        used: resources(1000, 1 << 30),
        capacity: resources(4000, 4 << 30),
        attempts: 2,
        ..Node::default()
    };
    let minute = |failed| EndedMinute { succeeded: 4, failed, cancelled: 0 };
    let overview = GetOverviewResponse {
        running_tasks: 3,
        queued_tasks: 5,
        ended: vec![minute(0), minute(4)],
        ..GetOverviewResponse::default()
    };
    let facts = Facts {
        overview,
        nodes: vec![node("left", node::State::Ready), node("right\u{1b}]0;x\u{7}", node::State::Silent)],
        jobs: (1..=40).map(|id| job(id, "night\u{1b}[2J\u{202e}ly", State::Succeeded)).collect(),
        failed: vec![job(7, "broken", State::Failed)],
    };
    let mut screen = Screen::new("http://127.0.0.1:7443".to_owned(), true);
    screen.take(Ok(facts));
    screen
}

fn drawn(screen: &Screen, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("it cannot fail");
    terminal.draw(|frame| screen.draw(frame)).expect("it cannot fail");
    terminal.backend().buffer().clone()
}

/// What a person reads on a terminal of this size.
fn text(screen: &Screen, width: u16, height: u16) -> String {
    let buffer = drawn(screen, width, height);
    let rows = buffer.content().chunks(width.into());
    rows.map(|row| row.iter().map(Cell::symbol).collect::<String>() + "\n").collect()
}

fn pressed(screen: &mut Screen, code: KeyCode) -> Wish {
    press(screen, KeyEvent::new(code, KeyModifiers::NONE))
}

#[test]
fn everything_is_on_eighty_columns_and_twenty_four_rows() {
    let all = text(&screen(), 80, 24);
    for words in [
        "7443   live",
        "running 3",
        "queued 5",
        "nothing waits",
        "8 this minute, 12 this hour, 4 of them failed  ▄█",
    ] {
        assert!(all.contains(words), "{words} is missing:\n{all}");
    }
    for words in
        ["left", "2  ready", "##...... 1/4", "silent", "\n40 ", "night", "Enter describe", "newest", "? help"]
    {
        assert!(all.contains(words), "{words} is missing:\n{all}");
    }
    assert!(all.find("right") < all.find("left"), "what has a problem comes first:\n{all}");
}

#[test]
fn hostile_names_reach_no_terminal_raw() {
    let all = text(&screen(), 120, 40);
    assert!(!all.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{all}");
    assert!(all.contains("night^[[2J"), "they are shown:\n{all}");
}

#[test]
fn the_choice_moves_and_stays_with_its_job() {
    let mut screen = screen();
    assert_eq!(pressed(&mut screen, KeyCode::Enter), Wish::Describe(40));
    screen.move_by(3);
    assert_eq!(pressed(&mut screen, KeyCode::Char('l')), Wish::Output(37));
    let mut facts = screen.facts.clone();
    facts.jobs.push(job(41, "a new one", State::Active));
    screen.take(Ok(facts));
    assert_eq!(screen.chosen(), Some(37));
    pressed(&mut screen, KeyCode::End);
    assert!(text(&screen, 80, 24).contains("\n1 "), "the chosen one is in sight");
    pressed(&mut screen, KeyCode::Home);
    assert_eq!(screen.chosen(), Some(41));
    pressed(&mut screen, KeyCode::Char('f'));
    assert_eq!(screen.chosen(), Some(7));
}

#[test]
fn jobs_are_sorted_by_what_is_asked_for() {
    let mut screen = screen();
    let mut facts = screen.facts.clone();
    facts.jobs.push(job(3, "a", State::Active));
    screen.take(Ok(facts));
    let mut firsts = Vec::new();
    for key in ['r', 's', 's', 'r', 's', 'r'] {
        pressed(&mut screen, KeyCode::Char(key));
        pressed(&mut screen, KeyCode::Home);
        firsts.push((screen.order, screen.chosen().unwrap_or(0)));
    }
    let (newest, longest, name, state) = (Order::Newest, Order::Longest, Order::Name, Order::State);
    assert_eq!(firsts, [(newest, 1), (longest, 40), (name, 3), (name, 40), (state, 3), (state, 40)]);
}

#[test]
fn a_coordinator_that_is_away_is_told_and_what_was_known_stays() {
    let mut screen = screen();
    screen.take(Err("no answer".to_owned()));
    let all = text(&screen, 80, 24);
    assert!(all.contains("reconnecting, this is") && all.contains("old: no answer"), "{all}");
    assert!(all.contains("running 3"), "{all}");
    screen.take(Ok(Facts::default()));
    let all = text(&screen, 80, 24);
    assert!(all.contains("live") && all.contains("no worker is registered"), "{all}");
}

#[test]
fn help_and_a_page_lie_over_the_jobs_until_they_are_closed() {
    let mut screen = screen();
    screen.open_page((0..50).map(|line| format!("line {line}\n")).collect());
    pressed(&mut screen, KeyCode::PageDown);
    pressed(&mut screen, KeyCode::Char('?'));
    let all = text(&screen, 80, 24);
    assert!(
        all.contains("line 10 ") && !all.contains("line 9 ") && all.contains("takes the colours away"),
        "{all}"
    );
    assert_eq!(pressed(&mut screen, KeyCode::Esc), Wish::Nothing);
    assert_eq!(screen.chosen(), Some(40), "the page moved, not the choice");
    assert_eq!(pressed(&mut screen, KeyCode::Esc), Wish::Nothing);
    assert_eq!(pressed(&mut screen, KeyCode::Esc), Wish::Leave);
}

#[test]
fn no_size_and_no_facts_are_too_small() {
    for (width, height) in [(1, 1), (3, 2), (20, 5), (300, 100)] {
        for mut screen in [screen(), Screen::default()] {
            screen.turn_help();
            screen.open_page("a page".to_owned());
            assert_eq!(text(&screen, width, height).lines().count(), usize::from(height));
        }
    }
}

#[test]
fn without_colours_no_cell_has_one() {
    let colours = |screen: &Screen| {
        drawn(screen, 80, 24).content().iter().filter(|cell| cell.fg != Color::Reset).count()
    };
    let mut screen = screen();
    assert!(colours(&screen) > 0);
    screen.has_colours = false;
    assert_eq!(colours(&screen), 0);
}
