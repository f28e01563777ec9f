//! Method names, each written once.

use crate::name_param::NameParam;

macro_rules! methods {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// Every name of this kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The method of that name, if there is one. Names are case-sensitive.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)* _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

methods! {
    /// A request that a client sends to a server.
    Method {
        /// What the server is and can do.
        Discover = "server/discover",
        /// The tools, page by page.
        ToolsList = "tools/list",
        /// Runs a tool.
        ToolsCall = "tools/call",
        /// The prompts, page by page.
        PromptsList = "prompts/list",
        /// Renders a prompt.
        PromptsGet = "prompts/get",
        /// The resources, page by page.
        ResourcesList = "resources/list",
        /// The resource templates, page by page.
        ResourceTemplatesList = "resources/templates/list",
        /// Reads a resource.
        ResourcesRead = "resources/read",
        /// Suggests values for an argument.
        Complete = "completion/complete",
        /// Opens a stream of change notifications.
        SubscriptionsListen = "subscriptions/listen",
    }
}

impl Method {
    /// The member of `params` that `Mcp-Name` mirrors, if there is one.
    pub const fn name_param(self) -> Option<NameParam> {
        match self {
            Self::ToolsCall | Self::PromptsGet => Some(NameParam::Name),
            Self::ResourcesRead => Some(NameParam::Uri),
            Self::Discover
            | Self::ToolsList
            | Self::PromptsList
            | Self::ResourcesList
            | Self::ResourceTemplatesList
            | Self::Complete
            | Self::SubscriptionsListen => None,
        }
    }

    /// Whether a server may answer with questions first. Spec: basic/patterns/mrtr, "Supported Requests".
    pub const fn takes_rounds(self) -> bool {
        match self {
            Self::ToolsCall | Self::PromptsGet | Self::ResourcesRead => true,
            Self::Discover
            | Self::ToolsList
            | Self::PromptsList
            | Self::ResourcesList
            | Self::ResourceTemplatesList
            | Self::Complete
            | Self::SubscriptionsListen => false,
        }
    }

    /// Whether results carry caching hints, and may be kept. Spec: server/utilities/caching, "Cacheable Results".
    pub const fn is_cacheable(self) -> bool {
        match self {
            Self::Discover
            | Self::ToolsList
            | Self::PromptsList
            | Self::ResourcesList
            | Self::ResourceTemplatesList
            | Self::ResourcesRead => true,
            Self::ToolsCall | Self::PromptsGet | Self::Complete | Self::SubscriptionsListen => false,
        }
    }
}

methods! {
    /// A request that only legacy clients send.
    LegacyMethod {
        /// Opens a session.
        Initialize = "initialize",
        /// Asks whether the peer is there.
        Ping = "ping",
        /// Sets the least severe log level to be sent.
        SetLevel = "logging/setLevel",
        /// Asks for updates of one resource.
        Subscribe = "resources/subscribe",
        /// Ends such updates.
        Unsubscribe = "resources/unsubscribe",
    }
}

methods! {
    /// What a server asks of a client: as an input request (modern) or as a request of its own (legacy).
    ClientMethod {
        /// Asks the person.
        Elicit = "elicitation/create",
        /// Asks the model. Deprecated by the specification.
        CreateMessage = "sampling/createMessage",
        /// Asks for the workspace directories. Deprecated by the specification.
        ListRoots = "roots/list",
    }
}

methods! {
    /// A request of the extension [`crate::tasks`]. The name header mirrors `params.taskId`.
    TaskMethod {
        /// How far a task is, and its result.
        Get = "tasks/get",
        /// Answers a task's questions.
        Update = "tasks/update",
        /// A task is no longer wanted.
        Cancel = "tasks/cancel",
    }
}

methods! {
    /// A request about tasks in a session of 2025-11-25, see [`crate::legacy::tasks`]. Some have the names of those of
    /// [`TaskMethod`], and other shapes.
    LegacyTaskMethod {
        /// How far a task is.
        Get = "tasks/get",
        /// Waits until a task has ended, and gives its result.
        Result = "tasks/result",
        /// The tasks of the caller, page by page.
        List = "tasks/list",
        /// Ends a task.
        Cancel = "tasks/cancel",
    }
}

methods! {
    /// A one-way message.
    Notification {
        /// The sender no longer wants the answer to a request.
        Cancelled = "notifications/cancelled",
        /// A request has come this far.
        Progress = "notifications/progress",
        /// A log message. Deprecated by the specification.
        Message = "notifications/message",
        /// A subscribed resource has changed.
        ResourceUpdated = "notifications/resources/updated",
        /// The list of resources has changed.
        ResourcesListChanged = "notifications/resources/list_changed",
        /// The list of tools has changed.
        ToolsListChanged = "notifications/tools/list_changed",
        /// The list of prompts has changed.
        PromptsListChanged = "notifications/prompts/list_changed",
        /// The first message on a listen stream.
        SubscriptionsAcknowledged = "notifications/subscriptions/acknowledged",
        /// Of the extension [`crate::tasks`]: a task has changed.
        TaskStatus = "notifications/tasks",
        /// Legacy: the client is ready.
        Initialized = "notifications/initialized",
        /// Legacy: the client's roots have changed.
        RootsListChanged = "notifications/roots/list_changed",
        /// Legacy: an interaction opened by URL is over.
        ElicitationComplete = "notifications/elicitation/complete",
    }
}
