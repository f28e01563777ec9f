//! One place of a server, called in the name of many.

mod admitted;
mod calls;
mod probe;
mod refusals;
mod sessions;
mod stdio;

use std::sync::Arc;

use anypod_client::proto::capabilities::ClientCapabilities;
use anypod_client::proto::implementation::Implementation;
use anypod_client::{Answer, Client, Endpoint, Exchange, Identity, Incoming, Notice, Refusal, Sent};
use serde_json::Value;

use crate::legacy::server::Server;

/// A client of this name that can do nothing.
fn named(name: &str) -> Arc<Identity> {
    Arc::new(Identity::new(Implementation::new(name, "1.0.0"), ClientCapabilities::default()))
}

fn at(server: &Server) -> Endpoint {
    Client::builder().service_endpoint(server.clone())
}

#[track_caller]
fn exchange(sent: Sent) -> Exchange {
    match sent {
        Sent::Exchange(exchange) => exchange,
        Sent::Refused(refusal) => panic!("{refusal:?}"),
    }
}

#[track_caller]
fn refused(sent: Sent) -> Refusal {
    match sent {
        Sent::Refused(refusal) => refusal,
        Sent::Exchange(_) => panic!("it went on"),
    }
}

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
        Answer::Result(result) => result.read().expect("JSON"),
        Answer::Error(error) => panic!("{error:?}"),
    }
}
