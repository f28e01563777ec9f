//! The pods that a legacy client meets.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anypod_server::proto::sampling::CreateMessageRequestParams;
use anypod_server::{
    Bus, BusError, Cx, Event, InProcess, Json, Receiver, Reply, Resource, Result, Server, ServerBuilder, State, Tool,
    form, url,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::{Notify, mpsc};

use crate::support::World;
use crate::support::fixture::base;

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(super) struct Name {
    name: String,
}

/// What the tests see of the handlers' side.
#[derive(Clone)]
pub(super) struct Inside {
    /// Lets `wait` go on.
    pub(super) go: Arc<Notify>,
    /// What `wait` says: `waiting`, `done`, and `dropped` if it was cancelled.
    says: mpsc::Sender<&'static str>,
    /// How often the step of `steps` ran.
    pub(super) steps: Arc<AtomicUsize>,
}

/// A server with a handler for each thing that a legacy client can be asked.
pub(super) fn pod(world: &World) -> (ServerBuilder, Inside, mpsc::Receiver<&'static str>) {
    let (says, said) = mpsc::channel(8);
    let inside = Inside { go: Arc::default(), says, steps: Arc::default() };
    #[expect(deprecated, reason = "deprecated features work until the specification removes them")]
    let builder = base(world).with_logging();
    let builder = builder
        .state(inside.clone())
        .tool(Tool::new("hello", async || "hello"))
        .tool(Tool::new("who", who))
        .tool(Tool::new("structured", async || Json(Name { name: "x".to_owned() })))
        .tool(Tool::new("confirm", confirm))
        .tool(Tool::new("visit", visit))
        .tool(Tool::new("ask-model", ask_model))
        .tool(Tool::new("ask-roots", ask_roots))
        .tool(Tool::new("ask-all", ask_all))
        .tool(Tool::new("steps", steps))
        .tool(Tool::new("endless", endless))
        .tool(Tool::new("progress", progress))
        .tool(Tool::new("log", log))
        .tool(Tool::new("wait", wait))
        .resource(Resource::new("test://a", "a", async || "a"));
    (builder, inside, said)
}

pub(super) fn one() -> Server {
    pod(&World::default()).0.build().expect("it builds")
}

/// Two pods with one ring, as far apart as two processes.
pub(super) fn two() -> (Server, Server) {
    let world = World::default();
    (pod(&world).0.build().expect("it builds"), pod(&world).0.build().expect("it builds"))
}

/// A bus that several pods of a test share.
#[derive(Clone, Default)]
pub(crate) struct Shared(Arc<InProcess>);

impl Bus for Shared {
    fn publish(
        &self,
        event: Event,
    ) -> std::pin::Pin<Box<dyn Future<Output = std::result::Result<(), BusError>> + Send + '_>> {
        self.0.publish(event)
    }

    fn attach(&self, receiver: std::sync::Weak<dyn Receiver>) {
        self.0.attach(receiver);
    }

    fn is_shared(&self) -> bool {
        true
    }
}

/// A bus of a fleet that takes nothing.
pub(super) struct Away;

impl Bus for Away {
    fn publish(
        &self,
        _: Event,
    ) -> std::pin::Pin<Box<dyn Future<Output = std::result::Result<(), BusError>> + Send + '_>> {
        Box::pin(async { Err(BusError("away".to_owned())) })
    }

    fn attach(&self, _: std::sync::Weak<dyn Receiver>) {}

    fn is_shared(&self) -> bool {
        true
    }
}

/// Two pods with one ring and one bus.
pub(super) fn two_on_a_bus() -> (Server, Server) {
    let (world, bus) = (World::default(), Shared::default());
    let pod = || pod(&world).0.bus(bus.clone()).build().expect("it builds");
    (pod(), pod())
}

async fn who(cx: Cx) -> String {
    cx.client_info().map_or_else(|| "?".to_owned(), |info| format!("{} {}", info.name, info.version))
}

fn told(reply: Reply<Name>) -> String {
    match reply {
        Reply::Accepted(Name { name }) => format!("accepted {name}"),
        Reply::Declined => "declined".to_owned(),
        Reply::Cancelled => "cancelled".to_owned(),
    }
}

async fn confirm(cx: Cx) -> Result<String> {
    Ok(told(cx.ask("name", form::<Name>("Who?")).await?))
}

async fn visit(cx: Cx) -> Result<String> {
    Ok(format!("{:?}", cx.ask("page", url("Sign in", "https://id.example/sign-in")).await?))
}

#[expect(deprecated, reason = "deprecated features work until the specification removes them")]
async fn ask_model(cx: Cx) -> Result<String> {
    let question: CreateMessageRequestParams = serde_json::from_value(json!({
        "messages": [{ "role": "user", "content": { "type": "text", "text": "2 + 2?" } }],
        "maxTokens": 10,
    }))?;
    Ok(cx.ask("model", anypod_server::sample(question)).await?.model)
}

#[expect(deprecated, reason = "deprecated features work until the specification removes them")]
async fn ask_roots(cx: Cx) -> Result<String> {
    let roots = cx.ask("roots", anypod_server::roots()).await?;
    Ok(roots.into_iter().map(|root| root.uri).collect::<Vec<_>>().join(" "))
}

#[expect(deprecated, reason = "deprecated features work until the specification removes them")]
async fn ask_all(cx: Cx) -> Result<String> {
    let (name, roots) = tokio::join!(cx.ask("name", form::<Name>("Who?")), cx.ask("roots", anypod_server::roots()),);
    Ok(format!("{}, {} roots", told(name?), roots?.len()))
}

async fn steps(State(inside): State<Inside>, cx: Cx) -> Result<String> {
    let ran = cx.step("once", || async { Ok::<_, anypod_server::Error>(inside.steps.fetch_add(1, Ordering::SeqCst)) });
    ran.await?;
    let first = told(cx.ask("first", form::<Name>("First?")).await?);
    let second = told(cx.ask("second", form::<Name>("Second?")).await?);
    Ok(format!("{first}, {second}"))
}

async fn progress(cx: Cx) -> Result<String> {
    cx.progress(1.0, None, None);
    cx.progress(2.0, None, None);
    let name = told(cx.ask("name", form::<Name>("Who?")).await?);
    cx.progress(3.0, None, None);
    Ok(name)
}

async fn endless(cx: Cx) -> Result<String> {
    for round in 0.. {
        cx.ask(&format!("round {round}"), form::<Name>("Again?")).await?;
    }
    Ok("never".to_owned())
}

#[expect(deprecated, reason = "deprecated features work until the specification removes them")]
async fn log(cx: Cx) -> &'static str {
    use anypod_server::proto::logging::LoggingLevel;
    for level in LoggingLevel::ALL {
        cx.log(level, None, "x");
    }
    "logged"
}

async fn wait(State(inside): State<Inside>, cx: Cx) -> &'static str {
    struct Says(mpsc::Sender<&'static str>, &'static str);
    impl Drop for Says {
        fn drop(&mut self) {
            let _ = self.0.try_send(self.1);
        }
    }
    let mut says = Says(inside.says.clone(), "dropped");
    cx.progress(1.0, None, None);
    let _ = inside.says.try_send("waiting");
    inside.go.notified().await;
    says.1 = "done";
    "waited"
}
