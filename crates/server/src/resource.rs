//! Resources and resource templates, as they are given to a server.

use std::collections::BTreeMap;

use anypod_proto::caching::Caching;
use anypod_proto::content::Annotations;
use anypod_proto::meta::MetaObject;
use anypod_proto::resources;

use crate::completion::Completer;
use crate::extract::Needs;
use crate::handler::{Boxed, Contents, Handler, Suggestions, boxed};

/// A resource: a URI and a handler that reads it.
///
/// ```
/// use std::time::Duration;
/// use anypod_server::{Caching, Resource, Server};
///
/// let hours = Resource::new("library://hours", "hours", async || "Open from 9 to 5")
///     .mime_type("text/plain")
///     .cache(Caching::public(Duration::from_secs(3600)));
/// Server::new("library", "1.0.0").resource(hours).build().unwrap();
/// ```
pub struct Resource {
    pub(crate) definition: resources::Resource,
    pub(crate) reader: Reader,
}

/// A family of resources: a URI template and a handler that reads each of them.
///
/// ```
/// use anypod_server::{Error, ResourceTemplate, Result, Server, Vars};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Page { book: String, page: u32 }
///
/// async fn page(Vars(Page { book, page }): Vars<Page>) -> Result<String> {
///     match page {
///         0 => Err(Error::unknown_resource(format!("book://{book}/0"))),
///         page => Ok(format!("page {page} of {book}")),
///     }
/// }
///
/// let pages = ResourceTemplate::new("book://{book}/{page}", "page", page).mime_type("text/plain");
/// Server::new("library", "1.0.0").resource_template(pages).build().unwrap();
/// ```
pub struct ResourceTemplate {
    pub(crate) definition: resources::ResourceTemplate,
    pub(crate) reader: Reader,
    pub(crate) completers: BTreeMap<String, Completer>,
}

/// What resources and templates have in common.
pub(crate) struct Reader {
    pub(crate) handler: Boxed<Contents>,
    pub(crate) needs: Needs,
    pub(crate) cache: Caching,
}

impl Reader {
    fn new<M, H: Handler<Contents, M>>(handler: H) -> Self {
        Self { handler: boxed(handler), needs: H::needs(), cache: Caching::default() }
    }
}

impl Resource {
    /// A resource.
    pub fn new<M, H: Handler<Contents, M>>(uri: impl Into<String>, name: impl Into<String>, handler: H) -> Self {
        Self { definition: resources::Resource::new(uri, name), reader: Reader::new(handler) }
    }
}

impl ResourceTemplate {
    /// A family of resources. `template` is an RFC 6570 template; the handler takes its variables as
    /// `Vars<T>`.
    pub fn new<M, H: Handler<Contents, M>>(template: impl Into<String>, name: impl Into<String>, handler: H) -> Self {
        let definition = resources::ResourceTemplate::new(template, name);
        Self { definition, reader: Reader::new(handler), completers: BTreeMap::new() }
    }

    /// Suggests values for `variable`. The handler takes a [`Partial`](crate::Partial) besides the usual
    /// extractors.
    #[must_use]
    pub fn complete<M, H: Handler<Suggestions, M>>(mut self, variable: impl Into<String>, handler: H) -> Self {
        self.completers.insert(variable.into(), Completer::new(handler));
        self
    }
}

macro_rules! described {
    ($($type:ty,)*) => {
        $(impl $type {
            /// What it holds.
            #[must_use]
            pub fn description(mut self, description: impl Into<String>) -> Self {
                self.definition.description = Some(description.into());
                self
            }

            /// The name for people.
            #[must_use]
            pub fn title(mut self, title: impl Into<String>) -> Self {
                self.definition.title = Some(title.into());
                self
            }

            /// The MIME type of what it holds.
            #[must_use]
            pub fn mime_type(mut self, mime_type: impl Into<String>) -> Self {
                self.definition.mime_type = Some(mime_type.into());
                self
            }

            /// For whom it is and how much it matters.
            #[must_use]
            pub fn annotations(mut self, annotations: Annotations) -> Self {
                self.definition.annotations = Some(annotations);
                self
            }

            /// `_meta` of the definition, as lists have it.
            #[must_use]
            pub fn meta(mut self, meta: MetaObject) -> Self {
                self.definition.meta = Some(meta);
                self
            }

            /// How long and for whom its contents may be cached.
            #[must_use]
            pub fn cache(mut self, hint: Caching) -> Self {
                self.reader.cache = hint;
                self
            }
        })*
    };
}

described!(Resource, ResourceTemplate,);
