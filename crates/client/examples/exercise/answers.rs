//! Who answers the server's questions.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anypod_client::ClientBuilder;
use anypod_client::proto::capabilities::SamplingCapability;
use anypod_client::proto::elicitation::{ElicitRequestFormParams, ElicitResult};
use anypod_client::proto::roots::Root;
use anypod_client::proto::sampling::{CreateMessageRequestParams, CreateMessageResult};
use serde_json::{Value, json};

/// How often the server has asked.
#[derive(Clone, Default)]
pub(crate) struct Questions {
    pub(crate) forms: Arc<AtomicUsize>,
    pub(crate) samplings: Arc<AtomicUsize>,
    pub(crate) roots: Arc<AtomicUsize>,
}

impl Questions {
    /// Answers whatever comes and counts it.
    pub(crate) fn answered_by(&self, builder: ClientBuilder) -> ClientBuilder {
        let Self { forms, samplings, roots } = self.clone();
        builder
            .on_form(move |form| {
                forms.fetch_add(1, Ordering::SeqCst);
                async move { Ok::<_, Infallible>(fill(&form)) }
            })
            .on_sampling(SamplingCapability::default(), move |params| {
                samplings.fetch_add(1, Ordering::SeqCst);
                async move { Ok::<_, Infallible>(sample(&params)) }
            })
            .on_roots(move || {
                roots.fetch_add(1, Ordering::SeqCst);
                async { Ok::<_, Infallible>(vec![Root::new("file:///exercise")]) }
            })
    }
}

/// Fills in a form: what its schema suggests, or else something that fits, which tells the question.
fn fill(form: &ElicitRequestFormParams) -> ElicitResult {
    let fields = form.requested_schema.properties.0.iter();
    ElicitResult::accept(fields.map(|(name, field)| (name.clone(), value(&json!(field), &form.message))).collect())
}

fn value(field: &Value, message: &str) -> Value {
    if let Some(default) = field.get("default") {
        return default.clone();
    }
    let choices = [&field["enum"][0], &field["oneOf"][0]["const"]];
    if let Some(choice) = choices.into_iter().find(|choice| !choice.is_null()) {
        return choice.clone();
    }
    match (field["type"].as_str(), field["format"].as_str()) {
        (_, Some("email")) => json!("ada@example.com"),
        (_, Some("uri")) => json!("https://example.com/ada"),
        (_, Some("date")) => json!("1815-12-10"),
        (_, Some("date-time")) => json!("1815-12-10T09:00:00Z"),
        (Some("boolean"), _) => json!(true),
        (Some("integer" | "number"), _) => json!(36),
        (Some("array"), _) => json!([]),
        _ => json!(format!("Ada: {message}")),
    }
}

/// The model says what it was asked.
fn sample(params: &CreateMessageRequestParams) -> CreateMessageResult {
    let messages = json!(params.messages);
    let prompt = messages[0]["content"]["text"].as_str().unwrap_or_default();
    CreateMessageResult::new("exercise", format!("sampled: {prompt}"))
}
