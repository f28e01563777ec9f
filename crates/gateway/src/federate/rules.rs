//! Which strings of results, notifications and requests belong to an upstream and are written anew on their way: names,
//! URIs and task ids. `requestState` is not among them, nor are cursors: they are sealed as a whole.
//!
//! Spec: schema, all that has a `uri`; the extension `io.modelcontextprotocol/tasks`, all that has a `taskId`.

use std::sync::LazyLock;

use anypod_proto::method::{Method, Notification, TaskMethod};
use memchr::memmem::Finder;

/// What a string is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// The name of a tool or prompt.
    Name,
    /// The URI of a resource, or a template.
    Uri,
    /// The URI of a resource that something else names.
    Resource,
    /// The id of a task.
    TaskId,
}

/// A step to a value within another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The member of that name.
    Member(&'static str),
    /// Each item.
    Items,
}

/// Where a string stands, from the result or the `params`, and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rule {
    /// What it is.
    pub(crate) what: What,
    /// The way to it.
    pub(crate) path: &'static [Step],
}

impl Rule {
    pub(super) const fn new(what: What, path: &'static [Step]) -> Self {
        Self { what, path }
    }
}

const CONTENTS_URI: Rule = Rule::new(What::Uri, &[Step::Member("contents"), Step::Items, Step::Member("uri")]);

/// Of what a tool gives back. A link has its `uri` itself, an embedded resource within `resource`.
const CONTENT_URI: Rule = Rule::new(What::Uri, &[Step::Member("content"), Step::Items, Step::Member("uri")]);
const CONTENT_RESOURCE_URI: Rule =
    Rule::new(What::Uri, &[Step::Member("content"), Step::Items, Step::Member("resource"), Step::Member("uri")]);

const MESSAGES_URI: Rule =
    Rule::new(What::Uri, &[Step::Member("messages"), Step::Items, Step::Member("content"), Step::Member("uri")]);
const MESSAGES_RESOURCE_URI: Rule = Rule::new(
    What::Uri,
    &[Step::Member("messages"), Step::Items, Step::Member("content"), Step::Member("resource"), Step::Member("uri")],
);

/// Of the result of a task, which is that of a tool.
const RESULT_URI: Rule =
    Rule::new(What::Uri, &[Step::Member("result"), Step::Member("content"), Step::Items, Step::Member("uri")]);
const RESULT_RESOURCE_URI: Rule = Rule::new(
    What::Uri,
    &[Step::Member("result"), Step::Member("content"), Step::Items, Step::Member("resource"), Step::Member("uri")],
);

const NAME: Rule = Rule::new(What::Name, &[Step::Member("name")]);
const URI: Rule = Rule::new(What::Uri, &[Step::Member("uri")]);
const TASK_ID: Rule = Rule::new(What::TaskId, &[Step::Member("taskId")]);
const REF_NAME: Rule = Rule::new(What::Name, &[Step::Member("ref"), Step::Member("name")]);
const REF_URI: Rule = Rule::new(What::Uri, &[Step::Member("ref"), Step::Member("uri")]);

/// Of what a listener asks for, and of what is acknowledged.
const LISTENED: &[Rule] = &[
    Rule::new(What::Uri, &[Step::Member("notifications"), Step::Member("resourceSubscriptions"), Step::Items]),
    Rule::new(What::TaskId, &[Step::Member("notifications"), Step::Member("taskIds"), Step::Items]),
];

const DETAILED_TASK: &[Rule] = &[TASK_ID, RESULT_URI, RESULT_RESOURCE_URI];

/// What to write anew in the result of that method. Results of lists are not here: they are merged.
pub(crate) const fn of_result(method: Method) -> &'static [Rule] {
    match method {
        Method::ToolsCall => &[CONTENT_URI, CONTENT_RESOURCE_URI, TASK_ID],
        Method::PromptsGet => &[MESSAGES_URI, MESSAGES_RESOURCE_URI],
        Method::ResourcesRead => &[CONTENTS_URI],
        Method::Discover
        | Method::ToolsList
        | Method::PromptsList
        | Method::ResourcesList
        | Method::ResourceTemplatesList
        | Method::Complete
        | Method::SubscriptionsListen => &[],
    }
}

/// What to write anew in the result of that method of the tasks extension.
pub(crate) const fn of_task_result(method: TaskMethod) -> &'static [Rule] {
    match method {
        TaskMethod::Get => DETAILED_TASK,
        TaskMethod::Update | TaskMethod::Cancel => &[],
    }
}

/// What to write anew in the `params` of that notification.
pub(crate) const fn of_notification(method: Notification) -> &'static [Rule] {
    match method {
        Notification::ResourceUpdated => &[URI],
        Notification::TaskStatus => DETAILED_TASK,
        Notification::SubscriptionsAcknowledged => LISTENED,
        Notification::Cancelled
        | Notification::Progress
        | Notification::Message
        | Notification::ResourcesListChanged
        | Notification::ToolsListChanged
        | Notification::PromptsListChanged
        | Notification::Initialized
        | Notification::RootsListChanged
        | Notification::ElicitationComplete => &[],
    }
}

/// What to write anew in the `params` of that request, in the other direction.
pub(crate) const fn of_request(method: Method) -> &'static [Rule] {
    match method {
        Method::ToolsCall | Method::PromptsGet => &[NAME],
        Method::ResourcesRead => &[URI],
        Method::Complete => &[REF_NAME, REF_URI],
        Method::SubscriptionsListen => LISTENED,
        Method::Discover
        | Method::ToolsList
        | Method::PromptsList
        | Method::ResourcesList
        | Method::ResourceTemplatesList => &[],
    }
}

/// What to write anew in the `params` of that request of the tasks extension, in the other direction.
#[cfg(test)]
pub(crate) const fn of_task_request(method: TaskMethod) -> &'static [Rule] {
    match method {
        TaskMethod::Get | TaskMethod::Update | TaskMethod::Cancel => &[TASK_ID],
    }
}

/// Whether `text` may have something that a rule for results, or for [`Notification::ResourceUpdated`] and
/// [`Notification::TaskStatus`], leads to. A quick look, without parsing: it errs only in saying yes. Most results have
/// neither a URI nor a task id, and are passed on as they are.
pub(crate) fn may_have_any(text: &str) -> bool {
    // To prepare a search costs more than to search a short text.
    static KEYS: LazyLock<[Finder<'static>; 2]> =
        LazyLock::new(|| [Finder::new(r#""uri""#), Finder::new(r#""taskId""#)]);
    let bytes = text.as_bytes();
    // A key can be spelled with escapes. The letters of these have none but such as `\u0075`.
    let escaped = || [r"\u004", r"\u006", r"\u007"].iter().any(|mark| text.contains(mark));
    KEYS.iter().any(|key| key.find(bytes).is_some()) || memchr::memchr(b'\\', bytes).is_some() && escaped()
}

#[cfg(test)]
mod tests {
    use super::super::edit::edit;
    use super::*;

    fn marked(text: &str, rules: &[Rule]) -> String {
        edit(text, rules, |what, own| Some(format!("{what:?}({own})"))).unwrap().into_owned()
    }

    #[test]
    fn results_are_written_anew_where_they_name_resources_and_tasks() {
        let rows: &[(&[Rule], &str, &str)] = &[
            (
                of_result(Method::ResourcesRead),
                r#"{"contents":[{"uri":"a","text":"b"},{"uri":"c","blob":"","_meta":{"uri":"d"}}],"uri":"e"}"#,
                r#"{"contents":[{"uri":"Uri(a)","text":"b"},{"uri":"Uri(c)","blob":"","_meta":{"uri":"d"}}],"uri":"e"}"#,
            ),
            (
                of_result(Method::ToolsCall),
                r#"{"content":[{"type":"resource_link","uri":"a"},{"type":"resource","resource":{"uri":"b"}}],"structuredContent":{"uri":"c"}}"#,
                r#"{"content":[{"type":"resource_link","uri":"Uri(a)"},{"type":"resource","resource":{"uri":"Uri(b)"}}],"structuredContent":{"uri":"c"}}"#,
            ),
            (
                of_result(Method::ToolsCall),
                r#"{"resultType":"task","taskId":"1","status":"working"}"#,
                r#"{"resultType":"task","taskId":"TaskId(1)","status":"working"}"#,
            ),
            (
                of_result(Method::PromptsGet),
                r#"{"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":"a"}}},{"content":{"type":"resource_link","uri":"b"}}]}"#,
                r#"{"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":"Uri(a)"}}},{"content":{"type":"resource_link","uri":"Uri(b)"}}]}"#,
            ),
            (
                of_task_result(TaskMethod::Get),
                r#"{"taskId":"1","result":{"content":[{"uri":"a"},{"resource":{"uri":"b"}}],"taskId":"2"}}"#,
                r#"{"taskId":"TaskId(1)","result":{"content":[{"uri":"Uri(a)"},{"resource":{"uri":"Uri(b)"}}],"taskId":"2"}}"#,
            ),
            (of_notification(Notification::ResourceUpdated), r#"{"uri":"a"}"#, r#"{"uri":"Uri(a)"}"#),
            (of_notification(Notification::TaskStatus), r#"{"taskId":"1"}"#, r#"{"taskId":"TaskId(1)"}"#),
            (
                of_notification(Notification::SubscriptionsAcknowledged),
                r#"{"notifications":{"resourceSubscriptions":["a","b"],"taskIds":["1"],"toolsListChanged":true}}"#,
                r#"{"notifications":{"resourceSubscriptions":["Uri(a)","Uri(b)"],"taskIds":["TaskId(1)"],"toolsListChanged":true}}"#,
            ),
        ];
        for (rules, text, edited) in rows {
            assert_eq!(marked(text, rules), *edited);
            assert!(may_have_any(text) || *rules == LISTENED, "{text}");
        }
    }

    #[test]
    fn requests_are_written_anew_where_they_name_something() {
        let rows: &[(&[Rule], &str, &str)] = &[
            (
                of_request(Method::ToolsCall),
                r#"{"name":"a","arguments":{"name":"b"}}"#,
                r#"{"name":"Name(a)","arguments":{"name":"b"}}"#,
            ),
            (of_request(Method::PromptsGet), r#"{"name":"a"}"#, r#"{"name":"Name(a)"}"#),
            (of_request(Method::ResourcesRead), r#"{"uri":"a"}"#, r#"{"uri":"Uri(a)"}"#),
            (
                of_request(Method::Complete),
                r#"{"ref":{"type":"ref/prompt","name":"a"},"argument":{"name":"b"}}"#,
                r#"{"ref":{"type":"ref/prompt","name":"Name(a)"},"argument":{"name":"b"}}"#,
            ),
            (
                of_request(Method::SubscriptionsListen),
                r#"{"notifications":{"taskIds":["1"]}}"#,
                r#"{"notifications":{"taskIds":["TaskId(1)"]}}"#,
            ),
            (of_task_request(TaskMethod::Cancel), r#"{"taskId":"1"}"#, r#"{"taskId":"TaskId(1)"}"#),
        ];
        for (rules, text, edited) in rows {
            assert_eq!(marked(text, rules), *edited);
        }
    }

    #[test]
    fn the_quick_look_misses_no_spelling_of_a_key() {
        for key in ["uri", "taskId"] {
            for at in 0..key.len() {
                for escape in [format!("\\u{:04x}", key.as_bytes()[at]), format!("\\u{:04X}", key.as_bytes()[at])] {
                    let text = format!("{{\"{}{escape}{}\":\"x\"}}", &key[..at], &key[at + 1..]);
                    assert!(may_have_any(&text), "{text}");
                }
            }
        }
        for text in [r#"{"content":[{"type":"text","text":"security, uri, \u00e9 \n"}]}"#, "{}"] {
            assert!(!may_have_any(text), "{text}");
        }
    }
}
