//! Tasks that wait for a worker, so that whose they are and of which tool takes turns.

use std::collections::{BTreeMap, BTreeSet};

use crate::task::{Owner, TaskId};

/// When a task's turn comes: by the turn, then in the order in which tasks became queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    turn: u64,
    order: u64,
}

/// Whose tasks, and of which tool: the lanes take turns.
type Lane = (Owner, String);

/// The tasks that wait, by lane and by tool.
#[derive(Debug, Default)]
pub(super) struct Queue {
    order: u64,
    waiting: BTreeSet<Place>,
    lanes: BTreeMap<Lane, BTreeSet<Place>>,
    tools: BTreeMap<String, BTreeMap<Place, TaskId>>,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// A place at the end of its lane, which is where the queue is now if nothing else of the lane waits.
    pub(super) fn push(&mut self, owner: &Owner, tool: &str, id: &TaskId) -> Place {
        let first = self.waiting.first().map_or(0, |place| place.turn);
        let lane = self.lanes.entry((owner.clone(), tool.to_owned())).or_default();
        let turn = lane.last().map_or(first, |last| last.turn + 1);
        let place = Place { turn, order: self.order };
        self.order += 1;
        lane.insert(place);
        self.waiting.insert(place);
        self.tools.entry(tool.to_owned()).or_default().insert(place, id.clone());
        place
    }

    pub(super) fn remove(&mut self, owner: &Owner, tool: &str, place: Place) {
        self.waiting.remove(&place);
        let lane = (owner.clone(), tool.to_owned());
        if let Some(places) = self.lanes.get_mut(&lane) {
            places.remove(&place);
            if places.is_empty() {
                self.lanes.remove(&lane);
            }
        }
        if let Some(places) = self.tools.get_mut(tool) {
            places.remove(&place);
            if places.is_empty() {
                self.tools.remove(tool);
            }
        }
    }

    /// The task of one of these tools whose turn comes first.
    pub(super) fn first(&self, tools: &[String]) -> Option<TaskId> {
        let heads = tools.iter().filter_map(|tool| self.tools.get(tool)?.first_key_value());
        heads.min_by_key(|(place, _)| **place).map(|(_, id)| id.clone())
    }
}
