//! A backend that passes everything on to a real server, as a gateway would.

use std::sync::Arc;

use anypod_server::proto::discover::DiscoverResult;
use anypod_server::proto::param_header::ParamHeaders;
use anypod_server::proto::rounds::InputRequiredResult;
use anypod_server::proto::sse::{Decoder, Limits};
use anypod_server::proto::subscriptions::SubscriptionFilter;
use anypod_server::{
    Answered, Asked, Backend, Body, BoxFuture, Bus, Caller, Event, InProcess, Listened, Notices, Refusal, Server,
};
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::support::{Modern, modern};

/// Passes on to `upstream`, whose changes come over `bus`.
pub(super) struct Relay {
    pub(super) upstream: Server,
    pub(super) bus: Arc<InProcess>,
}

impl Backend for Relay {
    fn discover(self: Arc<Self>, caller: Caller) -> BoxFuture<'static, Result<DiscoverResult, Refusal>> {
        Box::pin(async move {
            let response = as_caller(modern("server/discover", json!({})), &caller).begin(&self.upstream).await;
            match read(response, None).await {
                Answered::Result(result) => Ok(serde_json::from_slice(&result).expect("what a server is")),
                Answered::Asks(round) => panic!("{round:?}"),
                Answered::Refused(refusal) => Err(refusal),
            }
        })
    }

    fn answer(self: Arc<Self>, asked: Asked) -> BoxFuture<'static, Answered> {
        Box::pin(async move {
            let mut params: Value = serde_json::from_str(asked.request.params()).expect("an object");
            params.as_object_mut().expect("an object").remove("_meta");
            let mut request = as_caller(modern(&asked.request.method_name(), params), &asked.caller);
            if let Some(token) = asked.request.progress_token() {
                request = request.meta("progressToken", serde_json::from_str(token).expect("a token"));
            }
            if let Some(state) = &asked.state {
                request = request.param("requestState", json!(state));
            }
            let responses = serde_json::to_value(&asked.responses).expect("JSON");
            let response = request.param("inputResponses", responses).begin(&self.upstream).await;
            read(response, Some(&asked.notices)).await
        })
    }

    fn listen(
        self: Arc<Self>,
        caller: Caller,
        wanted: SubscriptionFilter,
    ) -> BoxFuture<'static, Result<Listened, Refusal>> {
        Box::pin(async move {
            let filter = json!({ "notifications": wanted });
            let mut stream = as_caller(modern("subscriptions/listen", filter), &caller).open(&self.upstream).await;
            let first = stream.next().await.expect("an acknowledgement");
            let honoured = serde_json::from_value(first["params"]["notifications"].clone()).expect("a filter");
            let telling = tokio::spawn(async move {
                while let Some(message) = stream.next().await {
                    if let Some(event) = event(&message) {
                        self.bus.publish(event).await.expect("it is in this process");
                    }
                }
            });
            Ok(Listened { honoured, own: None, aside: None, keep: Box::new(Aborts(telling.abort_handle())) })
        })
    }

    fn param_headers(&self, _: &str) -> Option<Arc<ParamHeaders>> {
        None
    }
}

struct Aborts(tokio::task::AbortHandle);

impl Drop for Aborts {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn event(message: &Value) -> Option<Event> {
    match message["method"].as_str()? {
        "notifications/tools/list_changed" => Some(Event::ToolsChanged),
        "notifications/resources/updated" => {
            Some(Event::ResourceUpdated { uri: message["params"]["uri"].as_str()?.to_owned() })
        }
        _ => None,
    }
}

/// The request of this caller.
fn as_caller(request: Modern, caller: &Caller) -> Modern {
    let request = request.capable(serde_json::to_value(&*caller.capabilities).expect("JSON"));
    let request = match &caller.info {
        Some(info) => request.meta("clientInfo", serde_json::to_value(&**info).expect("JSON")),
        None => request.without_meta("clientInfo"),
    };
    match caller.log_level {
        Some(level) => request.meta("logLevel", json!(level)),
        None => request,
    }
}

/// Reads a response as it comes, and passes on what is said before it.
async fn read(response: Response<Body>, notices: Option<&Notices>) -> Answered {
    let (head, mut body) = response.into_parts();
    if head.headers["content-type"] == "application/json" {
        return answered(head.status, &body.collect().await.expect("bodies do not fail").to_bytes());
    }
    let mut decoder = Decoder::new(Limits::default());
    while let Some(frame) = body.frame().await {
        let mut bytes = frame.expect("bodies do not fail").into_data().expect("data");
        while let Some(event) = decoder.read(&mut bytes).expect("a well-formed stream") {
            let message: Value = serde_json::from_str(&event.data).expect("JSON");
            let Some(method) = message["method"].as_str() else { return answered(head.status, event.data.as_bytes()) };
            let params = serde_json::value::to_raw_value(&message["params"]).expect("JSON");
            if let Some(notices) = notices {
                notices.send(method, &params);
            }
        }
    }
    panic!("a stream without a response")
}

fn answered(status: StatusCode, response: &[u8]) -> Answered {
    let mut response: Value = serde_json::from_slice(response).expect("JSON");
    if let Some(error) = response.get("error") {
        return Answered::Refused(Refusal::Error {
            status,
            code: i32::try_from(error["code"].as_i64().expect("a number")).expect("a code"),
            message: error["message"].as_str().expect("a text").to_owned(),
            data: error.get("data").cloned(),
        });
    }
    let result = response["result"].take();
    if result["resultType"] == "input_required" {
        let round: InputRequiredResult = serde_json::from_value(result).expect("a round");
        return Answered::Asks(round);
    }
    Answered::Result(Bytes::from(result.to_string()))
}
