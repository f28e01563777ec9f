//! The places whose strings are edited.

use std::sync::Arc;

use crate::scan::{Kind, Str};

/// How many containers a path may go through.
const DEPTH: usize = 12;

/// Why a path cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A part between two dots has no name.
    #[error("a part of the path is empty")]
    Empty,
    /// A bracket that is not part of `[]` at the end of a part.
    #[error("`[]` stands for every item, and may only follow a name")]
    Bracket,
    /// More parts than any message has levels that matter.
    #[error("the path has more than 12 parts")]
    Deep,
}

/// A set of places in a message, each a path such as `params.name` or `result.contents[].uri`, where `[]` stands
/// for every item of an array. A rule is told by its index among the paths. Clones share what they hold.
#[derive(Debug, Clone)]
pub struct Rules {
    nodes: Arc<[Node]>,
}

/// A value on the way of a path, or at its end.
#[derive(Debug, Default)]
struct Node {
    rule: Option<usize>,
    items: Option<Place>,
    members: Vec<(Box<str>, Place)>,
}

/// A node, by its index. The first is the message itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place(usize);

/// An entered container, by what is known of what is in it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Container {
    /// An object, whose members are looked up at a place.
    Object(Place),
    /// An array, whose items are all at one place.
    Array(Place),
}

/// The way from the message to the container that was entered last.
#[derive(Debug, Default)]
pub(super) struct Way {
    containers: [Option<Container>; DEPTH],
    length: usize,
}

impl Rules {
    /// The rules for these paths. A path that stands twice has the index of the last.
    ///
    /// # Errors
    /// If a path cannot be read.
    pub fn new<'p>(paths: impl IntoIterator<Item = &'p str>) -> Result<Self, PathError> {
        let mut nodes = vec![Node::default()];
        for (rule, path) in paths.into_iter().enumerate() {
            let place = extend(&mut nodes, path)?;
            nodes[place.0].rule = Some(rule);
        }
        Ok(Self { nodes: nodes.into() })
    }

    /// The rule for the string at a place.
    pub(super) fn rule(&self, place: Place) -> Option<usize> {
        self.nodes[place.0].rule
    }

    /// The container that a value of this kind is, if one that is on the way of a path.
    pub(super) fn container(&self, place: Place, kind: Kind) -> Option<Container> {
        let node = &self.nodes[place.0];
        match kind {
            Kind::Object => (!node.members.is_empty()).then_some(Container::Object(place)),
            Kind::Array => node.items.map(Container::Array),
            Kind::Null | Kind::Bool | Kind::Number | Kind::String => None,
        }
    }

    /// The place of the member that `key` names, escaped or not, if that is on the way of a path.
    pub(super) fn member(&self, place: Place, key: Str<'_>) -> Option<Place> {
        self.nodes[place.0].members.iter().find(|(name, _)| key.is(name)).map(|(_, place)| *place)
    }
}

/// Adds the nodes of a path, and gives the place of the last.
fn extend(nodes: &mut Vec<Node>, path: &str) -> Result<Place, PathError> {
    let (mut place, mut depth) = (Place::default(), 0);
    for part in path.split('.') {
        let name = part.trim_end_matches("[]");
        if name.contains(['[', ']']) {
            return Err(PathError::Bracket);
        }
        if name.is_empty() {
            return Err(PathError::Empty);
        }
        place = member_or_new(nodes, place, name);
        let arrays = (part.len() - name.len()) / 2;
        for _ in 0..arrays {
            place = items_or_new(nodes, place);
        }
        depth += 1 + arrays;
    }
    if depth > DEPTH { Err(PathError::Deep) } else { Ok(place) }
}

fn member_or_new(nodes: &mut Vec<Node>, place: Place, name: &str) -> Place {
    let known = nodes[place.0].members.iter().find(|(known, _)| **known == *name);
    if let Some((_, place)) = known {
        return *place;
    }
    let new = new_place(nodes);
    nodes[place.0].members.push((name.into(), new));
    new
}

fn items_or_new(nodes: &mut Vec<Node>, place: Place) -> Place {
    if let Some(items) = nodes[place.0].items {
        return items;
    }
    let new = new_place(nodes);
    nodes[place.0].items = Some(new);
    new
}

fn new_place(nodes: &mut Vec<Node>) -> Place {
    nodes.push(Node::default());
    Place(nodes.len() - 1)
}

impl Way {
    /// Goes into a container. No path goes through more of them than fit.
    pub(super) fn enter(&mut self, container: Container) {
        if let Some(next) = self.containers.get_mut(self.length) {
            *next = Some(container);
            self.length += 1;
        }
    }

    /// Goes out of it.
    pub(super) const fn leave(&mut self) {
        self.length = self.length.saturating_sub(1);
    }

    /// The container where it is; `None` around the message.
    pub(super) fn here(&self) -> Option<Container> {
        self.containers.get(self.length.checked_sub(1)?).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_paths_that_lead_nowhere() {
        for (path, error) in [
            ("", PathError::Empty),
            ("a..b", PathError::Empty),
            ("a.[]", PathError::Empty),
            ("a[0]", PathError::Bracket),
            ("a[]b", PathError::Bracket),
            ("a.b.c.d.e.f.g.h.i.j.k[][]", PathError::Deep),
        ] {
            assert_eq!(Rules::new([path]).unwrap_err(), error, "{path}");
        }
        assert!(Rules::new(["a.b.c.d.e.f.g.h.i.j.k[]", "params.name"]).is_ok());
    }
}
