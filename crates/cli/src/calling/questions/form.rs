//! A form, asked field by field. No terminal is needed to run it: it takes lines and gives prompts.

use std::collections::{BTreeSet, VecDeque};

use anypod_client::proto::elicitation::{ElicitRequestFormParams, ElicitResult};
use anypod_client::proto::jsonrpc::JsonObject;

use super::field::Field;
use super::script::Script;
use crate::output::{self, clean};
use crate::usage::Usage;

/// Says no to the whole form.
const DECLINE: &str = "!decline";
/// Gives no answer at all, as the end of the input does.
const CANCEL: &str = "!cancel";

/// What comes after an answer.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    /// This is to be asked.
    Ask(String),
    /// This is the answer to the form.
    Done(ElicitResult),
}

/// A form that is being filled in.
#[derive(Debug)]
pub(super) struct Form {
    message: String,
    open: VecDeque<Field>,
    content: JsonObject,
    scripted: bool,
    /// What the script answers and this form does not ask.
    stray: BTreeSet<String>,
}

impl Form {
    /// A form in which the script has filled in what it knows.
    ///
    /// # Errors
    /// If an answer of the script does not fit its field.
    pub(super) fn new(params: ElicitRequestFormParams, script: &Script) -> Result<Self, Usage> {
        let ElicitRequestFormParams { message, requested_schema, .. } = params;
        let required = requested_schema.required.unwrap_or_default();
        let stray = script.names();
        let mut form = Self { message, open: VecDeque::new(), content: JsonObject::new(), scripted: false, stray };
        for (name, schema) in requested_schema.properties.0 {
            form.stray.remove(&name);
            let field = Field { required: required.contains(&name), name, schema };
            match script.answer(&field)? {
                Some(value) => {
                    form.scripted = true;
                    form.content.insert(field.name, value);
                }
                None => form.open.push_back(field),
            }
        }
        Ok(form)
    }

    /// The answer, if nobody needs to be asked: everything is filled in, or the script has answered all that it must
    /// and defaults do for the rest.
    pub(super) fn done(&mut self) -> Option<ElicitResult> {
        if self.open.is_empty() && self.scripted {
            return Some(ElicitResult::accept(std::mem::take(&mut self.content)));
        }
        let enough = self.scripted && self.open.iter().all(|field| !field.required || field.default().is_some());
        if !enough {
            return None;
        }
        for field in std::mem::take(&mut self.open) {
            if let Some(value) = field.default() {
                self.content.insert(field.name, value);
            }
        }
        Some(ElicitResult::accept(std::mem::take(&mut self.content)))
    }

    /// What a script would have to give.
    pub(super) fn wanted(&self) -> String {
        let required = self.open.iter().filter(|field| field.required);
        let wanted: Vec<String> = required.map(|field| format!("--answer {}=…", clean::line(&field.name))).collect();
        let wanted = if wanted.is_empty() { "--answer FIELD=TEXT".to_owned() } else { wanted.join(" ") };
        match self.stray.iter().next() {
            Some(stray) => format!("{wanted}; it has no field `{}`", clean::line(stray)),
            None => wanted,
        }
    }

    /// What stands before the first field.
    pub(super) fn introduction(&self) -> String {
        format!(
            "{}\n{}(Enter takes what is in brackets; {DECLINE} says no, {CANCEL} or Ctrl-D gives no answer)\n",
            output::emphasis("The server asks:"),
            clean::quote(&self.message)
        )
    }

    /// Asks for the field that is next. A form without fields asks for a yes.
    pub(super) fn ask(&mut self) -> Next {
        match self.open.front() {
            Some(field) => Next::Ask(format!("\n{}", field.prompt())),
            None if self.content.is_empty() => Next::Ask("\nAgree? [yes] > ".to_owned()),
            None => Next::Done(ElicitResult::accept(std::mem::take(&mut self.content))),
        }
    }

    /// Takes a line, or the end of the input, as the answer to what was asked last.
    pub(super) fn answer(&mut self, line: Option<&str>) -> Next {
        let line = match line.map(str::trim) {
            None | Some(CANCEL) => return Next::Done(ElicitResult::cancel()),
            Some(DECLINE) => return Next::Done(ElicitResult::decline()),
            // The way to write a text that begins as a way out does.
            Some(line) => line.strip_prefix('!').filter(|rest| rest.starts_with('!')).unwrap_or(line),
        };
        let Some(field) = self.open.front() else { return self.agree(line) };
        match field.read(line) {
            Ok(Some(value)) => {
                self.content.insert(field.name.clone(), value);
            }
            Ok(None) => {}
            Err(why) => {
                let why = clean::line(&format!("That does not fit: {why}.")).into_owned();
                return Next::Ask(format!("{why} Wanted is {}.\n{}", field.kind(), field.caret()));
            }
        }
        self.open.pop_front();
        match self.open.is_empty() {
            true => Next::Done(ElicitResult::accept(std::mem::take(&mut self.content))),
            false => self.ask(),
        }
    }

    fn agree(&mut self, line: &str) -> Next {
        match line.to_lowercase().as_str() {
            "" | "y" | "yes" => Next::Done(ElicitResult::accept(JsonObject::new())),
            "n" | "no" => Next::Done(ElicitResult::decline()),
            _ => Next::Ask("Write yes or no. [yes] > ".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn form(schema: Value) -> Form {
        let params = json!({ "message": "Who \x1b[31mare you?", "requestedSchema": schema });
        Form::new(serde_json::from_value(params).unwrap(), &Script::default()).unwrap()
    }

    fn stay() -> Form {
        form(json!({
            "type": "object",
            "properties": {
                "name": { "type": "string", "title": "Your name", "description": "for\x07 the booking", "minLength": 2 },
                "nights": { "type": "integer", "minimum": 1, "maximum": 30, "default": 2 },
                "room": { "type": "string", "oneOf": [
                    { "const": "s", "title": "Single" }, { "const": "d", "title": "Double" },
                ] },
                "extras": { "type": "array", "items": { "type": "string", "enum": ["tea", "bath", "bike"] }, "maxItems": 2 },
                "breakfast": { "type": "boolean" },
            },
            "required": ["name", "nights", "room"],
        }))
    }

    /// Answers line by line and returns the prompts and the result.
    fn run(mut form: Form, lines: &[Option<&str>]) -> (Vec<String>, Option<ElicitResult>) {
        let mut prompts = Vec::new();
        let mut next = form.ask();
        for line in lines {
            match next {
                Next::Ask(prompt) => prompts.push(prompt),
                Next::Done(result) => return (prompts, Some(result)),
            }
            next = form.answer(*line);
        }
        match next {
            Next::Ask(prompt) => {
                prompts.push(prompt);
                (prompts, None)
            }
            Next::Done(result) => (prompts, Some(result)),
        }
    }

    #[test]
    fn a_form_is_filled_in_field_by_field() {
        let lines = [Some("Ada"), Some(""), Some("2"), Some("1, bike"), Some("y")];
        let (prompts, result) = run(stay(), &lines);
        let expected = json!({ "name": "Ada", "nights": 2, "room": "d", "extras": ["tea", "bike"], "breakfast": true });
        assert_eq!(result, Some(ElicitResult::accept(expected.as_object().unwrap().clone())));
        assert!(prompts[0].contains("Your name") && prompts[0].contains("required"), "{}", prompts[0]);
        assert!(prompts[1].ends_with("[2] > "), "{}", prompts[1]);
        assert!(prompts[2].contains("2) Double"), "{}", prompts[2]);
        assert!(!prompts[4].contains("required"), "{}", prompts[4]);
    }

    #[test]
    fn what_is_optional_may_be_left_out() {
        let (_, result) = run(stay(), &[Some("Ada"), Some("3"), Some("s"), Some(""), Some("")]);
        assert_eq!(result.unwrap().content.unwrap().keys().collect::<Vec<_>>(), ["name", "nights", "room"]);
    }

    #[test]
    fn what_does_not_fit_is_asked_again_with_the_reason() {
        let lines = [Some(""), Some("A"), Some("Ada"), Some("many"), Some("31"), Some("3"), Some("3")];
        let (prompts, result) = run(stay(), &lines);
        assert_eq!(result, None);
        assert!(prompts[1].contains("must be filled in"), "{}", prompts[1]);
        assert!(prompts[2].contains("2 characters"), "{}", prompts[2]);
        assert!(prompts[4].contains("whole number"), "{}", prompts[4]);
        assert!(prompts[5].contains("30"), "{}", prompts[5]);
        assert!(prompts[7].contains("does not fit"), "{}", prompts[7]);
    }

    #[test]
    fn there_are_ways_out_at_every_field() {
        for before in [&[][..], &[Some("Ada")], &[Some("Ada"), Some("")]] {
            let after = |line| run(stay(), &[before, &[line]].concat()).1;
            assert_eq!(after(Some("!decline")), Some(ElicitResult::decline()));
            assert_eq!(after(Some("!cancel")), Some(ElicitResult::cancel()));
            assert_eq!(after(None), Some(ElicitResult::cancel()));
        }
        let (_, result) =
            run(form(json!({ "type": "object", "properties": { "a": { "type": "string" } } })), &[Some("!!decline")]);
        assert_eq!(result.unwrap().content.unwrap()["a"], "!decline");
    }

    #[test]
    fn a_form_without_fields_asks_for_a_yes() {
        let empty = || form(json!({ "type": "object", "properties": {} }));
        assert_eq!(run(empty(), &[Some("")]).1, Some(ElicitResult::accept(JsonObject::new())));
        assert_eq!(run(empty(), &[Some("perhaps"), Some("n")]).1, Some(ElicitResult::decline()));
    }

    #[test]
    fn nothing_that_a_server_writes_reaches_the_terminal_as_it_is() {
        let mut form = stay();
        let Next::Ask(prompt) = form.ask() else { panic!("there are fields") };
        assert!(!prompt.contains(['\x07', '\x1b']) && !form.introduction().contains("\x1b[31m"), "{prompt:?}");
    }

    #[test]
    fn a_script_fills_in_what_it_knows_and_may_leave_defaults() {
        let params = |required: Value| {
            let schema = json!({
                "type": "object",
                "properties": { "a": { "type": "integer" }, "b": { "type": "string", "default": "x" } },
                "required": required,
            });
            serde_json::from_value(json!({ "message": "?", "requestedSchema": schema })).unwrap()
        };
        let script = |answers: &[&str]| {
            let answers: Vec<String> = answers.iter().map(|answer| (*answer).to_owned()).collect();
            Script::read(&answers, None).unwrap()
        };
        let done = Form::new(params(json!(["a", "b"])), &script(&["a=1"])).unwrap().done().unwrap();
        assert_eq!(done.content.map(Value::Object), Some(json!({ "a": 1, "b": "x" })));
        let mut open = Form::new(params(json!(["a"])), &script(&["b=y"])).unwrap();
        assert_eq!(open.done(), None);
        assert_eq!(open.wanted(), "--answer a=…");
        assert_eq!(Form::new(params(json!([])), &Script::default()).unwrap().done(), None, "nobody has agreed");
        let wrong = Form::new(params(json!([])), &script(&["a=many"])).unwrap_err();
        assert!(wrong.to_string().contains("--answer a"), "{wrong}");
    }
}
