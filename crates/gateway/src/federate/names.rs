//! Public names of tools and prompts: which upstream's tool a name is, and what it is called there.
//!
//! A tool has up to two public forms, each of which follows from its upstream and its own name alone:
//! - *bare*: its own name;
//! - *prefixed*: `UPSTREAM` + delimiter + its own name. The first delimiter in it ends the name of the upstream, as
//!   [`is_delimiter`] demands, so that prefixed forms of different upstreams differ, and say whose they are by themselves.
//!
//! A form that is longer than allowed is cut, and ends with `_` and a hash over upstream and own name. A form that happens
//! to look as if it had been cut is cut as well, so that a cut form is never somebody's own name by accident or by malice.
//!
//! With [`Prefix::Collisions`] the bare form is public, unless several tools claim it or it begins like a prefixed one of any
//! upstream. So no bare form is another's prefixed one, whatever upstreams call their tools. The prefixed form goes on to
//! resolve where the bare one is public: a client that has an older list, from when another upstream had the name too,
//! still calls the right tool. The bare form of a tool whose prefixed form is public resolves to nothing.
//!
//! Which form is public depends on the sets of names alone, not on the order in which pages came, so that replicas agree.
//!
//! Spec: server/tools, "Tool Names".

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use anypod_proto::seal::digest;
use foldhash::quality::RandomState;

use super::Upstreams;
use crate::config::{Names, Prefix};

/// `_` and the hash.
const TAIL: usize = 1 + HASH_DIGITS;
const HASH_DIGITS: usize = 8;

/// Whether names of that upstream end at the first `delimiter`, wherever they stand in front of one. Says no of what is
/// empty, of what is part of the upstream's name, and of the rare case that the end of the name and the beginning of the
/// delimiter are alike, such as `a-` before `--`.
pub(crate) fn is_delimiter(delimiter: &str, upstream: &str) -> bool {
    format!("{upstream}{delimiter}").find(delimiter) == Some(upstream.len())
}

/// The smallest bound of names, in characters, that leaves room for the longest prefix, a character of the name and the
/// hash. A smaller one counts as this.
pub(crate) fn least_longest(upstreams: &Upstreams, names: &Names) -> usize {
    let prefix = match names.prefix {
        Prefix::Never => 0,
        Prefix::Collisions | Prefix::Always => {
            let longest = upstreams.names().iter().map(|name| name.chars().count()).max();
            longest.unwrap_or(0) + names.delimiter.chars().count()
        }
    };
    prefix + 1 + TAIL
}

/// How the names of a route's upstreams are kept apart. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Naming {
    upstreams: Upstreams,
    prefix: Prefix,
    delimiter: Arc<str>,
    longest: Option<usize>,
}

impl Naming {
    /// The naming that the configuration asks for.
    pub(crate) fn new(upstreams: &Upstreams, names: &Names) -> Self {
        Self {
            upstreams: upstreams.clone(),
            prefix: names.prefix,
            delimiter: names.delimiter.as_str().into(),
            longest: names.longest.map(|longest| longest.max(least_longest(upstreams, names))),
        }
    }

    /// The upstreams whose names these are.
    pub(crate) const fn upstreams(&self) -> &Upstreams {
        &self.upstreams
    }

    /// The form without the upstream.
    fn bare<'a>(&self, upstream: usize, own: &'a str) -> Cow<'a, str> {
        self.cut(upstream, own, Cow::Borrowed(own), 0)
    }

    /// The form with the upstream in front.
    fn prefixed(&self, upstream: usize, own: &str) -> String {
        let front = format!("{}{}", self.upstreams.names()[upstream], self.delimiter);
        self.cut(upstream, own, Cow::Owned(format!("{front}{own}")), front.chars().count()).into_owned()
    }

    /// `form`, cut if need be. What is left of the own name, behind `kept` characters, then has only the characters that the
    /// specification recommends: some clients refuse or replace others, and the hash tells such names apart.
    fn cut<'a>(&self, upstream: usize, own: &str, form: Cow<'a, str>, kept: usize) -> Cow<'a, str> {
        let Some(longest) = self.longest else { return form };
        if form.chars().count() <= longest && !self.looks_cut(&form) {
            return form;
        }
        let upstream = self.upstreams.names()[upstream].as_bytes();
        let [a, b, c, d, ..] = digest(&[upstream, own.as_bytes()]);
        let recommended = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-' | '.');
        let stem = form.chars().enumerate().take(longest - TAIL);
        // A form that is shorter than the stem does not come here: it has at least the length of what looks cut.
        let stem: String = stem.map(|(at, char)| if at < kept || recommended(char) { char } else { '_' }).collect();
        Cow::Owned(format!("{stem}_{a:02x}{b:02x}{c:02x}{d:02x}"))
    }

    /// Whether `form` has the length and the end of what was cut.
    fn looks_cut(&self, form: &str) -> bool {
        let is_hash = |digits: &[u8]| digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        let Some((_, [b'_', digits @ ..])) = form.as_bytes().split_last_chunk::<TAIL>() else { return false };
        is_hash(digits) && Some(form.chars().count()) == self.longest
    }

    /// Whose a name is by its prefix, and what follows.
    fn split<'a>(&self, public: &'a str) -> Option<(usize, &'a str)> {
        match self.prefix {
            Prefix::Never => None,
            Prefix::Collisions | Prefix::Always => {
                let (upstream, rest) = public.split_once(&*self.delimiter)?;
                Some((self.upstreams.place(upstream)?, rest))
            }
        }
    }
}

/// Whose a public name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resolved<'a> {
    /// It is in the list of this upstream.
    Known {
        /// The place of the upstream.
        upstream: usize,
        /// What it is called there.
        own: &'a str,
    },
    /// Its prefix says whose it would be, but that list is not known, so there may be no such thing.
    Prefixed {
        /// The place of the upstream.
        upstream: usize,
        /// What it would be called there.
        own: &'a str,
    },
    /// Its prefix says whose it would be, but it was cut: what it is called there only that list says, which is not known.
    Cut {
        /// The place of the upstream.
        upstream: usize,
    },
    /// It is nobody's, as far as the lists are known.
    Unknown,
}

/// Places in a list of tools by name. Every call looks one up; the hash is seeded, as upstreams choose the names.
type Places = HashMap<Arc<str>, usize, RandomState>;

/// The names of all upstreams, as far as their lists are known, made for looking up: that takes the same time however many
/// there are.
///
/// With [`Prefix::Never`], of several the first upstream *whose list is known* has the name. So while an upstream is away
/// and its last list forgotten, a later one may stand in for it under the same name.
#[derive(Debug)]
pub(crate) struct Directory {
    naming: Naming,
    tools: Vec<Named>,
    /// Public forms, and other forms that resolve, to places in `tools`.
    by_public: Places,
    /// By upstream: own names to places in `tools`. `None` where the list is not known.
    by_own: Vec<Option<Places>>,
}

#[derive(Debug)]
struct Named {
    upstream: usize,
    own: Arc<str>,
    /// `None` if it is hidden.
    public: Option<Arc<str>>,
}

impl Directory {
    /// Decides the names. `lists` has the own names of each upstream, in the order of the route and for all of its pages;
    /// `None` where they are not known. A name that one upstream lists twice counts once.
    pub(crate) fn new<S: AsRef<str>>(naming: &Naming, lists: &[Option<Vec<S>>]) -> Self {
        let mut directory =
            Self { naming: naming.clone(), tools: Vec::new(), by_public: Places::default(), by_own: Vec::new() };
        for upstream in 0..naming.upstreams.names().len() {
            let list = lists.get(upstream).and_then(Option::as_ref);
            let own_names = list.map(|names| directory.add(upstream, names));
            directory.by_own.push(own_names);
        }
        match naming.prefix {
            Prefix::Collisions => directory.name_by_collisions(),
            Prefix::Always => directory.name_each(|naming, tool| Some(naming.prefixed(tool.upstream, &tool.own))),
            Prefix::Never => directory.name_by_order(),
        }
        directory.add_other_forms();
        directory
    }

    fn add<S: AsRef<str>>(&mut self, upstream: usize, names: &[S]) -> Places {
        // Sorted, so that it does not matter in which order they came.
        let mut names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        names.sort_unstable();
        names.dedup();
        let mut places = Places::with_capacity_and_hasher(names.len(), RandomState::default());
        for own in names {
            let own: Arc<str> = own.into();
            places.insert(Arc::clone(&own), self.tools.len());
            self.tools.push(Named { upstream, own, public: None });
        }
        places
    }

    /// Gives each tool the public form that `form` says, unless an earlier one has it. That happens only where two hashes
    /// are the same, or a delimiter is none; then nothing else is better than the order.
    fn name_each(&mut self, mut form: impl FnMut(&Naming, &Named) -> Option<String>) {
        for (place, tool) in self.tools.iter_mut().enumerate() {
            let Some(public) = form(&self.naming, tool) else { continue };
            let public: Arc<str> = public.into();
            if !self.by_public.contains_key(&public) {
                self.by_public.insert(Arc::clone(&public), place);
                tool.public = Some(public);
            }
        }
    }

    fn name_by_collisions(&mut self) {
        let mut claims: HashMap<String, usize> = HashMap::new();
        for tool in &self.tools {
            let bare = self.naming.bare(tool.upstream, &tool.own);
            // A name that is cut is claimed as a whole, too: who have the same long name collide, though their hashes differ.
            if *bare != *tool.own {
                *claims.entry(bare.into_owned()).or_default() += 1;
            }
            *claims.entry(String::from(&*tool.own)).or_default() += 1;
        }
        self.name_each(|naming, tool| {
            let bare = naming.bare(tool.upstream, &tool.own);
            let is_only = claims.get(&*bare) == Some(&1) && claims.get(&*tool.own) == Some(&1);
            match is_only && naming.split(&bare).is_none() {
                true => Some(bare.into_owned()),
                false => Some(naming.prefixed(tool.upstream, &tool.own)),
            }
        });
    }

    fn name_by_order(&mut self) {
        let mut taken: HashSet<Arc<str>> = HashSet::new();
        self.name_each(|naming, tool| {
            let bare = naming.bare(tool.upstream, &tool.own);
            taken.insert(Arc::clone(&tool.own)).then(|| bare.into_owned())
        });
    }

    /// Lets prefixed forms resolve that are cut and not public. Those that are not cut need no entry.
    fn add_other_forms(&mut self) {
        let (true, Prefix::Collisions) = (self.naming.longest.is_some(), self.naming.prefix) else { return };
        for (place, tool) in self.tools.iter().enumerate() {
            let prefixed = self.naming.prefixed(tool.upstream, &tool.own);
            if self.naming.looks_cut(&prefixed) {
                self.by_public.entry(prefixed.into()).or_insert(place);
            }
        }
    }

    /// Whose `public` is.
    pub(crate) fn resolve<'a>(&'a self, public: &'a str) -> Resolved<'a> {
        let known =
            |place: usize| Resolved::Known { upstream: self.tools[place].upstream, own: &self.tools[place].own };
        if let Some(place) = self.by_public.get(public) {
            return known(*place);
        }
        let Some((upstream, own)) = self.naming.split(public) else { return Resolved::Unknown };
        match &self.by_own[upstream] {
            None if self.naming.looks_cut(public) => Resolved::Cut { upstream },
            // Longer than any name that was ever public.
            _ if self.naming.prefixed(upstream, own) != public => Resolved::Unknown,
            None => Resolved::Prefixed { upstream, own },
            Some(names) => names.get(own).map_or(Resolved::Unknown, |place| known(*place)),
        }
    }

    /// The public name of what that upstream calls `own`. `None` if it is hidden, or not in the list.
    pub(crate) fn public(&self, upstream: usize, own: &str) -> Option<&str> {
        let place = self.by_own.get(upstream)?.as_ref()?.get(own)?;
        self.tools[*place].public.as_deref()
    }

    /// Whether the lists of all upstreams are known. If not, [`Resolved::Unknown`] may change when they are.
    #[cfg(test)]
    pub(crate) fn is_complete(&self) -> bool {
        self.by_own.iter().all(Option::is_some)
    }

    /// What has no public name: the places of upstreams, and own names.
    #[cfg(test)]
    pub(crate) fn hidden(&self) -> impl Iterator<Item = (usize, &str)> {
        self.tools.iter().filter(|tool| tool.public.is_none()).map(|tool| (tool.upstream, &*tool.own))
    }
}

#[cfg(test)]
mod tests;
