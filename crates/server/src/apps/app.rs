//! A page: a resource that says what it wants of its host.

use std::future::Future;
use std::sync::Arc;

use anypod_proto::caching::Caching;
use anypod_proto::content::{BlobResourceContents, ResourceContents, TextResourceContents};
use anypod_proto::meta::MetaObject;
use anypod_proto::resources::ReadResourceResult;
use serde_json::{Value, json};

use super::look::{Csp, Look, Permission};
use super::{MIME_TYPE, UI};
use crate::cx::Cx;
use crate::error::Result;
use crate::extract::Needs;
use crate::handler::{Contents, Handler};
use crate::resource::Resource;

/// A page that hosts show, for [`Apps::app`](crate::Apps::app).
///
/// What it wants of its host is said in lists of resources, where hosts can review it, and again with the page.
///
/// ```
/// use anypod_server::{App, Apps, Permission, Result, Server, State};
///
/// #[derive(Clone)]
/// struct Assets; // where a build step puts the page
///
/// async fn page(State(Assets): State<Assets>) -> Result<String> { Ok("<!DOCTYPE html><title>Map</title>".to_owned()) }
///
/// let map = App::new("ui://atlas/map", "map", page).title("Map").permission(Permission::Geolocation);
/// Server::new("atlas", "1.0.0").state(Assets).extension(Apps::new().app(map)).build().unwrap();
/// ```
pub struct App {
    uri: String,
    look: Look,
    /// The page, where it is known from the start.
    html: Option<Arc<str>>,
    resource: Box<dyn FnOnce(Dress) -> Resource + Send>,
}

impl App {
    /// A page that a handler writes, at a URI such as `ui://shop/cart`. It answers with text or bytes as any resource does;
    /// where it gives a whole result that has `_meta.ui` of its own, that stays.
    pub fn new<M, H>(uri: impl Into<String>, name: impl Into<String>, handler: H) -> Self
    where
        M: 'static,
        H: Handler<Contents, M>,
    {
        let (uri, name) = (uri.into(), name.into());
        let resource = Box::new(move |dress: Dress| {
            let (uri, ui) = (dress.uri.clone(), dress.ui.clone());
            let dressed = Dressed { handler, dress: Arc::new(dress) };
            let resource = Resource::new::<Dresses<M>, _>(uri, name, dressed).mime_type(MIME_TYPE);
            match ui {
                Some(ui) => resource.meta(MetaObject::from_iter([(UI.to_owned(), ui)])),
                None => resource,
            }
        });
        Self { uri, look: Look::default(), html: None, resource }
    }

    /// A page that is always the same: a whole HTML document.
    pub fn html(uri: impl Into<String>, name: impl Into<String>, html: impl Into<String>) -> Self {
        let html: Arc<str> = html.into().into();
        let page = Arc::clone(&html);
        let read = move || std::future::ready(page.to_string());
        Self { html: Some(html), ..Self::new(uri, name, read) }
    }

    /// Where it is.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// What it may reach. Without this, nothing but itself.
    #[must_use]
    pub fn csp(mut self, csp: Csp) -> Self {
        self.look.csp = Some(csp);
        self
    }

    /// Asks for a feature of the browser.
    #[must_use]
    pub fn permission(mut self, permission: Permission) -> Self {
        self.look.permissions.insert(permission, serde_json::Map::new());
        self
    }

    /// The origin that it is shown from, for who keeps a list of origins. What may be said here differs from host to host.
    #[must_use]
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.look.domain = Some(domain.into());
        self
    }

    /// Wants a border and a background. A page that says neither gets what its host likes.
    #[must_use]
    pub const fn prefers_border(mut self) -> Self {
        self.look.prefers_border = Some(true);
        self
    }

    /// Wants neither border nor background.
    #[must_use]
    pub const fn prefers_no_border(mut self) -> Self {
        self.look.prefers_border = Some(false);
        self
    }

    /// What it is for.
    #[must_use]
    pub fn description(self, description: impl Into<String>) -> Self {
        let description = description.into();
        self.then(|resource| resource.description(description))
    }

    /// The name for people.
    #[must_use]
    pub fn title(self, title: impl Into<String>) -> Self {
        let title = title.into();
        self.then(|resource| resource.title(title))
    }

    /// How long and for whom it may be cached.
    #[must_use]
    pub fn cache(self, hint: Caching) -> Self {
        self.then(move |resource| resource.cache(hint))
    }

    fn then(mut self, change: impl FnOnce(Resource) -> Resource + Send + 'static) -> Self {
        let resource = self.resource;
        self.resource = Box::new(move |dress| change(resource(dress)));
        self
    }

    pub(super) const fn look(&self) -> &Look {
        &self.look
    }

    pub(super) fn document(&self) -> Option<&str> {
        self.html.as_deref()
    }

    pub(super) fn into_resource(self) -> Resource {
        let Self { uri, look, html: _, resource } = self;
        let ui = (look != Look::default()).then(|| json!(look));
        resource(Dress { uri, ui })
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("uri", &self.uri).finish_non_exhaustive()
    }
}

/// What is put on what the handler of a page gives.
struct Dress {
    uri: String,
    /// `_meta.ui`, if there is anything to say.
    ui: Option<Value>,
}

impl Dress {
    fn put_on(&self, contents: Contents) -> Contents {
        let mut result = match contents {
            Contents::Text(text) => {
                ReadResourceResult::from(ResourceContents::Text(TextResourceContents::new(&self.uri, text)))
            }
            Contents::Bytes(bytes) => {
                let blob = BlobResourceContents::from_bytes(&self.uri, MIME_TYPE, &bytes);
                ReadResourceResult::from(ResourceContents::Blob(blob))
            }
            Contents::Full(result) => *result,
        };
        for contents in &mut result.contents {
            let (mime_type, meta) = match contents {
                ResourceContents::Text(text) => (&mut text.mime_type, &mut text.meta),
                ResourceContents::Blob(blob) => (&mut blob.mime_type, &mut blob.meta),
            };
            // The extension has no other yet.
            *mime_type = Some(MIME_TYPE.to_owned());
            if let Some(ui) = &self.ui {
                meta.get_or_insert_default().entry(UI).or_insert_with(|| ui.clone());
            }
        }
        Contents::Full(Box::new(result))
    }
}

/// A handler whose contents are dressed.
#[derive(Clone)]
struct Dressed<H> {
    handler: H,
    dress: Arc<Dress>,
}

/// Keeps handlers that are dressed apart from functions.
struct Dresses<M>(std::marker::PhantomData<M>);

impl<M, H: Handler<Contents, M>> Handler<Contents, Dresses<M>> for Dressed<H> {
    fn needs() -> Needs {
        H::needs()
    }

    fn output_schema() -> Option<Value> {
        H::output_schema()
    }

    fn call(&self, cx: Cx) -> impl Future<Output = Result<Contents>> + Send + 'static {
        let (running, dress) = (self.handler.call(cx), Arc::clone(&self.dress));
        async move { Ok(dress.put_on(running.await?)) }
    }
}
