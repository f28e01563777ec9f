//! The same judgment as [`admit`](crate::admit), of a modern request that is too long to be held in memory: it is
//! read as it streams by, and its end is withheld until it is known to say what its headers say.
//!
//! What counts (the frame, the names, `_meta`) is noted and judged by the functions that judge a whole body.
//! Everything else is checked to be JSON and passes by. So that two readers cannot see two requests, nothing is
//! decided before the end: a member may stand twice, or come last.
//!
//! Spec: basic/transports/streamable-http, "Server Validation".

mod kept;
mod verified;

use http::{HeaderMap, HeaderValue};

use crate::admit::frame::{Found, Frame};
use crate::admit::member::{Member, Within};
use crate::admit::{Carrier, MAX_BATCH, answers_nothing, check_modern, declared_version};
use crate::header::{self, Headers};
use crate::reject::{Refused, Rejection};
use crate::request::Span;
use crate::scan::stream::{Event, StreamScanner, Take};
use crate::scan::utf8::Utf8;
use crate::scan::{Kind, Str};
use crate::version::{Era, Version};
use kept::{Kept, Overlong};

pub use kept::MAX_KEPT;
pub use verified::Verified;

/// Reads a request as it streams by. It holds at most [`MAX_KEPT`] bytes of it, however long it is.
#[derive(Debug)]
pub struct Verifier {
    /// Those that are held against the body.
    headers: HeaderMap,
    utf8: Utf8,
    scanner: StreamScanner,
    frame: Frame,
    kept: Kept,
    /// The member whose key came last, and its value once that has begun.
    member: Option<Member>,
    value: Option<Value>,
    /// Where `params` begins, and where `_meta` does.
    begun: [usize; 2],
    root: Root,
    /// Once it is certain, nothing changes it.
    refused: Option<Refused>,
}

/// What kind of value the body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Root {
    /// It has not begun.
    Unknown,
    Message,
    /// A batch, with as many messages so far.
    Batch(usize),
    /// Nothing that could be a message.
    Other,
}

/// The value of a member that counts, which has begun and is not entered.
#[derive(Debug, Clone, Copy)]
struct Value {
    member: Member,
    kind: Kind,
    start: usize,
    /// Whether its text is kept, and what if it is too long for that.
    keep: Option<Overlong>,
}

impl Verifier {
    /// A verifier of the body that comes with these headers.
    ///
    /// # Errors
    /// If the version header names no modern revision. Messages of legacy revisions, and those that do not say what
    /// they are, are not for this: they are read whole and given to [`admit`](crate::admit::admit).
    pub fn new(headers: &dyn Headers) -> Result<Self, Rejection> {
        let Some(version) = declared_version(headers)? else {
            let expected = Version::LATEST.as_str().to_owned();
            return Err(Rejection::HeaderMissing { header: header::PROTOCOL_VERSION, expected });
        };
        if version.era() != Era::Modern {
            return Err(Rejection::UnsupportedVersion(version.as_str().to_owned()));
        }
        let mut held = HeaderMap::with_capacity(3);
        for name in [header::PROTOCOL_VERSION, header::METHOD, header::NAME] {
            let mut malformed = false;
            headers.each(&name, &mut |value| match HeaderValue::from_bytes(value) {
                Ok(value) => drop(held.append(name.clone(), value)),
                Err(_) => malformed = true,
            });
            if malformed {
                return Err(Rejection::HeaderMalformed { header: name, reason: "not visible ASCII".to_owned() });
            }
        }
        Ok(Self {
            headers: held,
            utf8: Utf8::default(),
            scanner: StreamScanner::new(),
            frame: Frame::default(),
            kept: Kept::default(),
            member: None,
            value: None,
            begun: [0; 2],
            root: Root::Unknown,
            refused: None,
        })
    }

    /// Reads the next piece of the body, cut anywhere. Gives how many of its bytes may be passed on: all of them
    /// until the message ends, and from its last byte on none. What is withheld is a byte and the white space that
    /// follows; of a body that is no message at all it is everything.
    ///
    /// # Errors
    /// If the body is no JSON. Other refusals have to wait for the end, because they name the request.
    pub fn push(&mut self, piece: &[u8]) -> Result<usize, Refused> {
        if let Some(refused) = &self.refused {
            return Err(refused.clone());
        }
        self.read(piece).map_err(|rejection| {
            let refused = Refused::anonymous(rejection);
            self.refused = Some(refused.clone());
            refused
        })
    }

    /// What is wrong with what has been read, if something is. The request is certain to be refused then, at the latest
    /// at its end, so that nothing more of it needs to be passed on.
    pub const fn problem(&self) -> Option<&Rejection> {
        self.frame.problem.as_ref()
    }

    /// Takes the end of the body, and gives what it said.
    ///
    /// # Errors
    /// For every reason for which [`admit`](crate::admit::admit) refuses such a body, and if it is no request.
    pub fn finish(mut self) -> Result<Verified, Refused> {
        if let Some(refused) = self.refused {
            return Err(refused);
        }
        self.utf8.finish().map_err(Rejection::NotUtf8).map_err(Refused::anonymous)?;
        self.scanner.finish().map_err(Rejection::NotJson).map_err(Refused::anonymous)?;
        if let Root::Batch(messages) = self.root {
            let why = if messages == 0 { "the batch is empty" } else { "this revision has no batches" };
            return Err(Refused::anonymous(Rejection::NotJsonRpc(why)));
        }
        let text = self.kept.text();
        self.frame.conclude(text)?;
        let refuse = |rejection| Refused { id: self.frame.id_text(text), rejection };
        answers_nothing(&self.frame).map_err(refuse)?;
        let Some(id) = self.frame.id else {
            let problem = Rejection::NotJsonRpc("`id` is missing");
            return Err(refuse(self.frame.problem.clone().unwrap_or(problem)));
        };
        let carrier = Carrier::Http(&self.headers);
        let version = check_modern(carrier, &self.frame, text, |_| None).map_err(refuse)?;
        let method = self.frame.method.ok_or(Rejection::NotJsonRpc("`method` is missing")).map_err(refuse)?;
        Ok(Verified { id, method, known: self.frame.known, version, params: self.frame.params, kept: self.kept })
    }

    fn read(&mut self, piece: &[u8]) -> Result<usize, Rejection> {
        let before = self.scanner.offset();
        self.utf8.push(piece).map_err(Rejection::NotUtf8)?;
        let mut passed = if self.root == Root::Other || self.scanner.has_ended() { 0 } else { piece.len() };
        let mut at = 0;
        while let Some(event) = self.scanner.next(piece, &mut at).map_err(Rejection::NotJson)? {
            match event {
                Event::Key => self.key(piece),
                Event::Value(kind) => self.value(kind, before + at)?,
                Event::Done => self.done(piece, before + at)?,
                Event::Left => {
                    self.left(before + at);
                    if self.scanner.has_ended() {
                        passed = at - 1;
                    }
                }
            }
            if self.root == Root::Other {
                passed = 0;
            }
        }
        Ok(passed)
    }

    fn key(&mut self, piece: &[u8]) {
        let key = self.scanner.kept(piece).and_then(|(key, escaped)| Some((std::str::from_utf8(key).ok()?, escaped)));
        let within = match self.scanner.entered() {
            1 => Within::Message,
            2 => Within::Params,
            _ => Within::Meta,
        };
        self.member = key.and_then(|(key, escaped)| within.member(Str::from_scanned(key, escaped)));
    }

    fn value(&mut self, kind: Kind, start: usize) -> Result<(), Rejection> {
        match self.root {
            Root::Unknown => self.begin(kind),
            Root::Message => self.member_value(kind, start),
            Root::Batch(MAX_BATCH) => return Err(Rejection::NotJsonRpc("the batch holds too many messages")),
            Root::Batch(messages) => self.root = Root::Batch(messages + 1),
            Root::Other => {}
        }
        Ok(())
    }

    fn begin(&mut self, kind: Kind) {
        self.root = match kind {
            Kind::Object => Root::Message,
            Kind::Array => Root::Batch(0),
            Kind::Null | Kind::Bool | Kind::Number | Kind::String => {
                self.frame.problem(Rejection::NotJsonRpc("a message is an object"));
                Root::Other
            }
        };
        self.scanner.take(Take::Enter);
    }

    fn member_value(&mut self, kind: Kind, start: usize) {
        let Some(member) = self.member.take() else { return };
        if let (Kind::Object, Some(within)) = (kind, member.within()) {
            self.frame.enter(within);
            self.begun[usize::from(within == Within::Meta)] = start;
            return self.scanner.take(Take::Enter);
        }
        let keep = self.kept.limit(member, kind).map(|(limit, overlong)| {
            self.scanner.take(Take::Keep(limit));
            overlong
        });
        self.value = Some(Value { member, kind, start, keep });
    }

    /// The value of a member has ended.
    fn done(&mut self, piece: &[u8], end: usize) -> Result<(), Rejection> {
        let Some(Value { member, kind, start, keep }) = self.value.take() else { return Ok(()) };
        self.kept.place(member, start..end);
        let text = keep.and_then(|_| self.scanner.kept(piece));
        match (text, keep) {
            (Some((text, escaped)), _) => {
                let text =
                    std::str::from_utf8(text).map_err(|error| Rejection::NotUtf8(start + error.valid_up_to()))?;
                let span = self.kept.keep(text);
                let text = if kind == Kind::String { &text[1..text.len() - 1] } else { text };
                self.frame.put(member, Found { kind, text, escaped, span });
            }
            (None, Some(Overlong::Refused)) => {
                let (expected, found) = ("a string of at most 128 KiB", "a longer one".to_owned());
                self.frame.problem(Rejection::ParamMalformed { field: member.path(), expected, found });
            }
            (None, Some(Overlong::Ignored) | None) => {
                self.frame.put(member, Found { kind, text: "", escaped: false, span: Span::between(0, 0) });
            }
        }
        Ok(())
    }

    /// An object or a batch has ended that was entered.
    fn left(&mut self, end: usize) {
        if self.root != Root::Message {
            return;
        }
        let (member, within) = match self.scanner.entered() {
            0 => return,
            1 => (Member::Params, Within::Params),
            _ => (Member::Meta, Within::Meta),
        };
        let start = self.begun[usize::from(within == Within::Meta)];
        self.kept.place(member, start..end);
        self.frame.leave(within, Span::between(start, end));
    }
}
