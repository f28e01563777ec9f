//! A legacy server behind `LegacyUpstream`: scripted ones, and our own with its legacy front.

mod listening;
mod own;
mod questions;
mod results;
pub(crate) mod server;
mod sessions;
mod streams;

use anypod_client::{Answer, Exchange, Incoming, Notice};
use serde_json::Value;

/// What comes in until the answer.
async fn finish(exchange: &mut Exchange) -> (Vec<Notice>, Answer) {
    let mut notices = Vec::new();
    loop {
        match exchange.next().await.expect("an answer") {
            Incoming::Notice(notice) => notices.push(notice),
            Incoming::Answer(answer) => return (notices, answer),
        }
    }
}

/// The result, which must be one.
async fn result(exchange: &mut Exchange) -> Value {
    match finish(exchange).await.1 {
        Answer::Result(result) => result.read().expect("as the test has it"),
        Answer::Error(error) => panic!("{error:?}"),
    }
}

/// The code and the text of the error, which must be one.
async fn error(exchange: &mut Exchange) -> (i32, String) {
    match finish(exchange).await.1 {
        Answer::Error(error) => (error.code, error.message),
        Answer::Result(result) => panic!("{}", result.as_str()),
    }
}

async fn notice(exchange: &mut Exchange) -> Notice {
    match exchange.next().await.expect("a notification") {
        Incoming::Notice(notice) => notice,
        Incoming::Answer(answer) => panic!("{answer:?}"),
    }
}
