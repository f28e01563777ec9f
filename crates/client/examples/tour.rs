//! What a host does with a server besides calling it: answers its questions, shows progress, follows tasks, hears of
//! changes.
//!
//! It takes the URL of a server that has the tools of `anypod demo`; without one, that of `anypod up`.

use std::time::Duration;

use anypod_client::proto::elicitation::{ElicitRequestFormParams, ElicitResult};
use anypod_client::proto::implementation::Implementation;
use anypod_client::proto::subscriptions::SubscriptionFilter;
use anypod_client::{Client, Event, Result, Started};
use serde_json::{Value, json};

/// A host would show the form to the person. This one has made up its mind already.
async fn fill_in(form: ElicitRequestFormParams) -> Result<ElicitResult> {
    println!("the server asks: {}", form.message);
    let stay = [("name", json!("Ada")), ("nights", json!(2)), ("room", json!("double"))];
    Ok(ElicitResult::accept(stay.map(|(field, value)| (field.to_owned(), value)).into_iter().collect()))
}

#[tokio::main]
async fn main() -> Result<()> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:8080/mcp".to_owned());
    let client = Client::builder().info(Implementation::new("tour", "1.0.0")).on_form(fill_in).connect(&url)?;
    for tool in client.tools().await? {
        println!("{}: {}", tool.name, tool.description.unwrap_or_default());
    }
    book(&client).await?;
    count_down(&client).await?;
    hear_of_changes(&client).await?;
    client.close().await
}

/// The questions of a call go to the answerers of the client, and the call goes on, here or on another pod.
async fn book(client: &Client) -> Result<()> {
    let booking: Value = client.call_as("book", json!({ "city": "Lisbon" })).await?;
    println!("booked: {booking}");
    Ok(())
}

/// A server may make a task of a call, whose id is all that is needed to go on with it elsewhere.
async fn count_down(client: &Client) -> Result<()> {
    let call = client
        .call("countdown", json!({ "from": 3 }))
        .timeout(Duration::from_secs(20))
        .on_progress(|progress| println!("{}", progress.message.unwrap_or_default()));
    let result = match call.detach().await? {
        Started::Done(result) => result,
        Started::Task(task) => {
            println!("the server goes on with it as the task {}", task.id());
            task.wait().await?
        }
    };
    println!("{}", result.content.iter().find_map(|block| block.as_text()).unwrap_or_default());
    Ok(())
}

/// Lost streams are begun again. What happened in between is not known, and said to be.
async fn hear_of_changes(client: &Client) -> Result<()> {
    let filter = SubscriptionFilter { tools_list_changed: Some(true), ..SubscriptionFilter::default() };
    let mut changes = client.listen(filter).await?;
    println!("listening for a moment");
    while let Ok(Some(event)) = tokio::time::timeout(Duration::from_secs(2), changes.next()).await {
        match event {
            Event::ToolsChanged | Event::Gap => println!("there are {} tools now", client.tools().await?.len()),
            other => println!("{other:?}"),
        }
    }
    Ok(())
}
