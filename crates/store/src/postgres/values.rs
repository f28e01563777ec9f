//! Values behind handles, and marks.

use std::time::Duration;

use super::Postgres;
use super::call::{Call, Parameter, Request, parameters};
use super::text::{Columns, number, pause, stored};
use crate::error::StoreError;
use crate::value::{NewValue, Replaced, Value, ValueId};

/// The kinds of what is written, see [`Request::order`].
const NEW_VALUE: u8 = 1;
const VALUE: u8 = 3;
const MARK: u8 = 4;

/// A request that writes a value: its id is what the statement begins with.
fn on_value(call: Call, id: ValueId, mut more: Vec<Parameter>) -> Request {
    let name = [id.kind.as_str(), id.id.as_str(), id.owner.as_str()].join("\0");
    let mut parameters = parameters![stored(id.kind), stored(id.id), stored(id.owner.as_str())];
    parameters.append(&mut more);
    let kind = if call == Call::Put { NEW_VALUE } else { VALUE };
    Request::on(call, kind, name.as_bytes(), parameters)
}

impl Postgres {
    pub(super) async fn put_value(&self, new: NewValue) -> Result<bool, StoreError> {
        self.options.check("the value", &new.text)?;
        let most = number(self.options.values_of_owner);
        let more = parameters![stored(new.text), new.ttl.map(pause), new.sliding, most];
        let rows = self.ask(on_value(Call::Put, new.id, more)).await?;
        Columns::of_one(&rows)?.read("good")
    }

    pub(super) async fn look_at_value(&self, id: ValueId) -> Result<Option<Value>, StoreError> {
        let rows = self.ask(on_value(Call::Look, id, Vec::new())).await?;
        let read = |columns: Columns<'_>| {
            let (text, version) = (columns.text("text")?, columns.count("version")?);
            Ok(Value { text, version, expires_at: columns.moment_if_any("expires_at")? })
        };
        Columns::of_any(&rows).map(read).transpose()
    }

    pub(super) async fn replace_value(&self, id: ValueId, version: u64, text: String) -> Result<Replaced, StoreError> {
        self.options.check("the value", &text)?;
        let rows = self.ask(on_value(Call::Replace, id, parameters![number(version), stored(text)])).await?;
        let version = Columns::of_one(&rows)?.count_if_any("version")?;
        Ok(match version {
            None => Replaced::Gone,
            Some(0) => Replaced::Changed,
            Some(version) => Replaced::Done(version),
        })
    }

    pub(super) async fn remove_value(&self, id: ValueId) -> Result<bool, StoreError> {
        let rows = self.ask(on_value(Call::Remove, id, Vec::new())).await?;
        Columns::of_one(&rows)?.read("good")
    }

    pub(super) async fn mark_digest(&self, digest: [u8; 32], keep: Duration) -> Result<bool, StoreError> {
        let request = Request::on(Call::Mark, MARK, &digest, parameters![digest.to_vec(), pause(keep)]);
        let rows = self.ask(request).await?;
        Columns::of_one(&rows)?.read("good")
    }
}
