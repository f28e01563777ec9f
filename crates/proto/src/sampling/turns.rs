//! What a conversation in which tools are used has to look like.
//!
//! Spec: client/sampling, "Tool Result Messages", "Tool Use and Result Balance".

use super::{SamplingMessage, SamplingMessageContentBlock};
use crate::content::Role;

/// What is wrong with a conversation in which tools are used. The number is the place of the message, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TurnError {
    /// Tool results share a message with other content.
    #[error("message {0} mixes tool results with other content")]
    Mixed(usize),
    /// The next message is not made of the results of all tool calls.
    #[error("the tool calls of message {0} are not answered by the message after it")]
    Unanswered(usize),
}

pub(super) fn check(messages: &[SamplingMessage]) -> Result<(), TurnError> {
    for (at, message) in messages.iter().enumerate() {
        let blocks = message.content.blocks();
        if blocks.iter().any(is_result) && !blocks.iter().all(is_result) {
            return Err(TurnError::Mixed(at));
        }
        let next = messages.get(at + 1);
        let answered = |id: &str| next.is_some_and(|next| answers(next, id));
        if message.role == Role::Assistant && !blocks.iter().filter_map(call).all(answered) {
            return Err(TurnError::Unanswered(at));
        }
    }
    Ok(())
}

fn answers(message: &SamplingMessage, id: &str) -> bool {
    let is_answer = |block: &SamplingMessageContentBlock| match block {
        SamplingMessageContentBlock::ToolResult(result) => result.tool_use_id == id,
        SamplingMessageContentBlock::Text(_)
        | SamplingMessageContentBlock::Image(_)
        | SamplingMessageContentBlock::Audio(_)
        | SamplingMessageContentBlock::ToolUse(_) => false,
    };
    message.role == Role::User && message.content.blocks().iter().any(is_answer)
}

const fn is_result(block: &SamplingMessageContentBlock) -> bool {
    matches!(block, SamplingMessageContentBlock::ToolResult(_))
}

/// The id of a tool call.
fn call(block: &SamplingMessageContentBlock) -> Option<&str> {
    match block {
        SamplingMessageContentBlock::ToolUse(used) => Some(&used.id),
        SamplingMessageContentBlock::Text(_)
        | SamplingMessageContentBlock::Image(_)
        | SamplingMessageContentBlock::Audio(_)
        | SamplingMessageContentBlock::ToolResult(_) => None,
    }
}
