//! Who answers what servers ask: the person at the terminal, the answers of a script, a command for the model, the
//! directories that were named.
//!
//! Spec: client/elicitation, client/sampling, client/roots.

mod field;
mod form;
mod page;
mod person;
mod punycode;
mod roots;
mod sampling;
mod script;

use std::path::PathBuf;
use std::sync::Arc;

use anypod_client::ClientBuilder;
use anypod_client::proto::capabilities::SamplingCapability;
use anypod_client::proto::elicitation::{ElicitRequestFormParams, ElicitRequestUrlParams, ElicitResult};

use self::form::{Form, Next};
use self::page::{Page, Visit};
use self::person::Person;
use self::sampling::Model;
use self::script::Script;
use crate::output::{self, clean};
use crate::usage::Usage;

/// The options that say who answers.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Questions of the server")]
pub(crate) struct QuestionArgs {
    /// Answer a field of a form with this; may be given several times, also for one field that takes several.
    #[arg(long = "answer", value_name = "FIELD=TEXT")]
    answers: Vec<String>,
    /// Answer the fields of forms with the members of the JSON object in this file.
    #[arg(long = "answers", value_name = "FILE")]
    file: Option<PathBuf>,
    /// Let the server use the model behind this command: it gets the request as JSON on its standard input and writes
    /// the result as JSON on its standard output.
    #[arg(long, value_name = "COMMAND")]
    sampling_command: Option<String>,
    /// Tell the server of this directory, as a root; may be given several times.
    #[arg(long = "root", value_name = "DIR")]
    roots: Vec<PathBuf>,
}

impl QuestionArgs {
    /// Lets the client ask whoever is there to answer.
    ///
    /// # Errors
    /// If an answer, a file or a directory cannot be used.
    pub(super) fn register(&self, builder: ClientBuilder) -> Result<ClientBuilder, Usage> {
        let desk = Arc::new(Desk { script: Script::read(&self.answers, self.file.as_deref())?, person: Person::new() });
        let (forms, pages) = (Arc::clone(&desk), desk);
        let mut builder = builder
            .on_form(move |params| {
                let desk = Arc::clone(&forms);
                async move { desk.form(params).await }
            })
            .on_url(move |params| {
                let desk = Arc::clone(&pages);
                async move { Ok::<_, Usage>(desk.page(params).await) }
            });
        if let Some(command) = &self.sampling_command {
            let model = Arc::new(Model::parse(command)?);
            builder = builder.on_sampling(SamplingCapability::default(), move |params| {
                let model = Arc::clone(&model);
                async move { model.ask(&params).await }
            });
        }
        if !self.roots.is_empty() {
            let roots = self.roots.iter().map(|root| roots::read(root)).collect::<Result<Vec<_>, _>>()?;
            builder = builder.on_roots(move || std::future::ready(Ok::<_, Usage>(roots.clone())));
        }
        Ok(builder)
    }
}

/// Where questions come to.
struct Desk {
    script: Script,
    person: Person,
}

impl Desk {
    /// Answers a form by the script, and by the person where the script does not.
    async fn form(&self, params: ElicitRequestFormParams) -> Result<ElicitResult, Usage> {
        let message = params.message.clone();
        let mut form = Form::new(params, &self.script)?;
        if let Some(done) = form.done() {
            return Ok(done);
        }
        let Some(mut person) = self.person.at_terminal().await else {
            declined(&message, &format!("answer with {}", form.wanted()));
            return Ok(ElicitResult::decline());
        };
        output::ask(&form.introduction());
        let mut next = form.ask();
        loop {
            match next {
                Next::Done(result) => return Ok(result),
                Next::Ask(prompt) => {
                    output::ask(&prompt);
                    next = form.answer(person.line().await.as_deref());
                }
            }
        }
    }

    /// Sends the person to a page, if they want to go there.
    async fn page(&self, params: ElicitRequestUrlParams) -> ElicitResult {
        let page = match Page::new(&params) {
            Ok(page) => page,
            Err(why) => {
                declined(&params.message, &format!("{}: {why}", params.url));
                return ElicitResult::decline();
            }
        };
        let Some(mut person) = self.person.at_terminal().await else {
            declined(&params.message, &format!("it is about {}", params.url));
            return ElicitResult::decline();
        };
        output::ask(&page.introduction());
        loop {
            output::ask(page::PROMPT);
            match page::choose(person.line().await.as_deref()) {
                Visit::Open => return page.open(),
                Visit::Themselves => return page::accepted(),
                Visit::Decline => return ElicitResult::decline(),
                Visit::Cancel => return ElicitResult::cancel(),
                Visit::Unclear => {}
            }
        }
    }
}

/// Says that a question was declined because nobody can answer it.
fn declined(message: &str, hint: &str) {
    let text = format!("\"{}\": there is no terminal to ask at; {hint}", clean::line(message));
    output::note("declined", &text);
}
