//! Whole lists, page by page.
//!
//! Spec: server/utilities/pagination.

use std::collections::HashSet;
use std::future::IntoFuture;
use std::marker::PhantomData;

use anypod_proto::jsonrpc::Cursor;
use anypod_proto::method::Method;
use anypod_proto::prompts::{ListPromptsResult, Prompt};
use anypod_proto::resources::{ListResourceTemplatesResult, ListResourcesResult, Resource, ResourceTemplate};
use anypod_proto::tools::{ListToolsResult, Tool};

use crate::client::Client;
use crate::credentials::BoxFuture;
use crate::error::{Broken, Result};
use crate::reply::Reply;
use crate::request::{CacheUse, Request};

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

    async fn all(self) -> Result<Vec<T>> {
        let limits = &self.client.inner().limits;
        let mut items: Vec<T> = Vec::new();
        let mut seen = HashSet::new();
        let mut cursor = None;
        for _ in 0..limits.list_pages {
            let request: Request<T::Page> = self.client.page(T::METHOD, cursor.as_ref());
            let (page, next) = T::open(request.cache(self.cache).await?);
            if items.len() + page.len() > limits.list_items {
                return Err(Broken::TooMuch { what: "items of a list", limit: limits.list_items }.into());
            }
            items.extend(page);
            let Some(next) = next else { return Ok(items) };
            if !seen.insert(next.clone()) {
                return Err(Broken::EndlessList.into());
            }
            cursor = Some(next);
        }
        Err(Broken::TooMuch { what: "pages of a list", limit: limits.list_pages }.into())
    }
}

impl<T: Listed> IntoFuture for List<T> {
    type Output = Result<Vec<T>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.all())
    }
}

impl<T> std::fmt::Debug for List<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("List").finish_non_exhaustive()
    }
}
