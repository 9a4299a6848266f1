//! Which segments are worth being merged into one.
//!
//! ```text
//!   a third of it was deleted           it is written anew, with others of the kind
//!   eight are about as full as another  they become one, in the next tier: each is eight times as full as the one below
//!   it is half full                     it stays as it is
//! ```
//!
//! So there are few small segments at any time, a byte is copied about five times in its life, and what was deleted takes
//! at most half as much again as what is kept.

use crate::limits;

/// What is known of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stock {
    /// Its bytes as stored.
    pub stored: u64,
    /// About how many of these are of what was deleted.
    pub dead: u64,
    /// Bytes of output in it that are wanted.
    pub output: u64,
    /// Its sections.
    pub sections: usize,
    /// Its frames.
    pub frames: usize,
}

/// Segments of a tier that become one.
pub const FAN: usize = 8;
/// Most bytes of output of what is merged.
pub const OUTPUT: u64 = (limits::FRAMES * limits::FRAME_TARGET) as u64;

/// What a full segment counts as.
const FULL: u64 = 1 << 20;

impl Stock {
    /// How full it is: the most that it takes of any bound.
    fn fill(&self) -> u64 {
        let part = |of: u64, all: u64| u64::try_from(u128::from(of) * u128::from(FULL) / u128::from(all));
        let parts = [
            part(self.output, OUTPUT),
            part(self.sections as u64, limits::SECTIONS as u64),
            part(self.frames as u64, limits::FRAMES as u64),
        ];
        parts.into_iter().map(|part| part.unwrap_or(u64::MAX)).max().unwrap_or(0).max(1)
    }

    /// How often eight like it are merged before what comes out is not any more.
    fn tier(&self) -> Option<u32> {
        let fill = self.fill();
        (fill <= FULL / 2).then(|| fill.ilog(FAN as u64))
    }

    /// Whether writing it anew gives enough bytes back.
    fn is_wasteful(&self) -> bool {
        self.dead > 0 && self.dead >= self.stored / 3
    }
}

/// The places in `segments`, the oldest of which comes first, of those to become one now; empty if all are well as they
/// are. Merging what is planned, again and again, comes to an end.
pub fn plan(segments: &[Stock]) -> Vec<usize> {
    let wasteful = places(segments, Stock::is_wasteful);
    if !wasteful.is_empty() {
        return that_fit(segments, wasteful);
    }
    let tiers = 0..=FULL.ilog(FAN as u64);
    let of_tier = |tier| places(segments, |stock| stock.tier() == Some(tier));
    let crowded = tiers.map(of_tier).find(|members| members.len() >= FAN);
    crowded.map(|members| that_fit(segments, members)).unwrap_or_default()
}

fn places(segments: &[Stock], is_wanted: impl Fn(&Stock) -> bool) -> Vec<usize> {
    segments.iter().enumerate().filter(|(_, stock)| is_wanted(stock)).map(|(place, _)| place).collect()
}

/// The first of `places`, and those of the others for which there is room beside it.
fn that_fit(segments: &[Stock], places: Vec<usize>) -> Vec<usize> {
    let mut room = FULL;
    let mut taken = Vec::new();
    for place in places {
        let fill = segments[place].fill();
        if taken.is_empty() || fill <= room {
            room = room.saturating_sub(fill);
            taken.push(place);
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What comes out of a merge: nothing dead, and at worst as many sections and frames as there were.
    fn merged(taken: &[Stock]) -> Stock {
        let sum = |of: fn(&Stock) -> u64| taken.iter().map(of).sum::<u64>();
        let count = |of: fn(&Stock) -> usize| taken.iter().map(of).sum::<usize>();
        Stock {
            stored: sum(|stock| stock.stored - stock.dead),
            dead: 0,
            output: sum(|stock| stock.output),
            sections: count(|stock| stock.sections),
            frames: count(|stock| stock.frames),
        }
    }

    fn stock() -> impl Strategy<Value = Stock> {
        let bytes = prop_oneof![0..200_000u64, 0..OUTPUT];
        let dead = prop_oneof![2 => Just(0), 1 => 0..=100u64];
        let sections = prop_oneof![1..50usize, 1..=limits::SECTIONS];
        (bytes, dead, sections, 1..=limits::FRAMES).prop_map(|(stored, dead, sections, frames)| Stock {
            stored,
            dead: stored * dead / 100,
            output: stored,
            sections,
            frames,
        })
    }

    proptest! {
        #[test]
        fn merging_what_is_planned_ends_with_few_small_segments_and_little_waste(
            mut segments in proptest::collection::vec(stock(), 0..120),
        ) {
            for _ in 0..2 * segments.len() {
                let planned = plan(&segments);
                if planned.is_empty() {
                    break;
                }
                prop_assert!(planned.is_sorted() && planned.iter().all(|place| *place < segments.len()));
                let taken: Vec<_> = planned.iter().rev().map(|place| segments.remove(*place)).collect();
                prop_assert!(taken.len() > 1 || taken[0].is_wasteful(), "nothing is gained");
                let fill: u64 = taken.iter().map(Stock::fill).sum();
                prop_assert!(taken.len() == 1 || fill <= FULL, "too much for one segment");
                segments.push(merged(&taken));
            }
            prop_assert_eq!(plan(&segments), Vec::<usize>::new(), "it comes to an end");
            prop_assert!(segments.iter().all(|stock| !stock.is_wasteful()));
            let small = segments.iter().filter(|stock| stock.tier().is_some()).count();
            prop_assert!(small <= (FAN - 1) * 7, "{} small segments are left", small);
        }
    }

    #[test]
    fn a_million_tiny_jobs_end_in_few_segments() {
        let mut segments = Vec::new();
        for _ in 0..1_000_000 / 50 {
            segments.push(Stock { stored: 4000, dead: 0, output: 5000, sections: 50, frames: 1 });
            while let planned = plan(&segments)
                && !planned.is_empty()
            {
                let taken: Vec<_> = planned.iter().rev().map(|place| segments.remove(*place)).collect();
                segments.push(Stock { frames: 1, ..merged(&taken) });
            }
        }
        assert!(segments.len() < 80, "{}", segments.len());
    }
}
