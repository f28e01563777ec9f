//! Who answers what servers ask: the person, the model, the list of roots.
//!
//! Registering an answerer declares the capability; what no one answers is not declared.
//! Spec: client/elicitation, client/sampling, client/roots, basic/patterns/mrtr.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use anypod_proto::capabilities::{ClientCapabilities, ElicitationCapability, SamplingCapability};
use anypod_proto::elicitation::{ElicitRequestFormParams, ElicitRequestParams, ElicitRequestUrlParams, ElicitResult};
use anypod_proto::jsonrpc::JsonObject;
use anypod_proto::roots::{ListRootsResult, Root};
use anypod_proto::rounds::{InputRequest, InputRequests, InputResponse, InputResponses};
use anypod_proto::sampling::{CreateMessageRequestParams, CreateMessageResult};
use serde::Serialize;

use crate::credentials::BoxFuture;
use crate::error::{Error, Result, Source};

type Ask<P, R> = Arc<dyn Fn(P) -> BoxFuture<'static, Result<R, Source>> + Send + Sync>;

/// The answerers of a client.
#[derive(Clone, Default)]
pub(crate) struct Answerers {
    form: Option<Ask<ElicitRequestFormParams, ElicitResult>>,
    url: Option<Ask<ElicitRequestUrlParams, ElicitResult>>,
    sampling: Option<(SamplingCapability, Ask<CreateMessageRequestParams, CreateMessageResult>)>,
    roots: Option<Ask<(), Vec<Root>>>,
}

fn ask<P, R, E, F, Fut>(answer: F) -> Ask<P, R>
where
    F: Fn(P) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, E>> + Send + 'static,
    E: Into<Source>,
{
    Arc::new(move |params| {
        let answer = answer(params);
        Box::pin(async move { answer.await.map_err(Into::into) })
    })
}

impl Answerers {
    pub(crate) fn on_form<E, F, Fut>(&mut self, answer: F)
    where
        F: Fn(ElicitRequestFormParams) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<ElicitResult, E>> + Send + 'static,
        E: Into<Source>,
    {
        self.form = Some(ask(answer));
    }

    pub(crate) fn on_url<E, F, Fut>(&mut self, answer: F)
    where
        F: Fn(ElicitRequestUrlParams) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<ElicitResult, E>> + Send + 'static,
        E: Into<Source>,
    {
        self.url = Some(ask(answer));
    }

    pub(crate) fn on_sampling<E, F, Fut>(&mut self, capability: SamplingCapability, answer: F)
    where
        F: Fn(CreateMessageRequestParams) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<CreateMessageResult, E>> + Send + 'static,
        E: Into<Source>,
    {
        self.sampling = Some((capability, ask(answer)));
    }

    pub(crate) fn on_roots<E, F, Fut>(&mut self, answer: F)
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<Root>, E>> + Send + 'static,
        E: Into<Source>,
    {
        self.roots = Some(ask(move |()| answer()));
    }

    /// Declares what is answered.
    pub(crate) fn declare(&self, capabilities: &mut ClientCapabilities) {
        if self.form.is_some() || self.url.is_some() {
            capabilities.elicitation = Some(ElicitationCapability {
                form: self.form.as_ref().map(|_| JsonObject::new()),
                url: self.url.as_ref().map(|_| JsonObject::new()),
            });
        }
        if let Some((capability, _)) = &self.sampling {
            capabilities.sampling = Some(capability.clone());
        }
        if self.roots.is_some() {
            capabilities.roots = Some(JsonObject::new());
        }
    }

    /// Answers all questions of a round, side by side.
    ///
    /// # Errors
    /// [`Error::NoAnswerer`] before anyone is asked; [`Error::Answerer`] with the first that fails.
    pub(crate) async fn answer(&self, requests: InputRequests) -> Result<InputResponses> {
        if let Some(request) = requests.values().find(|request| !self.has_one_for(request)) {
            return Err(Error::NoAnswerer(request.method().as_str()));
        }
        let mut asked = Vec::with_capacity(requests.len());
        for (key, request) in requests {
            let answer = self.start(request)?;
            asked.push(async move { Ok::<_, Error>((key, answer.await.map_err(Error::Answerer)?)) });
        }
        Ok(futures_util::future::try_join_all(asked).await?.into_iter().collect())
    }

    fn has_one_for(&self, request: &InputRequest) -> bool {
        match request {
            InputRequest::Elicit(ElicitRequestParams::Form(_)) => self.form.is_some(),
            InputRequest::Elicit(ElicitRequestParams::Url(_)) => self.url.is_some(),
            InputRequest::CreateMessage(_) => self.sampling.is_some(),
            InputRequest::ListRoots(_) => self.roots.is_some(),
        }
    }

    fn start(&self, request: InputRequest) -> Result<BoxFuture<'static, Result<InputResponse, Source>>> {
        let method = request.method().as_str();
        let nobody = || Error::NoAnswerer(method);
        Ok(match request {
            InputRequest::Elicit(ElicitRequestParams::Form(params)) => {
                response(self.form.as_ref().ok_or_else(nobody)?(params))
            }
            InputRequest::Elicit(ElicitRequestParams::Url(params)) => {
                response(self.url.as_ref().ok_or_else(nobody)?(params))
            }
            InputRequest::CreateMessage(params) => response(self.sampling.as_ref().ok_or_else(nobody)?.1(*params)),
            InputRequest::ListRoots(_) => {
                let roots = self.roots.as_ref().ok_or_else(nobody)?(());
                response(Box::pin(async move { Ok(ListRootsResult::new(roots.await?)) }))
            }
        })
    }
}

impl fmt::Debug for Answerers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answerers")
            .field("form", &self.form.is_some())
            .field("url", &self.url.is_some())
            .field("sampling", &self.sampling.is_some())
            .field("roots", &self.roots.is_some())
            .finish()
    }
}

fn response<R: Serialize + Send + 'static>(
    answer: BoxFuture<'static, Result<R, Source>>,
) -> BoxFuture<'static, Result<InputResponse, Source>> {
    Box::pin(async move { Ok(InputResponse(serde_json::to_value(answer.await?)?)) })
}
