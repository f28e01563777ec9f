//! `tasks/list` of 2025-11-25: the tasks of the caller, the youngest first, page by page.

use std::sync::Arc;

use anypod_proto::legacy::tasks::ListTasksResult;
use anypod_proto::method::LegacyTaskMethod;
use anypod_proto::seal::{PrincipalId, Purpose};
use anypod_store::{Millis, TaskId, TaskQuery, TaskRow};
use serde::Deserialize;

use super::super::AsTask;
use super::super::engine::{Engine, unavailable};
use super::{no_such, spelled};
use crate::cx::Cx;
use crate::error::{Error, Result};
use crate::extension::{MethodResult, Params};
use crate::principal::owner;
use crate::server::Server;
use crate::tokens::Binding;

/// What a cursor of a list of tasks is bound to besides the caller.
const CONTEXT: [&[u8]; 1] = [LegacyTaskMethod::List.as_str().as_bytes()];

/// What the request carries.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    #[serde(default)]
    cursor: Option<String>,
}

/// A page of the caller's tasks.
pub(super) async fn list(engine: Arc<Engine>, Params(page): Params<Page>, cx: Cx) -> Result<MethodResult> {
    let Some(principal) = cx.principal() else {
        // It is not declared to them, either.
        return Err(no_such("tasks are listed for callers only that are authenticated"));
    };
    let (server, size) = (cx.server(), cx.server().limits().page_items.max(1));
    let before = page.cursor.map(|cursor| open(server, principal.id(), &cursor)).transpose()?;
    // One more than is shown says whether there is more.
    let (owner, most) = (Some(owner(Some(principal))), size.saturating_add(1));
    let query = TaskQuery { owner, before, most, ..TaskQuery::default() };
    let mut rows = engine.store.tasks(query).await.map_err(unavailable)?;
    let next_cursor = match rows.len() > size {
        true => {
            rows.truncate(size);
            rows.last().map(|last| seal(server, principal.id(), last)).transpose()?
        }
        false => None,
    };
    let spelled = rows.into_iter().map(|row| {
        let poll = server.mark_of::<AsTask>(&row.tool).and_then(|as_task| as_task.poll);
        spelled::row(row, poll.unwrap_or(engine.settings.poll))
    });
    MethodResult::of(&ListTasksResult { tasks: spelled.collect(), next_cursor })
}

const fn binding(principal: &PrincipalId) -> Binding<'_> {
    Binding { purpose: Purpose::Cursor, principal: Some(principal), context: &CONTEXT }
}

/// When the last task of a page was created, and its id.
fn seal(server: &Server, principal: &PrincipalId, last: &TaskRow) -> Result<String> {
    let position = [&last.created_at.0.to_be_bytes(), last.id.as_str().as_bytes()].concat();
    let ttl = server.limits().cursor_ttl_secs;
    server.tokens().seal(server.outside(), binding(principal), ttl, &position).map_err(Error::internal)
}

fn open(server: &Server, principal: &PrincipalId, cursor: &str) -> Result<(Millis, TaskId)> {
    let unknown = || Error::invalid_params("this cursor is unknown or has expired: begin with the first page");
    let position = server.tokens().open(server.outside(), binding(principal), cursor).map_err(|error| {
        tracing::info!(%error, "a cursor did not open");
        unknown()
    })?;
    let read = || {
        let (at, id) = position.split_first_chunk()?;
        Some((Millis(u64::from_be_bytes(*at)), TaskId::parse(std::str::from_utf8(id).ok()?)?))
    };
    read().ok_or_else(unknown)
}
