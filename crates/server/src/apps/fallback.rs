//! Text beside what pages show, for hosts that show none, and for the model.

use anypod_proto::content::ContentBlock;
use anypod_proto::tools::CallToolResult;

use crate::backend::BoxFuture;
use crate::error::Result;
use crate::extension::{Intercept, ToolCall, Verdict};

/// Marks a tool that has a page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown;

/// Sees to it that results of tools with pages say something in `content`. Whether the host shows pages makes no difference:
/// the model reads the same, and a result may be read by another client than the one that called.
pub(super) struct Fallback;

impl Intercept for Fallback {
    fn before<'a>(&'a self, _: &'a ToolCall) -> BoxFuture<'a, Result<Verdict>> {
        Box::pin(std::future::ready(Ok(Verdict::GoOn)))
    }

    fn after(&self, call: &ToolCall, result: &mut CallToolResult) {
        if call.mark::<Shown>().is_none() || !result.content.is_empty() {
            return;
        }
        match &result.structured_content {
            Some(data) => result.content.push(ContentBlock::text(data.to_string())),
            None => tracing::warn!(tool = call.name(), "a tool with a page gave no text for hosts that do not show it"),
        }
    }
}
