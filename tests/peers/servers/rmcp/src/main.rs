//! A server of the official Rust SDK, in both eras.
//!
//! ```text
//! rmcp-peer [--stdio]
//! ```
//!
//! Over HTTP, legacy clients get sessions. What it offers stands in `../catalogue.json`, as for its siblings.

#![expect(deprecated, reason = "sampling, roots and logging are among the features under test")]

mod asks;
mod catalogue;
mod tools;

use std::{
    error::Error,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize},
    },
    time::Duration,
};

use axum::Router;
use rmcp::{
    ErrorData, Peer, RoleServer, ServerHandler, ServiceExt,
    model::*,
    service::{RequestContext, SubscriptionContext},
    transport::{
        stdio,
        streamable_http_server::{
            StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
        },
    },
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::broadcast};

use crate::catalogue::{Catalogue, parse, result};

/// What listeners are told.
#[derive(Clone, Copy)]
enum Change {
    /// The list of tools.
    Tools,
    /// The contents of `peer://counter`.
    Counter,
}

/// What lives as long as the process, however many sessions it serves.
struct State {
    catalogue: Catalogue,
    extra: AtomicBool,
    counter: AtomicUsize,
    cancellations: AtomicUsize,
    changes: broadcast::Sender<Change>,
}

/// One session, or one modern request.
#[derive(Clone)]
struct Server {
    state: Arc<State>,
    /// What the session's client asked for, which modern clients do by request.
    legacy: Arc<Mutex<Legacy>>,
}

#[derive(Default)]
struct Legacy {
    watches_counter: bool,
    level: Option<LoggingLevel>,
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = parse(json!({
            "tools": { "listChanged": true },
            "resources": { "subscribe": true },
            "prompts": {},
            "completions": {},
            "logging": {},
        }));
        ServerConfig::new(capabilities).with_server_info(Implementation::new("peer", "1.0.0"))
    }

    async fn list_tools(
        &self,
        params: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let extra = self.state.extra.load(std::sync::atomic::Ordering::SeqCst);
        self.state.catalogue.tools_page(params.and_then(|params| params.cursor), extra)
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.state.catalogue.tool(name)
    }

    async fn call_tool(
        &self,
        params: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        self.call(params, context).await
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(result(json!({ "resources": self.state.catalogue.resources })))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(result(json!({ "resourceTemplates": self.state.catalogue.templates })))
    }

    async fn read_resource(
        &self,
        params: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let counter = self.state.counter.load(std::sync::atomic::Ordering::SeqCst);
        Ok(self.state.catalogue.read(&params.uri, counter)?.into())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut changes = self.state.changes.subscribe();
        loop {
            let change = tokio::select! {
                () = context.cancelled() => return Ok(()),
                change = changes.recv() => change,
            };
            // A change that the listener did not ask for is refused by the SDK.
            let _ = match change {
                Ok(Change::Tools) => context.sink().notify_tool_list_changed().await,
                Ok(Change::Counter) => context.sink().notify_resource_updated(catalogue::COUNTER).await,
                Err(_) => return Ok(()),
            };
        }
    }

    async fn subscribe(&self, params: SubscribeRequestParams, _: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        self.legacy().watches_counter |= params.uri == catalogue::COUNTER;
        Ok(())
    }

    async fn unsubscribe(
        &self,
        params: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.legacy().watches_counter &= params.uri != catalogue::COUNTER;
        Ok(())
    }

    async fn set_level(&self, params: SetLevelRequestParams, _: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        self.legacy().level = Some(params.level);
        Ok(())
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(result(json!({ "prompts": self.state.catalogue.prompts })))
    }

    async fn get_prompt(
        &self,
        params: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let filled = Value::from(params.arguments.unwrap_or_default());
        let (Some(name), "greet") = (filled["name"].as_str(), params.name.as_str()) else {
            return Err(ErrorData::invalid_params("no such prompt, or it lacks a name", None));
        };
        let text = format!("Greet {name}, {}.", filled["style"].as_str().unwrap_or("casual"));
        let message = json!({ "role": "user", "content": { "type": "text", "text": text } });
        Ok(result::<GetPromptResult>(json!({ "messages": [message] })).into())
    }

    async fn complete(
        &self,
        params: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let values = match params.argument.name.as_str() {
            "style" => self.state.catalogue.styles(&params.argument.value),
            _ => Vec::new(),
        };
        let completion = json!({ "values": values, "total": values.len(), "hasMore": false });
        Ok(result(json!({ "completion": completion })))
    }
}

impl Server {
    fn legacy(&self) -> std::sync::MutexGuard<'_, Legacy> {
        self.legacy.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Tells modern listeners, and the legacy client whose session this is.
    async fn tell(&self, change: Change, peer: &Peer<RoleServer>, modern: bool) {
        // An error says that nobody listens.
        let _ = self.state.changes.send(change);
        if modern {
            return;
        }
        let watches = self.legacy().watches_counter;
        let _ = match change {
            Change::Tools => peer.notify_tool_list_changed().await,
            Change::Counter if !watches => Ok(()),
            Change::Counter => {
                peer.notify_resource_updated(ResourceUpdatedNotificationParam::new(catalogue::COUNTER)).await
            }
        };
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let state = Arc::new(State {
        catalogue: Catalogue::read_in(),
        extra: AtomicBool::new(false),
        counter: AtomicUsize::new(0),
        cancellations: AtomicUsize::new(0),
        changes: broadcast::channel(16).0,
    });
    let server = move || Server { state: Arc::clone(&state), legacy: Arc::default() };
    if std::env::args().any(|argument| argument == "--stdio") {
        server().serve(stdio()).await?.waiting().await?;
        return Ok(());
    }
    let config = StreamableHttpServerConfig::default().with_sse_retry(Some(Duration::from_millis(100)));
    let sessions = Arc::new(LocalSessionManager::default());
    let service = StreamableHttpService::new(move || Ok(server()), sessions, config);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on http://{}/mcp", listener.local_addr()?);
    Ok(axum::serve(listener, Router::new().nest_service("/mcp", service)).await?)
}
