//! The order in which jobs are considered, and the shapes they have.
//!
//! A job is in the queue while one of its tasks could be placed if there were room. Within a shape jobs stand in
//! order; across shapes the heads do. So an event costs what the number of shapes costs, never what is queued.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::Shape;
use crate::ids::JobId;

/// Where a job stands: larger priority first, then the older one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    priority: Reverse<i32>,
    job: JobId,
}

impl Place {
    /// The place of a job.
    pub fn new(priority: i32, job: JobId) -> Self {
        Self { priority: Reverse(priority), job }
    }

    /// Which job stands here.
    pub fn job(self) -> JobId {
        self.job
    }
}

/// Names a shape while a job has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShapeId(u64);

/// The queue of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Queue {
    next_shape: u64,
    ids: BTreeMap<Shape, ShapeId>,
    rows: BTreeMap<ShapeId, Row>,
    all: BTreeSet<Place>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    shape: Shape,
    /// Jobs that have the shape and have not ended, queued or not.
    holders: u64,
    places: BTreeSet<Place>,
}

impl Queue {
    /// Notes that a job has this shape, until [`Queue::release`].
    pub fn hold(&mut self, shape: Shape) -> ShapeId {
        if let Some(id) = self.ids.get(&shape) {
            let row = self.rows.get_mut(id).expect("every id has a row");
            row.holders += 1;
            return *id;
        }
        let id = ShapeId(self.next_shape);
        self.next_shape += 1;
        self.ids.insert(shape.clone(), id);
        self.rows.insert(id, Row { shape, holders: 1, places: BTreeSet::new() });
        id
    }

    /// Takes back one [`Queue::hold`]; the last one forgets the shape.
    pub fn release(&mut self, id: ShapeId) {
        let Some(row) = self.rows.get_mut(&id) else { return };
        row.holders = row.holders.saturating_sub(1);
        if row.holders == 0
            && let Some(row) = self.rows.remove(&id)
        {
            self.ids.remove(&row.shape);
            for place in row.places {
                self.all.remove(&place);
            }
        }
    }

    /// Puts a job in or takes it out; says whether it was put in just now.
    pub fn set(&mut self, id: ShapeId, place: Place, queued: bool) -> bool {
        let Some(row) = self.rows.get_mut(&id) else { return false };
        if queued {
            self.all.insert(place);
            row.places.insert(place)
        } else {
            self.all.remove(&place);
            row.places.remove(&place);
            false
        }
    }

    /// A shape that a job holds.
    pub fn shape(&self, id: ShapeId) -> Option<&Shape> {
        self.rows.get(&id).map(|row| &row.shape)
    }

    /// The first job of a shape.
    pub fn head(&self, id: ShapeId) -> Option<Place> {
        self.rows.get(&id).and_then(|row| row.places.first().copied())
    }

    /// Every shape of which something is queued, with its first job.
    pub fn heads(&self) -> impl Iterator<Item = (Place, ShapeId)> + '_ {
        self.rows.iter().filter_map(|(id, row)| row.places.first().map(|place| (*place, *id)))
    }

    /// Every shape of which something is queued, with the number of its queued jobs.
    pub fn shapes(&self) -> impl Iterator<Item = (&Shape, u64)> + '_ {
        self.rows.values().map(|row| (&row.shape, row.places.len() as u64)).filter(|(_, jobs)| *jobs > 0)
    }

    /// The first job of each priority. Costs the number of priorities in use.
    pub fn first_of_each_priority(&self) -> impl Iterator<Item = Place> + '_ {
        let mut next = self.all.first().copied();
        std::iter::from_fn(move || {
            let place = next?;
            let last = Place { job: JobId::MAX, ..place };
            next = self.all.range((Bound::Excluded(last), Bound::Unbounded)).next().copied();
            Some(place)
        })
    }

    /// How many jobs stand before this place and at it, at most `most`; 0 if nobody stands there.
    /// Costs what it counts.
    pub fn position(&self, place: Place, most: usize) -> u64 {
        if !self.all.contains(&place) {
            return 0;
        }
        self.all.range(..=place).take(most).count() as u64
    }

    /// Whether a job stands here.
    pub fn contains(&self, place: Place) -> bool {
        self.all.contains(&place)
    }

    /// How many jobs are queued.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether no job is queued.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}
