//! The tools.

use std::{sync::atomic::Ordering, time::Duration};

use rmcp::{
    ErrorData, RoleServer,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, LoggingLevel,
        LoggingMessageNotificationParam, ProgressNotificationParam,
    },
    service::RequestContext,
};
use serde_json::{Value, json};

use crate::{Change, Server, asks::is_modern, catalogue::parse};

pub(crate) fn say(text: String) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(text)])
}

impl Server {
    pub(crate) async fn call(
        &self,
        params: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let given = Value::from(params.arguments.clone().unwrap_or_default());
        let text = |name: &str| given[name].as_str().map(str::to_owned).ok_or_else(|| lacks(name));
        let number = |name: &str| given[name].as_i64().ok_or_else(|| lacks(name));
        let result = match &*params.name {
            "echo" => say(text("text")?),
            "add" => CallToolResult::structured(json!({ "sum": number("a")? + number("b")? })),
            "fail" => CallToolResult::error(vec![ContentBlock::text("it did not work")]),
            "route" => say(text("region")?),
            "count" => count(number("to")?, &context).await,
            "slow" => self.slow(&context).await,
            "cancellations" => {
                CallToolResult::structured(json!({ "count": self.state.cancellations.load(Ordering::SeqCst) }))
            }
            "ask" => return self.ask_form(&params, &context).await,
            "quiz" => return self.quiz(&params, &context).await,
            "sample" => return self.sample(&params, &context, &text("prompt")?).await,
            "roots" => return self.roots(&params, &context).await,
            "log" => self.log(&context).await,
            "toggle" => {
                self.state.extra.fetch_xor(true, Ordering::SeqCst);
                self.tell(Change::Tools, &context.peer, is_modern(&context)).await;
                say("toggled".to_owned())
            }
            "touch" => {
                self.state.counter.fetch_add(1, Ordering::SeqCst);
                self.tell(Change::Counter, &context.peer, is_modern(&context)).await;
                say("touched".to_owned())
            }
            name => return Err(ErrorData::invalid_params(format!("no tool {name}"), None)),
        };
        Ok(result.into())
    }

    /// Tells progress until it is cancelled or ten seconds are over.
    async fn slow(&self, context: &RequestContext<RoleServer>) -> CallToolResult {
        for step in 1..=200 {
            progress(context, f64::from(step), None).await;
            tokio::select! {
                () = context.ct.cancelled() => {
                    self.state.cancellations.fetch_add(1, Ordering::SeqCst);
                    return say("cancelled".to_owned());
                }
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
        }
        say("nobody cancelled it".to_owned())
    }

    /// Logs what the request asks for, or the session, or everything.
    async fn log(&self, context: &RequestContext<RoleServer>) -> CallToolResult {
        let least = if is_modern(context) {
            context.meta.log_level().map_or(u8::MAX, rank)
        } else {
            self.legacy().level.map_or(0, rank)
        };
        for level in ["debug", "info", "warning", "error"] {
            let text = format!("a line at {level}");
            let level: LoggingLevel = parse(level.into());
            if rank(level) >= least {
                // The client may be gone; then it has no use for the line.
                let _ =
                    context.peer.notify_logging_message(LoggingMessageNotificationParam::new(level, text.into())).await;
            }
        }
        say("logged".to_owned())
    }
}

fn rank(level: LoggingLevel) -> u8 {
    level as u8
}

async fn count(to: i64, context: &RequestContext<RoleServer>) -> CallToolResult {
    for step in 1..=to {
        progress(context, step as f64, Some(to as f64)).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    say(format!("counted to {to}"))
}

async fn progress(context: &RequestContext<RoleServer>, done: f64, total: Option<f64>) {
    let Some(token) = context.meta.get_progress_token() else {
        return;
    };
    let mut notice = ProgressNotificationParam::new(token, done);
    notice.total = total;
    // The client may be gone; then it has no use for the notice.
    let _ = context.peer.notify_progress(notice).await;
}

fn lacks(name: &str) -> ErrorData {
    ErrorData::invalid_params(format!("the argument {name} is missing"), None)
}
