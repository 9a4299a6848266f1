//! Whether what clients did and were told could have happened in one order: linearizability, one object at a time.
//!
//! Owns the search (Wing and Gong's, with Lowe's memory of what was tried) and knows nothing of what is searched: an
//! [`Automaton`] says what each operation may do. An operation without an answer may have happened at any time after it
//! was invoked, or never. Used by the simulation; a history of real processes is checked the same way.

use std::collections::BTreeSet;

/// Operations tried at most: a history that needs more is not decided.
const MOST_STEPS: usize = 2_000_000;

/// An object with states, and operations that show or change it.
pub trait Automaton {
    /// A state.
    type State: Clone + Ord;
    /// An operation with what its caller was told.
    type Act;
    /// The state after the operation; `None` if it could not have been told this in that state.
    fn after(state: &Self::State, act: &Self::Act) -> Option<Self::State>;
}

/// One operation of a history. Times are those of one clock; what ends at the time at which another begins is beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation<A> {
    /// When it was invoked.
    pub invoked: u64,
    /// When its answer came; `None` if none did.
    pub answered: Option<u64>,
    /// What it was, and what was told.
    pub act: A,
}

/// What a history is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// There is an order that explains it.
    Linearizable,
    /// There is none: at least this operation, by its place in order of invocation, could not be explained.
    Impossible(usize),
    /// The search was given up.
    Undecided,
}

/// Operations that are in order so far: all before `first`, and some of those after it.
type Done = (usize, BTreeSet<usize>);

/// Looks for an order of the operations that explains everything that was told.
pub fn check<T: Automaton>(start: &T::State, mut operations: Vec<Operation<T::Act>>) -> Verdict {
    operations.sort_by_key(|operation| operation.invoked);
    let mut tried: BTreeSet<(Done, T::State)> = BTreeSet::new();
    let mut open: Vec<(Done, T::State)> = vec![((0, BTreeSet::new()), start.clone())];
    let (mut furthest, mut steps) = (0, 0);
    while let Some((done, state)) = open.pop() {
        furthest = furthest.max(done.0);
        if is_over(&operations, &done) {
            return Verdict::Linearizable;
        }
        if !tried.insert((done.clone(), state.clone())) {
            continue;
        }
        // The first in order of invocation is tried first: it is pushed last.
        for at in candidates(&operations, &done).into_iter().rev() {
            steps += 1;
            if steps > MOST_STEPS {
                return Verdict::Undecided;
            }
            if let Some(after) = T::after(&state, &operations[at].act) {
                open.push((with(&done, at), after));
            }
        }
    }
    Verdict::Impossible(furthest)
}

/// Whether all that were answered are in order.
fn is_over<A>(operations: &[Operation<A>], (first, later): &Done) -> bool {
    let rest = operations.iter().enumerate().skip(*first);
    rest.filter(|(at, _)| !later.contains(at)).all(|(_, operation)| operation.answered.is_none())
}

/// Those that may come next: invoked before any other that is not in order was answered.
fn candidates<A>(operations: &[Operation<A>], (first, later): &Done) -> Vec<usize> {
    let mut found = Vec::new();
    let mut earliest = u64::MAX;
    for (at, operation) in operations.iter().enumerate().skip(*first) {
        if operation.invoked > earliest {
            break;
        }
        if !later.contains(&at) {
            found.push(at);
            earliest = earliest.min(operation.answered.unwrap_or(u64::MAX));
        }
    }
    found
}

fn with((first, later): &Done, at: usize) -> Done {
    let (mut first, mut later) = (*first, later.clone());
    later.insert(at);
    while later.remove(&first) {
        first += 1;
    }
    (first, later)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number that is set and read.
    struct Register;
    #[derive(Debug, Clone, PartialEq, Eq)]
    enum Act {
        Set(u32),
        Read(u32),
    }
    impl Automaton for Register {
        type State = u32;
        type Act = Act;
        fn after(state: &u32, act: &Act) -> Option<u32> {
            match act {
                Act::Set(value) => Some(*value),
                Act::Read(value) => (value == state).then_some(*state),
            }
        }
    }

    fn op(invoked: u64, answered: u64, act: Act) -> Operation<Act> {
        Operation { invoked, answered: Some(answered), act }
    }

    #[test]
    fn operations_that_overlap_may_come_in_either_order() {
        let both = |first, second| {
            check::<Register>(
                &0,
                vec![op(0, 9, Act::Set(1)), op(1, 3, Act::Read(first)), op(4, 6, Act::Read(second))],
            )
        };
        assert_eq!(both(0, 1), Verdict::Linearizable);
        assert_eq!(both(1, 1), Verdict::Linearizable);
        assert_eq!(both(0, 0), Verdict::Linearizable);
        assert_eq!(both(1, 0), Verdict::Impossible(2), "what was seen is not unseen");
    }

    #[test]
    fn a_read_after_an_answer_shows_it() {
        let history = vec![op(0, 1, Act::Set(1)), op(2, 3, Act::Read(0))];
        assert_eq!(check::<Register>(&0, history), Verdict::Impossible(1));
    }

    #[test]
    fn without_an_answer_it_happened_late_or_never() {
        let unknown = Operation { invoked: 0, answered: None, act: Act::Set(1) };
        let read = |at, value| op(at, at + 1, Act::Read(value));
        for history in [vec![], vec![read(5, 0)], vec![read(5, 0), read(8, 1)], vec![read(5, 1)]] {
            let history = [vec![unknown.clone()], history].concat();
            assert_eq!(check::<Register>(&0, history), Verdict::Linearizable);
        }
        let back = vec![unknown, read(5, 1), read(8, 0)];
        assert_eq!(check::<Register>(&0, back), Verdict::Impossible(2));
    }

    #[test]
    fn a_long_history_of_many_at_once_is_decided() {
        let writes = (0..200u32).map(|n| op(u64::from(n) * 10, u64::from(n) * 10 + 25, Act::Set(n)));
        let reads = (0..200u32).map(|n| op(u64::from(n) * 10 + 26, u64::from(n) * 10 + 27, Act::Read(n)));
        // A read sees the write that was answered just before it, or one that was under way.
        assert_eq!(check::<Register>(&0, writes.chain(reads).collect()), Verdict::Linearizable);
    }
}
