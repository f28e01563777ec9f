//! What a request is about, where that is mirrored into `Mcp-Name`.
//!
//! Spec: basic/transports/streamable-http, "Request Metadata".

use crate::method::{Method, TaskMethod};

/// The member of `params` that `Mcp-Name` mirrors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameParam {
    /// The name of a tool or prompt.
    Name,
    /// The URI of a resource.
    Uri,
    /// The id of a task.
    TaskId,
}

impl NameParam {
    /// That of a method, if it has one.
    pub fn of(method: &str) -> Option<Self> {
        match Method::parse(method) {
            Some(method) => method.name_param(),
            None => TaskMethod::parse(method).map(|_| Self::TaskId),
        }
    }

    /// Its key.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Uri => "uri",
            Self::TaskId => "taskId",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_that_is_about_something_says_where_it_stands() {
        for (method, key) in [
            (Method::ToolsCall.as_str(), Some("name")),
            (Method::PromptsGet.as_str(), Some("name")),
            (Method::ResourcesRead.as_str(), Some("uri")),
            (TaskMethod::Get.as_str(), Some("taskId")),
            (Method::ToolsList.as_str(), None),
            ("of an extension", None),
        ] {
            assert_eq!(NameParam::of(method).map(NameParam::as_str), key, "{method}");
        }
    }
}
