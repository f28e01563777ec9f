//! Features of lists, resources and prompts.

use anyhow::{Context as _, Result, bail, ensure};
use anypod_client::proto::completion::{CompletionArgument, CompletionReference, PromptReference};
use anypod_client::proto::content::ResourceContents;
use anypod_client::proto::jsonrpc::Cursor;
use anypod_client::{CacheUse, Error};
use serde_json::json;

use crate::{Exercise, absent};

/// More pages than any of the servers has.
const PAGES: usize = 60;

impl Exercise {
    pub(crate) async fn list(&self) -> Result<()> {
        let tools = self.client.tools().await?;
        for wanted in [self.script.echo.tool, self.script.progress.tool, self.script.structured.0.tool] {
            ensure!(tools.iter().any(|tool| tool.name == wanted), "no tool {wanted} among {}", tools.len());
        }
        Ok(())
    }

    /// Turns pages by hand; they must make up the whole list. A cursor of nobody's must be refused.
    pub(crate) async fn pagination(&self) -> Result<()> {
        let mut names = Vec::new();
        let (mut pages, mut cursor) = (0, None);
        while pages < PAGES && (pages == 0 || cursor.is_some()) {
            let page = self.client.tools_page(cursor.as_ref()).cache(CacheUse::Bypass).await?;
            names.extend(page.tools.into_iter().map(|tool| tool.name));
            cursor = page.next_cursor;
            pages += 1;
        }
        if pages == 1 {
            return absent("its list has one page");
        }
        ensure!(pages >= 3, "{pages} pages, not 3");
        let whole = self.client.tools().cache(CacheUse::Bypass).await?;
        let whole: Vec<_> = whole.iter().map(|tool| tool.name.clone()).collect();
        ensure!(names == whole, "the pages {names:?} differ from the whole list {whole:?}");
        match self.client.tools_page(Some(&Cursor("no-such-cursor".to_owned()))).cache(CacheUse::Bypass).await {
            Err(Error::Answered(_)) => Ok(()),
            other => bail!("a cursor of nobody's ended with {other:?}"),
        }
    }

    pub(crate) async fn resources(&self) -> Result<()> {
        let (text, bytes) = self.script.resources;
        ensure!(self.client.resources().await?.iter().any(|resource| resource.uri == text), "{text} is not listed");
        match &self.client.read(text).await?.contents[..] {
            [ResourceContents::Text(contents)] => ensure!(!contents.text.is_empty(), "no text in {text}"),
            other => bail!("{text} has {other:?}"),
        }
        match &self.client.read(bytes).await?.contents[..] {
            [ResourceContents::Blob(contents)] => ensure!(!contents.bytes()?.is_empty(), "no bytes in {bytes}"),
            other => bail!("{bytes} has {other:?}"),
        }
        match self.client.read("peer://no-such-resource").await {
            Err(Error::Answered(_)) => Ok(()),
            other => bail!("a resource that is not there ended with {other:?}"),
        }
    }

    pub(crate) async fn templates(&self) -> Result<()> {
        let (template, uri, expected) = self.script.template;
        let templates = self.client.resource_templates().await?;
        ensure!(templates.iter().any(|listed| listed.uri_template == template), "{template} is not listed");
        let read = json!(self.client.read(uri).await?.contents).to_string();
        ensure!(read.contains(expected), "{uri} has {read}");
        Ok(())
    }

    pub(crate) async fn prompts(&self) -> Result<()> {
        let (name, arguments, expected) = self.script.prompt;
        ensure!(self.client.prompts().await?.iter().any(|prompt| prompt.name == name), "{name} is not listed");
        let filled = self.client.prompt(name, arguments.iter().copied()).await?;
        let messages = json!(filled.messages).to_string();
        ensure!(messages.contains(expected), "{name} became {messages}");
        Ok(())
    }

    pub(crate) async fn completion(&self) -> Result<()> {
        if self.capabilities().await?.completions.is_none() {
            return absent("it completes nothing");
        }
        let (prompt, argument, beginning, expected) = self.script.completion;
        let reference = CompletionReference::Prompt(PromptReference { name: prompt.to_owned(), title: None });
        let argument = CompletionArgument { name: argument.to_owned(), value: beginning.to_owned() };
        let completed = self.client.complete(reference, argument, None).await?.completion;
        completed.values.iter().find(|value| *value == expected).with_context(|| format!("{:?}", completed.values))?;
        Ok(())
    }
}
