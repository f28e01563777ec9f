//! Handlers: async functions over extractors, and what they may return.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use anypod_proto::content::ContentBlock;
use anypod_proto::prompts::{GetPromptResult, PromptMessage};
use anypod_proto::resources::ReadResourceResult;
use anypod_proto::tools::CallToolResult;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::cx::Cx;
use crate::error::{Error, Result};
use crate::extract::{Extract, Needs};

/// An async function that answers a call with an `Out`. Implemented for functions of up to eight
/// extractors whose result is [`IntoOutput<Out>`]; `Marker` only keeps those implementations apart. The
/// function is dropped where it waits when the client goes away or the request's deadline is over.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler for `{Out}`",
    note = "a handler is an async function of at most eight arguments whose future is `Send`: it keeps no `Rc` and no \
            lock guard across an `.await`",
    note = "every argument is an extractor: `Args<T>`, `State<T>`, `Cx`, …; the `T` of `Args<T>` derives \
            `serde::Deserialize` and `schemars::JsonSchema`, that of `State<T>` is `Clone`",
    note = "the result is text, content or `Json<T>` (whose `T` derives `serde::Serialize` and \
            `schemars::JsonSchema`), or a `Result` of one of them whose error is `anypod_server::Error` or a \
            standard error; a `String` and an `anyhow::Error` are none, see `Error::tool`"
)]
pub trait Handler<Out, Marker>: Clone + Send + Sync + 'static {
    /// What the arguments need.
    fn needs() -> Needs;

    /// The schema of the structured output, where the result has one.
    fn output_schema() -> Option<Value>;

    /// Answers a call.
    fn call(&self, cx: Cx) -> impl Future<Output = Result<Out>> + Send + 'static;
}

/// Something that a handler may return.
#[diagnostic::on_unimplemented(
    message = "a handler cannot answer with `{Self}`",
    note = "tools answer with text, `ContentBlock`s, `Json<T>` or `CallToolResult`; prompts with text, \
            `PromptMessage`s or `GetPromptResult`; resources with text, bytes or `ReadResourceResult`"
)]
pub trait IntoOutput<Out> {
    /// The schema of the structured output, where there is one.
    fn output_schema() -> Option<Value> {
        None
    }

    /// Makes the answer.
    ///
    /// # Errors
    /// If the handler failed, or if what it returned is not JSON.
    fn into_output(self) -> Result<Out>;
}

/// Structured output: `T` as JSON, with the schema of `T` as the tool's output schema, and the same JSON as
/// text for clients that do not read structured output.
///
/// ```
/// use anypod_server::{Json, Tool};
///
/// #[derive(serde::Serialize, schemars::JsonSchema)]
/// struct Weather { celsius: f64, sky: String }
///
/// let tool = Tool::new("weather", async || Json(Weather { celsius: 21.5, sky: "clear".to_owned() }));
/// # anypod_server::Server::new("s", "1").tool(tool).build().unwrap();
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Json<T>(pub T);

macro_rules! handlers {
    ($($arguments:ident)*) => {
        impl<Out, F, Fut, R, $($arguments,)*> Handler<Out, (R, $($arguments,)*)> for F
        where
            F: Fn($($arguments),*) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future<Output = R> + Send + 'static,
            R: IntoOutput<Out> + 'static,
            $($arguments: Extract,)*
        {
            fn needs() -> Needs {
                #[allow(unused_mut, reason = "a handler without arguments needs nothing")]
                let mut needs = Needs::default();
                $($arguments::needs(&mut needs);)*
                needs
            }

            fn output_schema() -> Option<Value> {
                R::output_schema()
            }

            #[allow(unused_variables, reason = "a handler without arguments takes nothing from the call")]
            fn call(&self, cx: Cx) -> impl Future<Output = Result<Out>> + Send + 'static {
                let start = || Ok(self($($arguments::extract(&cx)?),*));
                let running: Result<Fut> = start();
                async move { running?.await.into_output() }
            }
        }
    };
}

handlers!();
handlers!(A);
handlers!(A B);
handlers!(A B C);
handlers!(A B C D);
handlers!(A B C D E);
handlers!(A B C D E G);
handlers!(A B C D E G H);
handlers!(A B C D E G H I);

/// A handler of any type, behind a pointer.
pub(crate) type Boxed<Out> = Arc<dyn Fn(Cx) -> Running<Out> + Send + Sync>;
/// A handler at work.
pub(crate) type Running<Out> = Pin<Box<dyn Future<Output = Result<Out>> + Send>>;

pub(crate) fn boxed<Out: 'static, M, H: Handler<Out, M>>(handler: H) -> Boxed<Out> {
    Arc::new(move |cx| {
        let handler = handler.clone();
        // Nothing of the handler runs before the first poll, so that one place catches its panics.
        Box::pin(async move { handler.call(cx).await })
    })
}

impl<Out, T: IntoOutput<Out>, E: Into<Error>> IntoOutput<Out> for Result<T, E> {
    fn output_schema() -> Option<Value> {
        T::output_schema()
    }

    fn into_output(self) -> Result<Out> {
        self.map_err(Into::into)?.into_output()
    }
}

macro_rules! outputs {
    ($($out:ty { $($from:ty => |$value:ident| $make:expr,)* })*) => {
        $($(impl IntoOutput<$out> for $from {
            fn into_output(self) -> Result<$out> {
                let $value = self;
                Ok($make)
            }
        })*)*
    };
}

outputs! {
    CallToolResult {
        CallToolResult => |result| result,
        String => |text| CallToolResult::text(text),
        &'static str => |text| CallToolResult::text(text),
        ContentBlock => |block| CallToolResult { content: vec![block], ..CallToolResult::default() },
        Vec<ContentBlock> => |content| CallToolResult { content, ..CallToolResult::default() },
        () => |_unit| CallToolResult::default(),
    }
    GetPromptResult {
        GetPromptResult => |result| result,
        String => |text| GetPromptResult { messages: vec![PromptMessage::user(text)], ..GetPromptResult::default() },
        &'static str => |text| GetPromptResult { messages: vec![PromptMessage::user(text)], ..GetPromptResult::default() },
        PromptMessage => |message| GetPromptResult { messages: vec![message], ..GetPromptResult::default() },
        Vec<PromptMessage> => |messages| GetPromptResult { messages, ..GetPromptResult::default() },
    }
    Contents {
        Contents => |contents| contents,
        String => |text| Contents::Text(text),
        &'static str => |text| Contents::Text(text.to_owned()),
        Vec<u8> => |bytes| Contents::Bytes(bytes),
        ReadResourceResult => |result| Contents::Full(Box::new(result)),
    }
    Suggestions {
        Suggestions => |suggestions| suggestions,
        Vec<String> => |values| Suggestions::from_iter(values),
        Vec<&'static str> => |values| Suggestions::from_iter(values.into_iter().map(str::to_owned)),
    }
}

impl<T: Serialize + JsonSchema> IntoOutput<CallToolResult> for Json<T> {
    fn output_schema() -> Option<Value> {
        Some(crate::derive::output::<T>())
    }

    fn into_output(self) -> Result<CallToolResult> {
        let value = serde_json::to_value(&self.0).map_err(Error::internal)?;
        Ok(CallToolResult::structured(value))
    }
}

/// What a resource holds.
#[derive(Debug, Clone)]
pub enum Contents {
    /// Text; the URI and the MIME type are those of the resource.
    Text(String),
    /// Bytes, sent as base64; the URI and the MIME type are those of the resource.
    Bytes(Vec<u8>),
    /// A whole result.
    Full(Box<ReadResourceResult>),
}

/// What can be completed: the best first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Suggestions {
    /// The suggestions; at most 100 are sent.
    pub values: Vec<String>,
    /// How many there are, if more than these.
    pub total: Option<u64>,
}

impl FromIterator<String> for Suggestions {
    fn from_iter<I: IntoIterator<Item = String>>(values: I) -> Self {
        Self { values: values.into_iter().collect(), total: None }
    }
}
