//! Tools that ask the client: a round for modern clients, a request while the call goes on for legacy ones.

use rmcp::{
    ErrorData, RoleServer,
    model::{CallToolRequestParams, CallToolResponse, ClientResult, InputRequest, InputRequiredResult, ServerRequest},
    service::RequestContext,
};
use serde_json::{Value, json};

use crate::{Server, catalogue::parse, tools::say};

/// The answer to a question, or what a modern client must answer first.
enum Asked {
    Answered(Value),
    Round(InputRequiredResult),
}

pub(crate) fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|version| version.as_str() >= "2026")
}

impl Server {
    pub(crate) async fn ask_form(
        &self,
        params: &CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let question = elicitation("Who are you?", &self.state.catalogue.form);
        Ok(match ask(params, context, "form", question).await? {
            Asked::Round(round) => round.into(),
            Asked::Answered(answer) if answer["action"] == "accept" => say(answer["content"].to_string()).into(),
            Asked::Answered(answer) => say(format!("answered {}", answer["action"])).into(),
        })
    }

    pub(crate) async fn quiz(
        &self,
        params: &CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let catalogue = &self.state.catalogue;
        let question =
            |key: &str| elicitation(catalogue.questions[key].as_str().unwrap_or_default(), &catalogue.question);
        let text = |answer: &Value| answer["content"]["answer"].as_str().unwrap_or_default().to_owned();
        let first = match &params.request_state {
            Some(first) => first.clone(),
            None => match ask(params, context, "first", question("first")).await? {
                Asked::Round(round) => return Ok(round.into()),
                Asked::Answered(answer) => text(&answer),
            },
        };
        Ok(match ask(params, context, "second", question("second")).await? {
            Asked::Round(round) => InputRequiredResult::new(round.input_requests, Some(first)).into(),
            Asked::Answered(answer) => say(format!("{first}, {}", text(&answer))).into(),
        })
    }

    pub(crate) async fn sample(
        &self,
        params: &CallToolRequestParams,
        context: &RequestContext<RoleServer>,
        prompt: &str,
    ) -> Result<CallToolResponse, ErrorData> {
        let message = json!({ "role": "user", "content": { "type": "text", "text": prompt } });
        let params_of_question = json!({ "messages": [message], "maxTokens": 100 });
        let question = json!({ "method": "sampling/createMessage", "params": params_of_question });
        Ok(match ask(params, context, "sample", question).await? {
            Asked::Round(round) => round.into(),
            Asked::Answered(answer) => say(answer["content"].to_string()).into(),
        })
    }

    pub(crate) async fn roots(
        &self,
        params: &CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        Ok(match ask(params, context, "roots", json!({ "method": "roots/list" })).await? {
            Asked::Round(round) => round.into(),
            Asked::Answered(answer) => say(answer["roots"].to_string()).into(),
        })
    }
}

fn elicitation(message: &str, schema: &Value) -> Value {
    let params = json!({ "mode": "form", "message": message, "requestedSchema": schema });
    json!({ "method": "elicitation/create", "params": params })
}

async fn ask(
    params: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
    key: &str,
    question: Value,
) -> Result<Asked, ErrorData> {
    if let Some(answer) = params.input_responses.as_ref().and_then(|answers| answers.get(key)) {
        return Ok(Asked::Answered(answer.clone()));
    }
    if is_modern(context) {
        let questions = [(key.to_owned(), parse::<InputRequest>(question))].into();
        return Ok(Asked::Round(InputRequiredResult::from_input_requests(questions)));
    }
    let answer: ClientResult = context
        .peer
        .send_request(parse::<ServerRequest>(question))
        .await
        .map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
    serde_json::to_value(answer)
        .map(Asked::Answered)
        .map_err(|error| ErrorData::internal_error(error.to_string(), None))
}
