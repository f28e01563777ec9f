//! Clients of revision 2026-07-28.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::balancer::{Asked, Trouble};
use crate::random::Random;
use crate::{Client, Principal};

/// How often a client asks again whose replica was killed.
const TRIES: u32 = 5;

fn call(principal: &Principal, id: u64, tool: &str, arguments: Value, more: &Value) -> Asked {
    let mut params = json!({
        "name": tool,
        "arguments": arguments,
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": "chaos", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": { "elicitation": {} },
        },
    });
    if let (Some(params), Some(more)) = (params.as_object_mut(), more.as_object()) {
        params.extend(more.clone());
    }
    Asked::post(principal, json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params }))
        .with("mcp-protocol-version", "2026-07-28")
        .with("mcp-method", "tools/call")
        .with("mcp-name", tool)
}

/// Sends it again if the replica was killed meanwhile: who may ask twice does.
async fn ask(client: &Client, asked: &Asked, id: u64) -> Result<(u16, Value), Trouble> {
    let begun = Instant::now();
    let mut tries = 1;
    let done = loop {
        let asked_once = async {
            let mut reply = client.balancer.send(asked).await?;
            let status = reply.status.as_u16();
            Ok((status, reply.answer(id).await?))
        };
        match asked_once.await {
            Err(Trouble::Killed) if tries < TRIES => {
                tries += 1;
                client.tally.count("retried after a killed replica");
            }
            done => break done,
        }
    };
    client.tally.took(begun.elapsed());
    done
}

/// Calls a tool that may be called twice. None of these calls fails, whatever happens to pods and replicas.
pub(crate) async fn echoes(client: Client, mut random: Random) {
    let mut id = 0;
    while !client.is_over() {
        id += 1;
        let text = format!("{} {:x}", client.principal.secret, random.next());
        let asked = call(&client.principal, id, "echo", json!({ "text": text }), &Value::Null);
        match ask(&client, &asked, id).await {
            Ok((200, answer)) if answer["result"]["content"][0]["text"] == text.as_str() => {
                client.tally.count("modern answered");
            }
            Ok((200, answer)) if answer.get("result").is_some() => {
                client.tally.count("modern mixed up");
                client.tally.broken(format!("{} asked for {text} and got {answer}", client.principal.name));
            }
            Ok((status, answer)) => {
                client.tally.count(format!("modern failed {status}"));
                client.tally.broken(format!("a modern idempotent call: {status} {answer}"));
            }
            Err(trouble) => {
                client.tally.count("modern failed without an answer");
                client.tally.broken(format!("a modern idempotent call: {trouble:?}"));
            }
        }
        sleep(random.millis(5, 40)).await;
    }
}

fn filled_in(guest: &str) -> Value {
    let content = json!({ "name": guest, "nights": 2, "room": "double", "breakfast": true });
    json!({ "action": "accept", "content": content })
}

/// Books rooms: a question in between, whose answer reaches any replica and any pod.
pub(crate) async fn books(client: Client, mut random: Random) {
    let mut id = 0;
    while !client.is_over() {
        id += 2;
        match book(&client, id, &mut random).await {
            Ok(()) => client.tally.count("modern book answered"),
            Err(why) => client.tally.count(format!("modern book lost: {why}")),
        }
        sleep(random.millis(20, 80)).await;
    }
}

async fn book(client: &Client, id: u64, random: &mut Random) -> Result<(), String> {
    let city = json!({ "city": "Oslo" });
    let asked = call(&client.principal, id, "book", city.clone(), &Value::Null);
    let (status, round) = ask(client, &asked, id).await.map_err(|trouble| told(client, &trouble))?;
    let state = &round["result"]["requestState"];
    if !state.is_string() {
        return Err(format!("asked: {}", reason(status, &round)));
    }
    client.tally.count("modern questions");
    let more = json!({ "requestState": state, "inputResponses": { "stay": filled_in(&client.principal.secret) } });
    if random.below(10) == 0 {
        let stolen = call(&client.thief, id, "book", city.clone(), &more);
        if let Ok((_, answer)) = ask(client, &stolen, id).await {
            match answer.get("result") {
                Some(_) => {
                    client.tally.broken(format!("{} went on with a round of another: {answer}", client.thief.name))
                }
                None => client.tally.count("stolen rounds refused"),
            }
        }
    }
    sleep(random.millis(0, 300).min(Duration::from_millis(300))).await;
    let asked = call(&client.principal, id + 1, "book", city, &more);
    let (status, booked) = ask(client, &asked, id + 1).await.map_err(|trouble| told(client, &trouble))?;
    let guest = &booked["result"]["structuredContent"]["guest"];
    if !guest.is_string() {
        return Err(format!("answered: {}", reason(status, &booked)));
    }
    if *guest != client.principal.secret.as_str() {
        client.tally.broken(format!("{} booked and got {booked}", client.principal.name));
    }
    Ok(())
}

/// A word for what went wrong. A connection that breaks without a reason breaks a promise.
pub(crate) fn told(client: &Client, trouble: &Trouble) -> String {
    match trouble {
        Trouble::Killed => "its replica was killed".to_owned(),
        Trouble::Slow => "too slow".to_owned(),
        Trouble::Refused => {
            client.tally.broken("both replicas refused a connection");
            "refused".to_owned()
        }
        Trouble::Broke(why) => {
            client.tally.broken(format!("a connection broke and nobody had killed the replica: {why}"));
            "broke off".to_owned()
        }
    }
}

pub(crate) fn reason(status: u16, answer: &Value) -> String {
    let message = answer["error"]["message"].as_str().map_or_else(|| answer.to_string(), str::to_owned);
    format!("{status} {message}")
}
