//! Features in which the server tells of changes.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use anypod_client::proto::resources::ReadResourceResult;
use anypod_client::proto::subscriptions::SubscriptionFilter;
use anypod_client::{Event, Subscription};
use serde_json::json;

use crate::script::Changing;
use crate::{Exercise, absent};

const NEWS_LIMIT: Duration = Duration::from_secs(5);

impl Exercise {
    /// Has a list change; the word of it must come, and the list must then be read anew.
    pub(crate) async fn listen_lists(&self) -> Result<()> {
        let (step, changing) = &self.script.changes_list;
        if !self.tells_of(*changing).await? {
            return absent("it does not tell when its lists change");
        }
        let filter = match changing {
            Changing::Tools => SubscriptionFilter { tools_list_changed: Some(true), ..SubscriptionFilter::default() },
            Changing::Resources => {
                SubscriptionFilter { resources_list_changed: Some(true), ..SubscriptionFilter::default() }
            }
        };
        let mut subscription = self.client.listen(filter.clone()).await?;
        ensure!(subscription.accepted() == filter, "it accepted {:?}", subscription.accepted());
        let before = self.length(*changing).await?;
        self.take(step).await?;
        match (news(&mut subscription).await?, changing) {
            (Event::ToolsChanged, Changing::Tools) | (Event::ResourcesChanged, Changing::Resources) => {}
            (event, _) => bail!("{event:?} came instead"),
        }
        ensure!(self.length(*changing).await? != before, "the list is the same as before");
        Ok(())
    }

    async fn tells_of(&self, changing: Changing) -> Result<bool> {
        let capabilities = self.capabilities().await?;
        let list_changed = match changing {
            Changing::Tools => capabilities.tools.and_then(|tools| tools.list_changed),
            Changing::Resources => capabilities.resources.and_then(|resources| resources.list_changed),
        };
        Ok(list_changed == Some(true))
    }

    async fn length(&self, changing: Changing) -> Result<usize> {
        Ok(match changing {
            Changing::Tools => self.client.tools().await?.len(),
            Changing::Resources => self.client.resources().await?.len(),
        })
    }

    /// Has a resource change; the word of it must come, and the resource must then be read anew.
    pub(crate) async fn listen_resources(&self) -> Result<()> {
        if self.capabilities().await?.resources.and_then(|resources| resources.subscribe) != Some(true) {
            return absent("it tells nothing of resources");
        }
        let (step, uri, reads_differently) = &self.script.touches;
        let filter = SubscriptionFilter {
            resource_subscriptions: Some(vec![(*uri).to_owned()]),
            ..SubscriptionFilter::default()
        };
        let mut subscription = self.client.listen(filter.clone()).await?;
        ensure!(subscription.accepted() == filter, "it accepted {:?}", subscription.accepted());
        let before = self.client.read(uri).await?;
        self.take(step).await?;
        match news(&mut subscription).await? {
            Event::ResourceUpdated { uri: updated } if updated == *uri => {}
            event => bail!("{event:?} came instead"),
        }
        let contents = |read: &ReadResourceResult| json!(read.contents);
        let after = self.client.read(uri).await?;
        ensure!(!reads_differently || contents(&before) != contents(&after), "the resource reads as before");
        Ok(())
    }
}

async fn news(subscription: &mut Subscription) -> Result<Event> {
    let next = tokio::time::timeout(NEWS_LIMIT, subscription.next()).await.context("no word of the change")?;
    next.with_context(|| format!("the subscription ended: {:?}", subscription.end()))
}
