//! Asking pods how they are, and of which era.
//!
//! The question is `server/discover`, whatever the era. A legacy server refuses it, and what refuses is alive: that needs
//! no session. Some legacy servers open a session for every request without one, before they look at it, so a pod that
//! is known to be legacy is asked in a session that nobody has given; a modern one ignores that.
//!
//! Spec: server/discover; basic/transports/streamable-http, "Backward Compatibility".

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anypod_client::era::{self, Verdict};
use anypod_proto::capabilities::ClientCapabilities;
use anypod_proto::discover::DiscoverRequest;
use anypod_proto::header::{METHOD, PROTOCOL_VERSION, SESSION_ID};
use anypod_proto::implementation::Implementation;
use anypod_proto::jsonrpc::RequestParams;
use anypod_proto::meta::RequestMeta;
use anypod_proto::method::Method;
use anypod_proto::version::{Era, Version};
use anypod_server::Outside;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::answer::Answer;
use super::body::Outgoing;
use super::pod::{Pod, SendError};
use super::pods::Pods;

/// The most that is read of an answer, in bytes. What is longer says that the pod is alive, and nothing more.
const ANSWER_BYTES: usize = 256 << 10;
/// The id of the question.
const ID: u64 = 1;
/// A session that nobody has given.
const NO_SESSION: HeaderValue = HeaderValue::from_static("none");
/// How soon it is looked again whether there are pods.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Asks pods how they are.
pub(super) struct Prober {
    pods: Arc<Pods>,
    every: Duration,
    timeout: Duration,
    headers: HeaderMap,
    authorization: Authorization,
    body: Bytes,
}

/// What the gateway shows for itself, as it is now.
type Authorization = Arc<RwLock<Option<HeaderValue>>>;

impl Prober {
    /// Asks each of `pods` once in `every`, and takes for an answer what comes within `timeout`. `own` are the headers
    /// that every request to the upstream carries, and what the gateway shows for itself.
    pub(super) fn new(
        pods: Arc<Pods>,
        every: Duration,
        timeout: Duration,
        own: (&[(HeaderName, HeaderValue)], Authorization),
    ) -> Self {
        // One question at a time and pod.
        let timeout = timeout.min(every);
        let (own, authorization) = own;
        Self { pods, every, timeout, headers: headers(own), authorization, body: body() }
    }

    /// Asks all of them for as long as it is polled: at first at once, then one after the other.
    pub(super) async fn run(self: Arc<Self>, outside: Outside) {
        let mut asking = JoinSet::new();
        let mut first = true;
        loop {
            let pods = self.pods.all();
            if pods.is_empty() {
                sleep(self.every.min(LOOK_AGAIN)).await;
                continue;
            }
            let part = self.every / u32::try_from(pods.len()).unwrap_or(u32::MAX);
            for pod in pods.iter() {
                if !first {
                    sleep(outside.jitter(part)).await;
                }
                asking.spawn(Arc::clone(&self).ask(Arc::clone(pod)));
                while asking.try_join_next().is_some() {}
            }
            if std::mem::take(&mut first) {
                sleep(outside.jitter(self.every)).await;
            }
        }
    }

    /// Asks one of them.
    pub(super) async fn ask(self: Arc<Self>, pod: Arc<Pod>) {
        match timeout(self.timeout, self.answer(&pod)).await {
            // Some servers fail on what they do not know with a status of their own fault, and are alive.
            Ok(Ok((status, Some(body)))) if !is_away(status) => {
                pod.answered();
                if let Some(era) = body.whole.and_then(|body| settled(status, &body)) {
                    self.pods.settle_era_of(&pod, era);
                }
            }
            // It has so much to do that there is no place for a question.
            Ok(Err(error)) if !error.is_the_pods() => {}
            Ok(Ok(_) | Err(_)) | Err(_) => pod.unanswered(),
        }
    }

    /// The status and the body; `None` for a body that broke off.
    async fn answer(&self, pod: &Arc<Pod>) -> Result<(StatusCode, Option<Said>), SendError> {
        let mut request = Request::new(Outgoing::Whole(self.body.clone()));
        *request.method_mut() = http::Method::POST;
        *request.headers_mut() = self.headers.clone();
        if let Some(own) = &*self.authorization.read().unwrap_or_else(PoisonError::into_inner) {
            request.headers_mut().insert(header::AUTHORIZATION, own.clone());
        }
        if pod.era() == Some(Era::Legacy) {
            request.headers_mut().insert(SESSION_ID, NO_SESSION);
        }
        let reply = pod.ask(&mut request.into()).await?;
        Ok((reply.status, Said::read(reply.body).await))
    }
}

/// A body that has come to its end, or that is too long to be looked at.
struct Said {
    whole: Option<Bytes>,
}

impl Said {
    /// `None` if it breaks off.
    async fn read(mut body: Answer) -> Option<Self> {
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.ok()?.into_data() else { continue };
            if whole.len() + data.len() > ANSWER_BYTES {
                return Some(Self { whole: None });
            }
            whole.extend_from_slice(&data);
        }
        Some(Self { whole: Some(whole.freeze()) })
    }
}

/// Whether something else answers in the pod's place, or the pod that it takes no requests now.
fn is_away(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
}

/// The era that an answer to the question shows.
fn settled(status: StatusCode, body: &[u8]) -> Option<Era> {
    // It wants to know who asks, before it says anything.
    let asks_who = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::PROXY_AUTHENTICATION_REQUIRED];
    let tells_nothing = asks_who.contains(&status) || status.is_server_error();
    match era::judge(status, body, ID) {
        Verdict::Modern => Some(Era::Modern),
        Verdict::Speaks(versions) => era::newest_common(&versions).map(Version::era),
        Verdict::Legacy | Verdict::Unclear if tells_nothing => None,
        // To this question, no modern server answers so.
        Verdict::Legacy | Verdict::Unclear => Some(Era::Legacy),
        Verdict::NotNow => None,
    }
}

fn headers(own: &[(HeaderName, HeaderValue)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    headers.insert(PROTOCOL_VERSION, HeaderValue::from_static(Version::LATEST.as_str()));
    headers.insert(METHOD, HeaderValue::from_static(Method::Discover.as_str()));
    headers.extend(own.iter().cloned());
    headers
}

fn body() -> Bytes {
    let info = Implementation::new("anypod-gateway", env!("CARGO_PKG_VERSION"));
    let meta = RequestMeta::new(Version::LATEST, ClientCapabilities::default()).with_client_info(info);
    let request = DiscoverRequest::new(ID as i64, RequestParams { meta });
    serde_json::to_vec(&request).expect("texts and numbers can be written as JSON").into()
}
