//! Tools, as they are given to a server.

use anypod_proto::implementation::Icon;
use anypod_proto::meta::MetaObject;
use anypod_proto::tools::{self, CallToolResult, ToolAnnotations};
use serde_json::{Map, Value, json};

use crate::extract::Needs;
use crate::handler::{Boxed, Handler, boxed};

/// A tool: a name, a handler, and what the model is told about it.
///
/// ```
/// use anypod_server::{Args, Result, Server, State, Tool};
/// use anypod_server::proto::tools::ToolAnnotations;
///
/// #[derive(Clone)]
/// struct Library; // the client of a database
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Book { isbn: String }
///
/// async fn title(Args(Book { isbn }): Args<Book>, State(library): State<Library>) -> Result<String> {
///     let Library = library;
///     Ok(format!("the book {isbn}"))
/// }
///
/// let title = Tool::new("title", title)
///     .description("Finds the title of a book by its ISBN")
///     .annotations(ToolAnnotations { read_only_hint: Some(true), ..ToolAnnotations::default() });
/// Server::new("library", "1.0.0").state(Library).tool(title).build().unwrap();
/// ```
pub struct Tool {
    pub(crate) definition: tools::Tool,
    /// The schemas as they were given; the definition gets them when they have been checked.
    pub(crate) input: Value,
    pub(crate) output: Option<Value>,
    pub(crate) handler: Boxed<CallToolResult>,
    pub(crate) needs: Needs,
    pub(crate) uses: Uses,
    pub(crate) marks: Marks,
}

/// What a tool's author says to extensions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Marks {
    pub(crate) values: http::Extensions,
    /// The extensions that must be there.
    pub(crate) needed: Vec<&'static str>,
}

/// How often one `requestState` may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Uses {
    /// Until it expires.
    Many,
    /// Once; the server's `Once` remembers.
    Single,
}

impl Tool {
    /// A tool. Its input schema is that of the handler's `Args<T>`, its output schema that of `Json<T>`.
    pub fn new<M, H: Handler<CallToolResult, M>>(name: impl Into<String>, handler: H) -> Self {
        let needs = H::needs();
        let input = needs.arguments.clone().unwrap_or_else(|| json!({ "type": "object" }));
        let definition = tools::Tool::new(name, Map::new());
        Self {
            definition,
            input,
            output: H::output_schema(),
            handler: boxed(handler),
            needs,
            uses: Uses::Many,
            marks: Marks::default(),
        }
    }

    /// What the tool does, for the model.
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

    /// Hints about what the tool does to the world.
    #[must_use]
    pub fn annotations(mut self, annotations: ToolAnnotations) -> Self {
        self.definition.annotations = Some(annotations);
        self
    }

    /// Pictures for the tool.
    #[must_use]
    pub fn icons(mut self, icons: Vec<Icon>) -> Self {
        self.definition.icons = Some(icons);
        self
    }

    /// A hand-written input schema (JSON Schema 2020-12 unless `$schema` says otherwise), in place of the
    /// derived one.
    #[must_use]
    pub fn input_schema(mut self, schema: Value) -> Self {
        self.input = schema;
        self
    }

    /// A hand-written output schema, in place of the derived one.
    #[must_use]
    pub fn output_schema(mut self, schema: Value) -> Self {
        self.output = Some(schema);
        self
    }

    /// `_meta` of the tool's definition.
    #[must_use]
    pub fn meta(mut self, meta: MetaObject) -> Self {
        self.definition.meta = Some(meta);
        self
    }

    /// Says something to an extension, which finds it by its type: see [`ToolCall::mark`](crate::ToolCall::mark).
    #[must_use]
    pub fn mark<T: Clone + Send + Sync + 'static>(mut self, mark: T) -> Self {
        self.marks.values.insert(mark);
        self
    }

    /// Makes it a mistake to build a server that has this tool but not the extension of that identifier.
    #[must_use]
    pub fn needs_extension(mut self, id: &'static str) -> Self {
        self.marks.needed.push(id);
        self
    }

    /// Changes `_meta` of the tool's definition.
    #[must_use]
    pub fn with_meta(mut self, change: impl FnOnce(&mut MetaObject)) -> Self {
        change(self.definition.meta.get_or_insert_default());
        self
    }

    /// Makes every `requestState` of this tool valid for one use only, for confirmations that must not be
    /// replayed. The server needs a store that remembers, see [`ServerBuilder::once`](crate::ServerBuilder::once).
    #[must_use]
    pub fn single_use(mut self) -> Self {
        self.uses = Uses::Single;
        self
    }
}
