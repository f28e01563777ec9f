//! What workers do.

use std::time::Duration;

use super::Postgres;
use super::call::{Call, Request, parameters};
use super::tasks::{on_task, questions};
use super::text::{Columns, number, pause, status_number, stored};
use crate::error::StoreError;
use crate::task::Question;
use crate::work::{Claim, Claimed, Claims, End, Fenced, HandBack, Lease, Reason, Step};

const fn fenced(is_good: bool) -> Fenced {
    match is_good {
        true => Fenced::Written,
        false => Fenced::Lost,
    }
}

impl Postgres {
    pub(super) async fn claim_tasks(&self, claim: Claim) -> Result<Claims, StoreError> {
        let tools: Vec<String> = claim.tools.into_iter().map(stored).collect();
        let parameters = parameters![stored(claim.worker), tools, number(claim.most), pause(claim.lease)];
        let rows = self.ask(Request::new(Call::Claim, parameters)).await?;
        let next = Columns::of_one(&rows)?.duration_if_any("next")?;
        let taken = rows.iter().map(Columns).filter_map(|columns| claimed(&columns).transpose());
        Ok(Claims { tasks: taken.collect::<Result<_, _>>()?, next })
    }

    pub(super) async fn renew_leases(&self, leases: Vec<Lease>, lease: Duration) -> Result<Vec<Fenced>, StoreError> {
        if leases.is_empty() {
            return Ok(Vec::new());
        }
        let (ids, fences): (Vec<_>, Vec<_>) =
            leases.iter().map(|lease| (lease.id.as_str().to_owned(), number(lease.fence))).unzip();
        let rows = self.ask(Request::new(Call::Renew, parameters![ids, fences, pause(lease)])).await?;
        let good: Vec<bool> = Columns::of_one(&rows)?.read("good")?;
        Ok(good.into_iter().map(fenced).collect())
    }

    pub(super) async fn record_step(&self, lease: Lease, step: Step) -> Result<Fenced, StoreError> {
        self.options.check("the result of a step", &step.result)?;
        let most = self.options.journal_bytes;
        let parameters = parameters![
            lease.id.as_str().to_owned(),
            number(lease.fence),
            stored(step.key),
            stored(step.result),
            number(most)
        ];
        self.ask_journal(on_task(Call::Record, &lease.id, parameters)).await
    }

    pub(super) async fn park_task(&self, lease: Lease, questions: Vec<Question>) -> Result<Fenced, StoreError> {
        for question in &questions {
            self.options.check("the question", &question.request)?;
        }
        let most = self.options.journal_bytes;
        let (keys, requests): (Vec<_>, Vec<_>) =
            questions.into_iter().map(|question| (stored(question.key), stored(question.request))).unzip();
        let parameters = parameters![lease.id.as_str().to_owned(), number(lease.fence), keys, requests, number(most)];
        self.ask_journal(on_task(Call::Park, &lease.id, parameters)).await
    }

    /// Has something written into a journal.
    async fn ask_journal(&self, request: Request) -> Result<Fenced, StoreError> {
        let rows = self.ask(request).await?;
        let columns = Columns::of_one(&rows)?;
        match columns.read::<i32>("code")? {
            0 => Ok(Fenced::Lost),
            1 => Ok(Fenced::Written),
            _ => Err(columns.too_long("the journal", self.options.journal_bytes)?),
        }
    }

    pub(super) async fn say_of_task(&self, lease: Lease, message: String) -> Result<Fenced, StoreError> {
        self.options.check("the message", &message)?;
        let parameters = parameters![lease.id.as_str().to_owned(), number(lease.fence), stored(message)];
        let rows = self.ask(on_task(Call::Say, &lease.id, parameters)).await?;
        Ok(fenced(Columns::of_one(&rows)?.read::<i32>("code")? > 0))
    }

    pub(super) async fn finish_task(&self, lease: Lease, end: End) -> Result<Fenced, StoreError> {
        self.options.check("the outcome", end.outcome.as_deref().unwrap_or_default())?;
        self.options.check("the message", end.message.as_deref().unwrap_or_default())?;
        let parameters = parameters![
            lease.id.as_str().to_owned(),
            number(lease.fence),
            status_number(end.status),
            end.outcome.map(stored),
            end.message.map(stored),
            pause(end.keep),
        ];
        let rows = self.ask(on_task(Call::Finish, &lease.id, parameters)).await?;
        Ok(fenced(Columns::of_one(&rows)?.read("good")?))
    }

    pub(super) async fn hand_back_task(&self, lease: Lease, back: HandBack) -> Result<Fenced, StoreError> {
        self.options.check("the message", back.message.as_deref().unwrap_or_default())?;
        let parameters = parameters![
            lease.id.as_str().to_owned(),
            number(lease.fence),
            i32::from(back.reason == Reason::Failed),
            pause(back.pause),
            back.message.map(stored),
        ];
        let rows = self.ask(on_task(Call::HandBack, &lease.id, parameters)).await?;
        Ok(fenced(Columns::of_one(&rows)?.read("good")?))
    }
}

/// The task that was taken up, if the row has one.
fn claimed(columns: &Columns<'_>) -> Result<Option<Claimed>, StoreError> {
    if columns.read::<Option<String>>("id")?.is_none() {
        return Ok(None);
    }
    let steps = columns.texts("step_keys")?.into_iter().zip(columns.texts("results")?);
    let questions = questions(columns.texts("keys")?, columns.texts("requests")?);
    Ok(Some(Claimed {
        lease: Lease { id: columns.id("id")?, fence: columns.count("fence")? },
        owner: columns.owner()?,
        tool: columns.text("tool")?,
        call: columns.text("call")?,
        steps: steps.map(|(key, result)| Step { key, result }).collect(),
        answers: questions.into_iter().zip(columns.texts("answers")?).collect(),
        deaths: columns.small_count("deaths")?,
        failures: columns.small_count("failures")?,
        created_at: columns.moment("created_at")?,
        expires_at: columns.moment_if_any("expires_at")?,
        now: columns.moment("moment")?,
    }))
}
