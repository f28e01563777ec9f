//! The Apps extension: pages that hosts show to the person, filled with what a tool gives.
//!
//! A page is a resource of the scheme `ui`; a tool names it in its definition. A host that has the extension reads the
//! page, shows it in a sandbox, and hands it the arguments and the result of the call: text for the model, and structured
//! content for the page. A host without the extension passes over all of it and uses the text, so a tool is the same for
//! both.
//!
//! Everything here stands on the public parts of the crate, as an extension of yours would: [`Extension`],
//! [`Intercept`](crate::Intercept), [`Handler`](crate::Handler) and [`Offered`](crate::Offered).
//!
//! Spec: the extension `io.modelcontextprotocol/ui`; SEP-1865.

mod app;
mod check;
mod fallback;
mod look;

use anypod_proto::meta::APPS_EXTENSION as EXTENSION;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cx::Cx;
use crate::extension::Extension;
use crate::tool::Tool;
use fallback::{Fallback, Shown};

pub use app::App;
pub use look::{Csp, Permission};

/// The MIME type of the pages.
const MIME_TYPE: &str = "text/html;profile=mcp-app";

/// The member of `_meta` that is the extension's.
const UI: &str = "ui";

/// The Apps extension of a server, for [`ServerBuilder::extension`](crate::ServerBuilder::extension).
///
/// ```
/// use anypod_server::{App, Apps, Args, Csp, Json, Server, Tool};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Customer { customer: u64 }
///
/// #[derive(serde::Serialize, schemars::JsonSchema)]
/// struct Cart { items: Vec<String> }
///
/// /// `Json` gives the page its data, and the model the same as text.
/// async fn cart(Args(Customer { customer }): Args<Customer>) -> Json<Cart> {
///     Json(Cart { items: vec![format!("a kettle for customer {customer}")] })
/// }
///
/// // As a rule a file: `include_str!("cart.html")`.
/// let page = App::html("ui://shop/cart", "cart", "<!DOCTYPE html><title>Cart</title><ul id=items></ul>")
///     .csp(Csp { resource_domains: vec!["https://cdn.shop.example".to_owned()], ..Csp::default() })
///     .prefers_border();
/// let tool = Tool::new("cart", cart).app(&page);
/// Server::new("shop", "1.0.0").extension(Apps::new().app(page)).tool(tool).build().unwrap();
/// ```
///
/// A server is not built if a tool names a page that it does not have, that is of another scheme, or that is no HTML of the
/// extension's type.
///
/// Legacy clients are told of the extension in `initialize`, and find pages and tools as modern ones do.
#[derive(Debug, Default)]
pub struct Apps {
    apps: Vec<App>,
}

impl Apps {
    /// The extension, without pages. Pages may also be resources that the server has of its own.
    pub fn new() -> Self {
        Self::default()
    }

    /// Brings a page along.
    #[must_use]
    pub fn app(mut self, app: App) -> Self {
        self.apps.push(app);
        self
    }
}

impl From<Apps> for Extension {
    fn from(Apps { apps }: Apps) -> Self {
        let mistake = apps.iter().find_map(check::mistake);
        let extension = Self::new(EXTENSION).in_legacy_sessions().intercept(Fallback).check(move |offered| {
            mistake.clone().map_or(Ok(()), Err)?;
            check::offered(offered)
        });
        apps.into_iter().fold(extension, |extension, app| extension.resource(app.into_resource()))
    }
}

/// What a host says of itself: the client's settings of the extension.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppHost {
    /// The MIME types that it shows.
    pub mime_types: Vec<String>,
}

impl AppHost {
    /// Whether it shows pages of that MIME type.
    pub fn shows(&self, mime_type: &str) -> bool {
        self.mime_types.iter().any(|shown| look::is_same_type(shown, mime_type))
    }
}

/// Who may call a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// The model and the page. What holds for a tool that says nothing.
    ModelAndApp,
    /// The model alone: hosts refuse the calls of pages.
    Model,
    /// The page alone, as for a button that loads data anew: hosts do not show the tool to the model. Those without the
    /// extension do.
    App,
}

impl Visibility {
    const fn names(self) -> &'static [&'static str] {
        match self {
            Self::ModelAndApp => &["model", "app"],
            Self::Model => &["model"],
            Self::App => &["app"],
        }
    }
}

impl Tool {
    /// Has hosts show this page with the tool's results. The server needs the extension [`Apps`], and the page.
    #[must_use]
    pub fn app(self, app: &App) -> Self {
        self.ui(app.uri())
    }

    /// The same for the page at this URI, such as `ui://shop/cart`.
    ///
    /// A result must say something in `content`, for hosts that show no pages and for the model. Where the handler gives
    /// structured content alone, the same JSON is added as text; where it gives neither, the log says so.
    #[must_use]
    pub fn ui(self, uri: impl Into<String>) -> Self {
        self.mark(Shown).with_ui("resourceUri", Value::String(uri.into()))
    }

    /// Says who may call the tool. It need not have a page of its own: pages call any tool of their server.
    #[must_use]
    pub fn visible_to(self, visibility: Visibility) -> Self {
        self.with_ui("visibility", json!(visibility.names()))
    }

    fn with_ui(self, member: &str, value: Value) -> Self {
        self.needs_extension(EXTENSION).with_meta(|meta| {
            let ui = meta.entry(UI).or_insert_with(|| json!({}));
            // What else an author has written there is none of the extension's.
            if !ui.is_object() {
                *ui = json!({});
            }
            ui[member] = value;
        })
    }
}

impl Cx {
    /// Whether the host shows pages: its settings of the extension [`Apps`] name their MIME type, for this request. Of
    /// legacy clients that is not known, so it is false for them, though some show pages: it is for what goes beyond text
    /// and structured content, which every result should have.
    pub fn shows_apps(&self) -> bool {
        matches!(self.extension::<AppHost>(EXTENSION), Ok(Some(host)) if host.shows(MIME_TYPE))
    }
}
