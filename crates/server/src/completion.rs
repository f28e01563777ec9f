//! Suggestions for the arguments of prompts and the variables of resource templates.

use std::collections::BTreeMap;

use anypod_proto::completion::{CompletionArgument, CompletionContext, CompletionReference};
use serde::Deserialize;

use crate::cx::Cx;
use crate::error::{Error, Result};
use crate::extract::{Extract, Needs};
use crate::handler::{Boxed, Handler, Suggestions, boxed};

/// A handler that suggests values.
pub(crate) struct Completer {
    pub(crate) handler: Boxed<Suggestions>,
    pub(crate) needs: Needs,
}

impl Completer {
    pub(crate) fn new<M, H: Handler<Suggestions, M>>(handler: H) -> Self {
        Self { handler: boxed(handler), needs: H::needs() }
    }
}

/// The parameters of `completion/complete`, without what legacy requests lack.
#[derive(Deserialize)]
pub(crate) struct Params {
    #[serde(rename = "ref")]
    pub(crate) reference: CompletionReference,
    pub(crate) argument: CompletionArgument,
    #[serde(default)]
    context: Option<CompletionContext>,
}

/// What has been typed so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partial {
    /// The argument to be completed.
    pub argument: String,
    /// Its value so far.
    pub value: String,
    /// The arguments that are known already.
    pub known: BTreeMap<String, String>,
}

impl Extract for Partial {
    fn needs(needs: &mut Needs) {
        needs.partial = true;
    }

    fn extract(cx: &Cx) -> Result<Self> {
        let params: Params =
            serde_json::from_str(cx.request().params()).map_err(|error| Error::invalid_params(error.to_string()))?;
        let known = params.context.and_then(|context| context.arguments).unwrap_or_default();
        Ok(Self { argument: params.argument.name, value: params.argument.value, known: known.into_iter().collect() })
    }
}
