//! Random histories. `World` checks after every step that the counts are right, that the records alone would rebuild
//! the cluster, that ends never change, that no task runs twice at a time unless a worker stood still beyond its fence or
//! a person gave it up, that then the job says so, that nothing starts after a stop and that scheduling again finds
//! nothing.

use proptest::prelude::*;

use super::world::{Move, World};

fn step() -> impl Strategy<Value = Move> {
    let at = 0usize..3;
    let job = 0usize..20;
    prop_oneof![
        4 => (0usize..8).prop_map(Move::Submit),
        2 => (job.clone(), any::<bool>(), any::<bool>()).prop_map(|(job, kill, one)| Move::Stop(job, kill, one)),
        1 => job.clone().prop_map(Move::Retry),
        1 => job.clone().prop_map(Move::Delete),
        1 => (at.clone(), proptest::option::of(0u64..100)).prop_map(|(at, on)| Move::Drain(at, on)),
        1 => at.clone().prop_map(Move::DeleteNode),
        12 => at.clone().prop_map(Move::Deliver),
        12 => (at.clone(), job, 0u8..4).prop_map(|(at, which, code)| Move::Work(at, which, code)),
        1 => at.clone().prop_map(Move::Cut),
        2 => at.clone().prop_map(Move::Connect),
        1 => at.clone().prop_map(Move::Restart),
        1 => at.clone().prop_map(Move::Wipe),
        1 => (at.clone(), any::<bool>()).prop_map(|(at, on)| Move::Pause(at, on)),
        3 => prop_oneof![0u64..3000, 10_000u64..70_000].prop_map(Move::Pass),
        2 => (at, any::<bool>()).prop_map(|(at, ready)| Move::Heartbeat(at, ready)),
        1 => Just(Move::RestartCoordinator),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, max_shrink_iters: 4000, ..ProptestConfig::default() })]

    #[test]
    fn every_history_keeps_the_guarantees_and_ends(steps in proptest::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        for step in steps {
            world.play(step);
        }
        world.settle();
    }
}
