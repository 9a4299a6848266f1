//! Counting, and whose place is taken.

use std::net::Ipv4Addr;
use std::task::Waker;

use super::*;

const FAR: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const FARTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn admission(total: usize, per_address: usize) -> Admission {
    Admission::new(Allowed { total, per_address })
}

fn is_cut(place: &Place) -> bool {
    place.peer().is_cut(&Context::from_waker(Waker::noop()))
}

#[test]
fn the_oldest_that_did_not_pass_the_gate_makes_room() {
    let admission = admission(2, 2);
    let first = admission.admit(HERE).expect("room");
    let second = admission.admit(HERE).expect("room");
    first.peer().called();
    second.peer().trust(false);
    let third = admission.admit(HERE).expect("takes the place of the first");
    assert!(is_cut(&first) && !is_cut(&second));
    third.peer().trust(false);
    assert_eq!(admission.admit(HERE).err(), Some(Refused::Full), "the trusted keep their places");
    drop(first);
    assert_eq!(admission.total(), 2, "a place is given back once");
    drop((second, third));
    assert_eq!(admission.total(), 0);
}

#[test]
fn one_address_cannot_take_the_places_of_others() {
    let admission = admission(10, 2);
    let other = admission.admit(FARTHER).expect("room");
    let mine: Vec<Place> = (0..5).map(|_| admission.admit(FAR).expect("takes its own oldest")).collect();
    assert!(!is_cut(&other));
    assert_eq!(mine.iter().filter(|place| !is_cut(place)).count(), 2);
    for place in &mine {
        place.peer().trust(false);
    }
    assert_eq!(admission.admit(FAR).err(), Some(Refused::Address));
    drop(mine);
    assert!(admission.admit(FAR).is_ok());
    assert!(lock(&admission.counts).per_address.len() <= 1, "addresses that left are forgotten");
}

#[test]
fn loopback_and_those_who_speak_for_others_are_not_counted_by_address() {
    let admission = admission(10, 1);
    let here: Vec<Place> = (0..4).map(|_| admission.admit(HERE).expect("room")).collect();
    assert!(here.iter().all(|place| !is_cut(place)));
    let forwarding = admission.admit(FAR).expect("room");
    forwarding.peer().trust(true);
    let next = admission.admit(FAR).expect("the forwarding one is not counted");
    assert!(!is_cut(&forwarding) && !is_cut(&next));
    drop((forwarding, next));
    assert!(lock(&admission.counts).per_address.is_empty());
    assert_eq!(admission.total(), 4);
}
