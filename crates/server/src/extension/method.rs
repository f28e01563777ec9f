//! What methods of extensions take and give.

use anypod_proto::jsonrpc::{JsonObject, ResultObject, ResultType};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::cx::Cx;
use crate::error::{Error, Result};
use crate::extract::{Extract, Needs};
use crate::handler::{IntoOutput, Json};

/// The parameters of an extension's method, as `T`: the whole object `params`, of which `_meta` is a part.
#[derive(Debug, Clone, Copy)]
pub struct Params<T>(pub T);

impl<T: DeserializeOwned + Send + 'static> Extract for Params<T> {
    fn needs(needs: &mut Needs) {
        needs.params = true;
    }

    fn extract(cx: &Cx) -> Result<Self> {
        let params = serde_json::from_str(cx.request().params());
        params.map(Params).map_err(|error| Error::invalid_params(format_args!("params: {error}")))
    }
}

/// What answers a method of an extension, or a call of a tool that an extension answers: an object with a `resultType`, which
/// the extension may have defined.
#[derive(Debug, Clone, PartialEq)]
pub struct MethodResult(pub(crate) ResultObject);

impl MethodResult {
    /// A result of that type, with these members.
    pub fn new(result_type: ResultType, members: JsonObject) -> Self {
        Self(ResultObject { result_type, extra: members, meta: None })
    }

    /// A result with what `result` serializes to, which is an object. Its `resultType`, if it has one, is kept.
    ///
    /// # Errors
    /// If it is no object.
    pub fn of(result: &impl Serialize) -> Result<Self> {
        let value = serde_json::to_value(result).map_err(Error::internal)?;
        match value {
            Value::Object(_) => serde_json::from_value(value).map(Self).map_err(Error::internal),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Err(Error::internal("a result is no object"))
            }
        }
    }

    /// How it is to be read.
    pub fn result_type(&self) -> &ResultType {
        &self.0.result_type
    }
}

impl IntoOutput<Self> for MethodResult {
    fn into_output(self) -> Result<Self> {
        Ok(self)
    }
}

/// The request is done, and there is nothing more to say.
impl IntoOutput<MethodResult> for () {
    fn into_output(self) -> Result<MethodResult> {
        Ok(MethodResult::new(ResultType::Complete, JsonObject::new()))
    }
}

impl<T: Serialize> IntoOutput<MethodResult> for Json<T> {
    fn into_output(self) -> Result<MethodResult> {
        MethodResult::of(&self.0)
    }
}
