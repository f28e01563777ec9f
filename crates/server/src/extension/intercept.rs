//! What extensions do about calls of tools.

use anypod_proto::tools::CallToolResult;

use super::MethodResult;
use crate::backend::BoxFuture;
use crate::cx::Cx;
use crate::error::Result;

/// Stands before the handlers of tools, and sees what they answer.
///
/// It is asked for every call whose arguments are in order, whether its client has declared the extension or not.
pub trait Intercept: Send + Sync + 'static {
    /// Before the handler begins: it may go on, or something else is the answer.
    ///
    /// # Errors
    /// What the caller gets instead of an answer, such as [`Error::missing_extension`](crate::Error::missing_extension).
    fn before<'a>(&'a self, call: &'a ToolCall) -> BoxFuture<'a, Result<Verdict>>;

    /// The arguments of a call do not fit its tool, in the way that the text says. Neither [`Intercept::before`] nor the handler
    /// sees such a call: its caller gets a result of the tool that says what is wrong, for its model to read.
    ///
    /// # Errors
    /// What the caller gets instead, where it cannot read such a result.
    fn unfit(&self, call: &ToolCall, problem: &str) -> Result<()> {
        let _ = (call, problem);
        Ok(())
    }

    /// Once the handler has answered: adds to the result what the extension has to say of it.
    fn after(&self, call: &ToolCall, result: &mut CallToolResult) {
        let _ = (call, result);
    }
}

/// What becomes of a call.
#[derive(Debug)]
pub enum Verdict {
    /// The next one is asked, and then the handler runs.
    GoOn,
    /// This is the answer, and no handler runs.
    Answer(MethodResult),
}

/// A call of a tool.
#[derive(Debug, Clone)]
pub struct ToolCall {
    cx: Cx,
    name: String,
    marks: http::Extensions,
}

impl ToolCall {
    pub(crate) const fn new(cx: Cx, name: String, marks: http::Extensions) -> Self {
        Self { cx, name, marks }
    }

    /// Its context.
    pub const fn cx(&self) -> &Cx {
        &self.cx
    }

    /// The tool.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the tool's author has said to the extension, see [`Tool::mark`](crate::Tool::mark).
    pub fn mark<T: Clone + Send + Sync + 'static>(&self) -> Option<&T> {
        self.marks.get()
    }
}
