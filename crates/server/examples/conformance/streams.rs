//! Tools that say something before they answer, or that others hear of.

use std::time::Duration;

use anypod_server::proto::logging::LoggingLevel;
use anypod_server::{Args, Cx, Event, ServerBuilder, Tool};
use schemars::JsonSchema;
use serde::Deserialize;

/// Between two messages, so that clients see them come one by one.
const PAUSE: Duration = Duration::from_millis(50);
/// How often the slow tool reports.
const REPORT: Duration = Duration::from_millis(100);

pub(crate) fn offer(server: ServerBuilder) -> ServerBuilder {
    server
        .tool(Tool::new("test_tool_with_progress", progress).description("Reports progress three times"))
        .tool(Tool::new("test_tool_with_logging", logging).description("Logs three times"))
        .tool(Tool::new("test_logging_tool", logging).description("Logs three times, to those who asked for it"))
        .tool(Tool::new("test_slow", slow).description("Takes as long as it is told and reports progress"))
        .tool(Tool::new("test_reconnection", reconnection).description("Takes a moment"))
        .tool(Tool::new("test_trigger_tool_change", tools_changed).description("Says that the tools changed"))
        .tool(Tool::new("test_trigger_prompt_change", prompts_changed).description("Says that the prompts changed"))
}

async fn progress(cx: Cx) -> &'static str {
    for done in [0.0, 50.0, 100.0] {
        cx.progress(done, Some(100.0), None);
        tokio::time::sleep(PAUSE).await;
    }
    "Done."
}

#[expect(deprecated, reason = "clients still try the deprecated features")]
async fn logging(cx: Cx) -> &'static str {
    for message in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
        cx.log(LoggingLevel::Info, None, message);
        tokio::time::sleep(PAUSE).await;
    }
    "Logged three times."
}

#[derive(Deserialize, JsonSchema)]
struct Slow {
    /// How long to take.
    #[schemars(range(min = 0.0, max = 60.0))]
    seconds: f64,
}

async fn slow(Args(Slow { seconds }): Args<Slow>, cx: Cx) -> String {
    let mut ending = Ending { name: "test_slow", finished: false };
    let whole = Duration::from_secs_f64(seconds.clamp(0.0, 60.0));
    let mut waited = Duration::ZERO;
    while waited < whole {
        cx.progress(waited.as_secs_f64(), Some(seconds), None);
        let pause = REPORT.min(whole - waited);
        tokio::time::sleep(pause).await;
        waited += pause;
    }
    ending.finished = true;
    format!("Took {seconds} s.")
}

/// Says on standard error when a handler was dropped before its end, which is how cancellation reaches it.
struct Ending {
    name: &'static str,
    finished: bool,
}

impl Drop for Ending {
    fn drop(&mut self) {
        if !self.finished {
            eprintln!("cancelled {}", self.name);
        }
    }
}

async fn reconnection() -> &'static str {
    tokio::time::sleep(PAUSE).await;
    "Nothing here depends on one connection."
}

async fn tools_changed(cx: Cx) -> &'static str {
    cx.server().announce(Event::ToolsChanged).await;
    "Announced."
}

async fn prompts_changed(cx: Cx) -> &'static str {
    cx.server().announce(Event::PromptsChanged).await;
    "Announced."
}
