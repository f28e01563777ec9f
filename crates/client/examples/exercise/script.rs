//! What to ask of which server.

use anyhow::{Result, ensure};
use anypod_client::proto::content::ContentBlock;
use anypod_client::proto::tools::CallToolResult;
use serde_json::{Value, json};

/// A call and what its text must contain.
pub(crate) struct Step {
    pub(crate) tool: &'static str,
    pub(crate) arguments: Value,
    pub(crate) expected: &'static [&'static str],
}

impl Step {
    const fn new(tool: &'static str, arguments: Value, expected: &'static [&'static str]) -> Self {
        Self { tool, arguments, expected }
    }

    pub(crate) fn check(&self, result: &CallToolResult) -> Result<()> {
        let text = text(result);
        ensure!(result.is_error != Some(true), "{} failed: {text}", self.tool);
        for expected in self.expected {
            ensure!(text.contains(expected), "{} answered {text:?}, without {expected:?}", self.tool);
        }
        Ok(())
    }
}

/// The texts of a result.
pub(crate) fn text(result: &CallToolResult) -> String {
    let texts = result.content.iter().filter_map(|block| match block {
        ContentBlock::Text(content) => Some(content.text.as_str()),
        ContentBlock::Image(_) | ContentBlock::Audio(_) | ContentBlock::ResourceLink(_) | ContentBlock::Resource(_) => {
            None
        }
    });
    texts.collect::<Vec<_>>().join("\n")
}

/// A list that changes when a tool is called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Changing {
    Tools,
    Resources,
}

/// What a server offers for each feature; `None` where it has nothing for it.
pub(crate) struct Script {
    pub(crate) echo: Step,
    /// A tool that fails.
    pub(crate) fails: Step,
    pub(crate) structured: (Step, Value),
    pub(crate) progress: Step,
    /// A tool that runs until it is cancelled.
    pub(crate) slow: Option<Step>,
    /// A tool whose structured content has the `count` of calls that were cancelled.
    pub(crate) cancellations: Option<Step>,
    /// A tool with an argument that travels in a header as well.
    pub(crate) headers: Option<Step>,
    pub(crate) elicitation: Option<Step>,
    /// A tool that asks twice.
    pub(crate) rounds: Option<Step>,
    pub(crate) sampling: Option<Step>,
    pub(crate) roots: Option<Step>,
    /// A tool that changes a list.
    pub(crate) changes_list: (Step, Changing),
    /// A tool that changes a resource, and whether it then reads differently.
    pub(crate) touches: (Step, &'static str, bool),
    /// The URIs of a text and of bytes.
    pub(crate) resources: (&'static str, &'static str),
    /// A template, a URI of it, and what that resource contains.
    pub(crate) template: (&'static str, &'static str, &'static str),
    /// A prompt, its arguments, and what it then contains.
    pub(crate) prompt: (&'static str, &'static [(&'static str, &'static str)], &'static str),
    /// A prompt, one of its arguments, its beginning, and a value that is suggested.
    pub(crate) completion: (&'static str, &'static str, &'static str, &'static str),
    pub(crate) logging: Logging,
}

/// How to have the server log.
pub(crate) enum Logging {
    /// A tool that logs a line at each of debug, info, warning and error.
    Levels(Step),
    /// A tool that turns logging on, and one that tells progress and goes on for long enough to hear of it.
    During { on: Step, call: Step },
}

impl Script {
    /// The fixtures of this repository.
    pub(crate) fn peer() -> Self {
        let none = || json!({});
        Self {
            echo: Step::new("echo", json!({ "text": "once more" }), &["once more"]),
            fails: Step::new("fail", none(), &[]),
            structured: (Step::new("add", json!({ "a": 2, "b": 3 }), &[]), json!({ "sum": 5 })),
            progress: Step::new("count", json!({ "to": 5 }), &["counted to 5"]),
            slow: Some(Step::new("slow", none(), &[])),
            cancellations: Some(Step::new("cancellations", none(), &[])),
            headers: Some(Step::new("route", json!({ "region": "\u{dc}bersee " }), &["\u{dc}bersee "])),
            elicitation: Some(Step::new("ask", none(), &["Ada: Who are you?", "green", "true"])),
            rounds: Some(Step::new("quiz", none(), &["Ada: What is your name?, Ada: What is your quest?"])),
            sampling: Some(Step::new("sample", json!({ "prompt": "Say it." }), &["sampled: Say it."])),
            roots: Some(Step::new("roots", none(), &["file:///exercise"])),
            changes_list: (Step::new("toggle", none(), &[]), Changing::Tools),
            touches: (Step::new("touch", none(), &[]), "peer://counter", true),
            resources: ("peer://counter", "peer://bytes"),
            template: ("peer://greeting/{name}", "peer://greeting/Ada", "Hello, Ada!"),
            prompt: ("greet", &[("name", "Ada"), ("style", "formal")], "Greet Ada, formal."),
            completion: ("greet", "style", "c", "cheerful"),
            logging: Logging::Levels(Step::new("log", none(), &[])),
        }
    }

    /// `@modelcontextprotocol/server-everything`.
    pub(crate) fn everything() -> Self {
        let none = || json!({});
        let weather = json!({ "temperature": 36, "conditions": "Light rain / drizzle", "humidity": 82 });
        let file = json!({ "name": "exercise.gz", "data": "data:text/plain,exercise", "outputType": "resourceLink" });
        Self {
            echo: Step::new("echo", json!({ "message": "once more" }), &["once more"]),
            fails: Step::new("get-sum", json!({ "a": "no number", "b": 1 }), &[]),
            structured: (Step::new("get-structured-content", json!({ "location": "Chicago" }), &[]), weather),
            progress: Step::new("trigger-long-running-operation", json!({ "duration": 0.2, "steps": 5 }), &[]),
            slow: None,
            cancellations: None,
            headers: None,
            elicitation: Some(Step::new("trigger-elicitation-request", none(), &["Ada: "])),
            rounds: None,
            sampling: Some(Step::new(
                "trigger-sampling-request",
                json!({ "prompt": "Say it.", "maxTokens": 50 }),
                &["sampled: ", "Say it."],
            )),
            roots: Some(Step::new("get-roots-list", none(), &["file:///exercise"])),
            changes_list: (Step::new("gzip-file-as-resource", file, &[]), Changing::Resources),
            touches: (
                Step::new("toggle-subscriber-updates", none(), &[]),
                "demo://resource/static/document/architecture.md",
                false,
            ),
            resources: ("demo://resource/static/document/architecture.md", "demo://resource/dynamic/blob/1"),
            template: ("demo://resource/dynamic/text/{resourceId}", "demo://resource/dynamic/text/3", "Resource 3"),
            prompt: ("args-prompt", &[("city", "Cork"), ("state", "Munster")], "weather in Cork, Munster"),
            completion: ("completable-prompt", "department", "S", "Support"),
            logging: Logging::During {
                on: Step::new("toggle-simulated-logging", none(), &[]),
                call: Step::new("trigger-long-running-operation", json!({ "duration": 2, "steps": 4 }), &[]),
            },
        }
    }
}
