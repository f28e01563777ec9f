//! Whole lists, page by page.
//!
//! Spec: server/utilities/pagination.

use std::collections::HashSet;
use std::future::IntoFuture;
use std::marker::PhantomData;

use anypod_proto::code::Code;
use anypod_proto::jsonrpc::Cursor;
use anypod_proto::method::Method;
use anypod_proto::prompts::{ListPromptsResult, Prompt};
use anypod_proto::resources::{ListResourceTemplatesResult, ListResourcesResult, Resource, ResourceTemplate};
use anypod_proto::tools::{ListToolsResult, Tool};

use crate::cache::{Fetched, Stale};
use crate::client::{Client, page_call};
use crate::credentials::BoxFuture;
use crate::error::{Broken, Error, Result};
use crate::limits::Limits;
use crate::reply::Reply;
use crate::request::{CacheUse, Request};

/// How often a list is begun again that changes while its pages are asked for.
const RESTARTS: usize = 2;

/// Something that servers list.
pub trait Listed: Sized + Send + 'static {
    /// A page of them.
    type Page: Reply;
    /// The method that lists them.
    const METHOD: Method;

    /// What is on a page, and where the next one begins.
    fn open(page: Self::Page) -> (Vec<Self>, Option<Cursor>);
}

macro_rules! listed {
    ($($item:ty, $page:ty, $method:ident, $field:ident;)*) => {
        $(impl Listed for $item {
            type Page = $page;
            const METHOD: Method = Method::$method;

            fn open(page: $page) -> (Vec<Self>, Option<Cursor>) {
                (page.$field, page.next_cursor)
            }
        })*
    };
}

listed! {
    Tool, ListToolsResult, ToolsList, tools;
    Prompt, ListPromptsResult, PromptsList, prompts;
    Resource, ListResourcesResult, ResourcesList, resources;
    ResourceTemplate, ListResourceTemplatesResult, ResourceTemplatesList, resource_templates;
}

/// A request for a whole list; awaiting it asks for all pages, one after the other.
///
/// Pages that are kept are not mixed with pages that are not: where one is missing, all are asked for. A list that
/// changes meanwhile, as far as the server says so, is begun again, twice at most.
///
/// It fails with [`Broken::EndlessList`] if a cursor comes twice, and with [`Broken::TooMuch`] beyond
/// [`Limits::list_pages`](crate::Limits::list_pages) or [`Limits::list_items`](crate::Limits::list_items).
#[must_use = "a list is asked for when it is awaited"]
pub struct List<T> {
    client: Client,
    cache: CacheUse,
    item: PhantomData<fn() -> T>,
}

impl<T: Listed> List<T> {
    pub(crate) fn new(client: &Client) -> Self {
        Self { client: client.clone(), cache: CacheUse::default(), item: PhantomData }
    }

    /// How to use the cache.
    pub fn cache(mut self, cache: CacheUse) -> Self {
        self.cache = cache;
        self
    }

    /// Asks for the list, as awaiting it does, and says where it comes from.
    ///
    /// # Errors
    /// As awaiting the list does.
    pub async fn fetched(self) -> Result<Fetched<Vec<T>>> {
        let mut cache = self.cache;
        if cache == CacheUse::Use {
            match self.kept().await {
                Found::Whole(list) => return Ok(list),
                // What is missing would be asked of the list as it is now, which is another one than the part is of.
                Found::Part => cache = CacheUse::Refresh,
                Found::Nothing => {}
            }
        }
        let mut left = RESTARTS;
        loop {
            match self.pass(cache, left == 0).await? {
                Some(list) => return Ok(list),
                None if cache == CacheUse::Use => cache = CacheUse::Refresh,
                None => {}
            }
            left = left.saturating_sub(1);
        }
    }

    /// The list as it is kept, all of it fresh.
    async fn kept(&self) -> Found<T> {
        let mut walk = Walk::new(&self.client.inner().limits);
        let mut cursor = None;
        loop {
            match self.kept_page(cursor.as_ref(), Stale::No).await.map(|page| walk.add(page)) {
                Some(Ok(None)) => return Found::Whole(walk.list),
                Some(Ok(next)) => cursor = next,
                None if cursor.is_none() => return Found::Nothing,
                None | Some(Err(_)) => return Found::Part,
            }
        }
    }

    /// Asks for all pages. `None` if they are not of the same list, and this is not the last try.
    async fn pass(&self, cache: CacheUse, last: bool) -> Result<Option<Fetched<Vec<T>>>> {
        let inner = self.client.inner();
        let changes = inner.list_changes(T::METHOD);
        let mut walk = Walk::new(&inner.limits);
        let mut cursor = None;
        loop {
            let page = match self.page(cache, walk.list.stale, cursor.as_ref()).await {
                Err(error) if !last && cursor.is_some() && is_refused(&error) => return Ok(None),
                page => page?,
            };
            let mixed = walk.begun_kept == Some(true) && page.age.is_none();
            if !last && (mixed || inner.list_changes(T::METHOD) != changes) {
                return Ok(None);
            }
            cursor = walk.add(page)?;
            if cursor.is_none() {
                return Ok(Some(walk.list));
            }
        }
    }

    async fn page(&self, cache: CacheUse, stale: bool, cursor: Option<&Cursor>) -> Result<Fetched<T::Page>> {
        // Once the server could not be reached for one page, nobody waits for that again at each of the others.
        if stale && let Some(page) = self.kept_page(cursor, Stale::Yes).await {
            return Ok(page);
        }
        let request: Request<T::Page> = self.client.page(T::METHOD, cursor);
        request.cache(cache).fetched().await
    }

    async fn kept_page(&self, cursor: Option<&Cursor>, stale: Stale) -> Option<Fetched<T::Page>> {
        let call = page_call(T::METHOD, cursor);
        let kept = self.client.inner().kept(&call, stale).await?;
        let page = T::Page::read(kept.value.clone(), &self.client, &call).ok()?;
        Some(kept.with(page))
    }
}

/// How much of a list is kept.
enum Found<T> {
    Whole(Fetched<Vec<T>>),
    Part,
    Nothing,
}

/// A way through the pages of a list, within its bounds.
struct Walk<'a, T> {
    limits: &'a Limits,
    list: Fetched<Vec<T>>,
    /// Whether the first page was kept.
    begun_kept: Option<bool>,
    seen: HashSet<Cursor>,
}

impl<'a, T: Listed> Walk<'a, T> {
    fn new(limits: &'a Limits) -> Self {
        Self { limits, list: Fetched::now(Vec::new()), begun_kept: None, seen: HashSet::new() }
    }

    /// Takes a page, and says where the next one begins.
    fn add(&mut self, page: Fetched<T::Page>) -> Result<Option<Cursor>> {
        self.begun_kept.get_or_insert(page.age.is_some());
        self.list.age = self.list.age.max(page.age);
        self.list.stale |= page.stale;
        let (items, next) = T::open(page.value);
        if self.list.value.len() + items.len() > self.limits.list_items {
            return Err(Broken::TooMuch { what: "items of a list", limit: self.limits.list_items }.into());
        }
        self.list.value.extend(items);
        let Some(next) = next else { return Ok(None) };
        if !self.seen.insert(next.clone()) {
            return Err(Broken::EndlessList.into());
        }
        if self.seen.len() >= self.limits.list_pages {
            return Err(Broken::TooMuch { what: "pages of a list", limit: self.limits.list_pages }.into());
        }
        Ok(Some(next))
    }
}

/// Whether the server does not know a cursor that it gave: the list has changed.
fn is_refused(error: &Error) -> bool {
    matches!(error, Error::Answered(error) if error.code == Code::InvalidParams.number())
}

impl<T: Listed> IntoFuture for List<T> {
    type Output = Result<Vec<T>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.fetched().await?.value) })
    }
}

impl<T> std::fmt::Debug for List<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("List").finish_non_exhaustive()
    }
}
