//! Clients of revision 2025-11-25, with sessions.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use crate::balancer::{Asked, Said, Trouble};
use crate::modern::{reason, told};
use crate::random::Random;
use crate::{Client, Principal};

/// How many calls a session sees.
const CALLS: u64 = 40;
/// How long a client waits for the result of a call.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a session is opened anew before it counts as refused.
const TRIES: usize = 5;

fn post(principal: &Principal, session: Option<&str>, body: Value) -> Asked {
    let asked = Asked::post(principal, body);
    match session {
        Some(session) => asked.with("mcp-session-id", session).with("mcp-protocol-version", "2025-11-25"),
        None => asked,
    }
}

/// Opens sessions and uses them. None of them is lost, whatever happens to pods and replicas.
pub(crate) async fn sessions(client: Client, mut random: Random) {
    while !client.is_over() {
        match open(&client).await {
            Some(session) => {
                client.tally.count("sessions");
                used(&client, &session, &mut random).await;
                close(&client, &session).await;
            }
            None => client.tally.broken("no legacy session could be opened"),
        }
    }
}

async fn open(client: &Client) -> Option<String> {
    let params = json!({
        "protocolVersion": "2025-11-25",
        "clientInfo": { "name": "chaos", "version": "1" },
        "capabilities": { "elicitation": {} },
    });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
    for _ in 0..TRIES {
        let Ok(mut reply) = client.balancer.send(&post(&client.principal, None, body.clone())).await else { continue };
        let session = reply.session.take();
        if let (Some(session), Ok(_)) = (session, reply.answer(1).await) {
            let body = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
            // Nothing depends on it.
            let _ = client.balancer.send(&post(&client.principal, Some(&session), body)).await;
            return Some(session);
        }
        client.tally.count("initialize sent again");
    }
    None
}

async fn close(client: &Client, session: &str) {
    let mut asked = post(&client.principal, Some(session), Value::Null);
    (asked.method, asked.body) = (hyper::Method::DELETE, None);
    if let Ok(reply) = client.balancer.send(&asked).await {
        client.tally.count(format!("sessions closed {}", reply.status.as_u16()));
    }
}

async fn used(client: &Client, session: &str, random: &mut Random) {
    for id in 2..CALLS {
        if client.is_over() {
            return;
        }
        let begun = Instant::now();
        let call = async {
            match random.below(6) {
                0 => book(client, session, id).await,
                1 if id % 4 == 0 => steal(client, session, id).await,
                _ => echo(client, session, id, random.next()).await,
            }
        };
        // A stream may be kept alive for longer than a client of this kind waits.
        let done = timeout(PATIENCE, call).await.unwrap_or_else(|_| Err("given up".to_owned()));
        client.tally.took(begun.elapsed());
        if let Err(why) = done {
            client.tally.count(format!("legacy lost: {why}"));
        }
        sleep(random.millis(5, 60)).await;
    }
}

fn call(principal: &Principal, session: &str, id: u64, tool: &str, arguments: &Value) -> Asked {
    let params = json!({ "name": tool, "arguments": arguments });
    post(principal, Some(session), json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params }))
}

async fn echo(client: &Client, session: &str, id: u64, number: u64) -> Result<(), String> {
    let text = format!("{} {number:x}", client.principal.secret);
    let asked = call(&client.principal, session, id, "echo", &json!({ "text": text }));
    let (status, answer) = ask(client, session, &asked, id).await?;
    let told = &answer["result"]["content"][0]["text"];
    if !told.is_string() {
        return Err(reason(status, &answer));
    }
    if *told != text.as_str() {
        client.tally.broken(format!("{} asked for {text} and got {answer}", client.principal.name));
    }
    client.tally.count("legacy answered");
    Ok(())
}

async fn book(client: &Client, session: &str, id: u64) -> Result<(), String> {
    let asked = call(&client.principal, session, id, "book", &json!({ "city": "Oslo" }));
    let (status, booked) = ask(client, session, &asked, id).await?;
    let content = &booked["result"]["structuredContent"];
    if !content["guest"].is_string() {
        return Err(format!("book: {}", reason(status, &booked)));
    }
    if content["guest"] != client.principal.secret.as_str() {
        client.tally.broken(format!("{} booked and got {booked}", client.principal.name));
    }
    client.tally.count("legacy book answered");
    Ok(())
}

/// Sends a request in the session, and answers what is asked meanwhile.
async fn ask(client: &Client, session: &str, asked: &Asked, id: u64) -> Result<(u16, Value), String> {
    let mut reply = client.balancer.send(asked).await.map_err(|trouble| told(client, &trouble))?;
    let status = reply.status.as_u16();
    if status == 404 {
        client.tally.count("sessions lost");
        client.tally.broken("a legacy session was lost");
    }
    loop {
        match reply.next(id).await.map_err(|trouble| told(client, &trouble))? {
            Said::Answer(answer) => return Ok((status, answer)),
            Said::Meanwhile(message) if message["method"] == "elicitation/create" => {
                client.tally.count("legacy questions");
                answer(client, session, &message["id"]).await;
            }
            Said::Meanwhile(_) => {}
        }
    }
}

/// Fills in the form. The answer may reach the other replica.
async fn answer(client: &Client, session: &str, id: &Value) {
    let content = json!({ "name": client.principal.secret, "nights": 2, "room": "double", "breakfast": true });
    let result = json!({ "action": "accept", "content": content });
    let asked = post(&client.principal, Some(session), json!({ "jsonrpc": "2.0", "id": id, "result": result }));
    for _ in 0..TRIES {
        match client.balancer.send(&asked).await {
            Ok(reply) => return client.tally.count(format!("legacy questions answered {}", reply.status.as_u16())),
            Err(Trouble::Killed | Trouble::Broke(_)) => client.tally.count("legacy answers sent again"),
            Err(trouble) => {
                let why = told(client, &trouble);
                return client.tally.count(format!("legacy questions not answered: {why}"));
            }
        }
    }
}

/// Uses the session of another, which looks unknown.
async fn steal(client: &Client, session: &str, id: u64) -> Result<(), String> {
    let asked = call(&client.thief, session, id, "echo", &json!({ "text": "mine" }));
    let reply = client.balancer.send(&asked).await.map_err(|trouble| told(client, &trouble))?;
    match reply.status.as_u16() {
        404 => client.tally.count("stolen sessions refused"),
        status => client.tally.broken(format!("{} used a session of another: {status}", client.thief.name)),
    }
    Ok(())
}
