//! What the client answers when it is asked.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use anypod_server::proto::method::ClientMethod;
use serde_json::{Value, json};

type Answerer = Arc<dyn Fn(&Value) -> Value + Send + Sync>;

/// The person fills in the form like this, or visits the URL.
pub fn accept(content: Value) -> Value {
    json!({ "action": "accept", "content": content })
}

/// The person says no.
pub fn decline() -> Value {
    json!({ "action": "decline" })
}

/// The person closes the question without a choice.
pub fn cancel() -> Value {
    json!({ "action": "cancel" })
}

/// The script.
#[derive(Clone, Default)]
pub(super) struct Answers {
    keys: BTreeMap<String, Answerer>,
    methods: HashMap<ClientMethod, Answerer>,
}

impl Answers {
    pub(super) fn by_key(&mut self, key: String, answer: impl Fn(&Value) -> Value + Send + Sync + 'static) {
        self.keys.insert(key, Arc::new(answer));
    }

    pub(super) fn by_method(&mut self, method: ClientMethod, answer: impl Fn(&Value) -> Value + Send + Sync + 'static) {
        self.methods.insert(method, Arc::new(answer));
    }

    /// The answer to a question, if the script has one.
    pub(super) fn to(&self, key: &str, question: &Value) -> Option<Value> {
        let by_method = || self.methods.get(&ClientMethod::parse(question["method"].as_str()?)?);
        let answer = self.keys.get(key).or_else(by_method)?;
        Some(answer(question))
    }
}
