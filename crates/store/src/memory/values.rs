//! Values behind handles, and marks.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use crate::options::Options;
use crate::task::Owner;
use crate::time::Millis;
use crate::value::{NewValue, Replaced, Value, ValueId};

#[derive(Debug)]
struct Kept {
    value: Value,
    /// How long a look keeps it, if it slides.
    slides: Option<Duration>,
}

impl Kept {
    fn is_over(&self, now: Millis) -> bool {
        self.value.expires_at.is_some_and(|expires_at| expires_at <= now)
    }
}

/// The values.
#[derive(Debug, Default)]
pub(super) struct Values {
    kept: BTreeMap<ValueId, Kept>,
    ends: BTreeSet<(Millis, ValueId)>,
    owners: BTreeMap<Owner, BTreeSet<ValueId>>,
    bytes: u64,
}

impl Values {
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Stores a value if its owner has room for it.
    pub(super) fn put(&mut self, new: NewValue, now: Millis, options: &Options) -> bool {
        let version = self.alive(&new.id, now).map(|kept| kept.value.version);
        if version.is_none() && !self.has_room(&new.id.owner, now, options) {
            return false;
        }
        let expires_at = new.ttl.map(|ttl| now.after(ttl));
        let value = Value { text: new.text, version: version.unwrap_or(0) + 1, expires_at };
        let slides = new.ttl.filter(|_| new.sliding);
        self.take(&new.id);
        self.insert(new.id, Kept { value, slides });
        true
    }

    /// A value that is not over. One that slides begins its time anew.
    pub(super) fn look(&mut self, id: &ValueId, now: Millis) -> Option<Value> {
        self.alive(id, now)?;
        let mut kept = self.take(id)?;
        slide(&mut kept, now);
        let value = kept.value.clone();
        self.insert(id.clone(), kept);
        Some(value)
    }

    pub(super) fn replace(&mut self, id: ValueId, version: u64, text: String, now: Millis) -> Replaced {
        match self.alive(&id, now) {
            None => return Replaced::Gone,
            Some(kept) if kept.value.version != version => return Replaced::Changed,
            Some(_) => {}
        }
        let Some(mut kept) = self.take(&id) else { return Replaced::Gone };
        kept.value.text = text;
        kept.value.version += 1;
        slide(&mut kept, now);
        let version = kept.value.version;
        self.insert(id, kept);
        Replaced::Done(version)
    }

    pub(super) fn remove(&mut self, id: &ValueId, now: Millis) -> bool {
        self.take(id).is_some_and(|kept| !kept.is_over(now))
    }

    /// Deletes those that are over, at most so many. Gives how many they were.
    pub(super) fn sweep(&mut self, now: Millis, most: usize) -> u64 {
        let over = self.ends.iter().take_while(|(at, _)| *at <= now).take(most);
        let over: Vec<_> = over.map(|(_, id)| id.clone()).collect();
        for id in &over {
            self.take(id);
        }
        over.len() as u64
    }

    fn alive(&self, id: &ValueId, now: Millis) -> Option<&Kept> {
        self.kept.get(id).filter(|kept| !kept.is_over(now))
    }

    fn has_room(&self, owner: &Owner, now: Millis, options: &Options) -> bool {
        let Some(ids) = self.owners.get(owner).filter(|_| !owner.is_nobody()) else {
            return owner.is_nobody() || options.values_of_owner > 0;
        };
        ids.iter().filter(|id| self.alive(id, now).is_some()).count() < options.values_of_owner
    }

    fn insert(&mut self, id: ValueId, kept: Kept) {
        self.bytes += kept.value.text.len() as u64;
        if let Some(expires_at) = kept.value.expires_at {
            self.ends.insert((expires_at, id.clone()));
        }
        self.owners.entry(id.owner.clone()).or_default().insert(id.clone());
        self.kept.insert(id, kept);
    }

    fn take(&mut self, id: &ValueId) -> Option<Kept> {
        let kept = self.kept.remove(id)?;
        self.bytes -= kept.value.text.len() as u64;
        if let Some(expires_at) = kept.value.expires_at {
            self.ends.remove(&(expires_at, id.clone()));
        }
        if let Some(ids) = self.owners.get_mut(&id.owner) {
            ids.remove(id);
            if ids.is_empty() {
                self.owners.remove(&id.owner);
            }
        }
        Some(kept)
    }
}

fn slide(kept: &mut Kept, now: Millis) {
    if let Some(ttl) = kept.slides {
        kept.value.expires_at = Some(now.after(ttl));
    }
}

/// The digests of what was used.
#[derive(Debug, Default)]
pub(super) struct Marks {
    kept: HashMap<[u8; 32], Millis>,
    ends: BTreeSet<(Millis, [u8; 32])>,
}

impl Marks {
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    pub(super) fn mark(&mut self, digest: [u8; 32], keep: Duration, now: Millis) -> bool {
        match self.kept.get(&digest) {
            Some(until) if *until > now => return false,
            Some(until) => self.ends.remove(&(*until, digest)),
            None => false,
        };
        let until = now.after(keep);
        self.kept.insert(digest, until);
        self.ends.insert((until, digest));
        true
    }

    /// Forgets those whose time is over, at most so many. Gives how many they were.
    pub(super) fn sweep(&mut self, now: Millis, most: usize) -> u64 {
        let over = self.ends.iter().take_while(|(until, _)| *until <= now).take(most);
        let over: Vec<_> = over.copied().collect();
        for end in &over {
            self.ends.remove(end);
            self.kept.remove(&end.1);
        }
        over.len() as u64
    }
}
