//! A store in a PostgreSQL database: one for a fleet.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anypod_proto::tasks::TaskStatus;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_postgres::Row;
use tokio_postgres::config::SslMode;

mod address;
mod back_off;
mod call;
mod care;
mod failure;
mod follow;
mod forms;
mod lanes;
mod link;
mod listen;
mod queue;
mod room;
mod tasks;
mod text;
mod tls;
mod values;
mod work;

use self::address::Address;
use self::call::{Call, Request, parameters};
use self::follow::Following;
use self::lanes::Lanes;
use self::link::Connector;
use self::listen::{Wakes, listen};
use self::room::Room;
use self::text::{Columns, stored};
use self::tls::Tls;
use crate::error::{OpenError, StoreError};
use crate::event::Follower;
use crate::follow::Followers;
use crate::options::Options;
use crate::report::{StoreStatus, Swept, TaskQuery, TaskReport, TaskRow};
use crate::store::{Later, Store};
use crate::task::{Answered, Created, NewTask, Owner, Question, Task, TaskId};
use crate::time::Millis;
use crate::value::{NewValue, Replaced, Value, ValueId};
use crate::work::{Claim, Claims, End, Fenced, HandBack, Lease, Step};

/// How long it may take until everything is connected, before the rest of it happens in the background.
const SETTLING: Duration = Duration::from_secs(5);

/// A store in a schema of a PostgreSQL database, of version 13 or later and with the encoding UTF8.
///
/// Everything that it does is a function in that schema, which does all of it in one transaction and in one round trip.
/// Connections that break are made anew. While there is none, and when the server does not answer in time,
/// [`StoreError::Unavailable`] says so; nothing waits for long, and nothing is done twice by itself.
///
/// The bounds of [`Options`] hold for all pods together, except that what several create in the same moment may exceed
/// [`Options::store_bytes`] by a little.
pub struct Postgres {
    options: Options,
    connector: Arc<Connector>,
    lanes: Arc<Lanes>,
    wakes: Arc<Wakes>,
    followers: Followers<Following>,
    room: Room,
    /// Ends with this.
    _listener: JoinSet<()>,
}

impl Postgres {
    /// Opens the store at this address, and makes it if nothing is there:
    ///
    /// ```text
    /// postgres://USER:PASSWORD@HOST:PORT/DATABASE?schema=anypod
    /// ```
    ///
    /// These parameters are its own, all others are those of [`tokio_postgres::Config`]:
    /// - `schema`: where it is, `anypod` if nothing is said. Who opens it first has to be allowed to create it, or to create tables
    ///   in it. Several stores can share a database.
    /// - `connections`: how many it keeps for requests, 2 to 64; 4 if nothing is said. It has one more to hear of others.
    /// - `deadline`: how long a statement may take, in milliseconds; 5000 if nothing is said.
    /// - `sslmode`: `require`, or `disable`. Without it, connections within the machine (a Unix socket, a loopback address) are
    ///   not encrypted and all others are. Certificates are always verified, as `verify-full` does; `prefer`, which may or may
    ///   not encrypt, is refused for other machines.
    /// - `sslrootcert`: a PEM file of the authorities to trust instead of the system's.
    ///
    /// # Errors
    /// If the address is none, nobody answers there, or what is there is no store or has a newer form. No error holds the
    /// password.
    pub async fn open(url: &str, options: Options) -> Result<Self, OpenError> {
        let address = Address::parse(url)?;
        let is_encrypted = address.config.get_ssl_mode() != SslMode::Disable;
        let tls = Tls::new(address.roots.as_deref(), is_encrypted)
            .map_err(|problem| OpenError::Unreachable { place: address.place.clone(), problem })?;
        let connector = Arc::new(Connector { address, tls });
        Box::pin(forms::prepare(&connector)).await?;
        let wakes = Arc::new(Wakes::new());
        let lanes = Arc::new(Lanes::new(&connector, &wakes));
        let mut listener = JoinSet::new();
        listener.spawn(listen(Arc::clone(&connector), Arc::clone(&wakes)));
        let (followers, room) = (Followers::default(), Room::default());
        let store = Self { options, connector, lanes, wakes, followers, room, _listener: listener };
        // It has just been there; if it goes away meanwhile, that is no other case than that it goes away later.
        let _ = timeout(SETTLING, store.wakes.listening()).await;
        Ok(store)
    }

    /// Which store it is, without a password.
    pub fn place(&self) -> &str {
        &self.connector.address.place
    }

    async fn ask(&self, request: Request) -> Result<Vec<Row>, StoreError> {
        self.lanes.ask(request).await
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").field("place", &self.place()).finish_non_exhaustive()
    }
}

impl Store for Postgres {
    fn now(&self) -> Later<'_, Millis> {
        Box::pin(async {
            let rows = self.ask(Request::new(Call::Now, Vec::new())).await?;
            Columns::of_one(&rows)?.moment("moment")
        })
    }

    fn create(&self, task: NewTask) -> Later<'_, Created> {
        Box::pin(self.create_task(task))
    }

    fn task(&self, id: TaskId, owner: Option<Owner>) -> Later<'_, Option<Task>> {
        Box::pin(self.seen_task(id, owner))
    }

    fn answer(&self, id: TaskId, owner: Option<Owner>, answers: Vec<(String, String)>) -> Later<'_, Answered> {
        Box::pin(self.answer_task(id, owner, answers))
    }

    fn cancel(&self, id: TaskId, owner: Option<Owner>, message: Option<String>) -> Later<'_, Option<TaskStatus>> {
        Box::pin(self.cancel_task(id, owner, message))
    }

    fn claim(&self, claim: Claim) -> Later<'_, Claims> {
        Box::pin(self.claim_tasks(claim))
    }

    fn renew(&self, leases: Vec<Lease>, lease: Duration) -> Later<'_, Vec<Fenced>> {
        Box::pin(self.renew_leases(leases, lease))
    }

    fn record(&self, lease: Lease, step: Step) -> Later<'_, Fenced> {
        Box::pin(self.record_step(lease, step))
    }

    fn say(&self, lease: Lease, message: String) -> Later<'_, Fenced> {
        Box::pin(self.say_of_task(lease, message))
    }

    fn park(&self, lease: Lease, questions: Vec<Question>) -> Later<'_, Fenced> {
        Box::pin(self.park_task(lease, questions))
    }

    fn finish(&self, lease: Lease, end: End) -> Later<'_, Fenced> {
        Box::pin(self.finish_task(lease, end))
    }

    fn hand_back(&self, lease: Lease, back: HandBack) -> Later<'_, Fenced> {
        Box::pin(self.hand_back_task(lease, back))
    }

    fn woken(&self) -> watch::Receiver<u64> {
        self.wakes.subscribe()
    }

    fn publish(&self, events: Vec<String>) -> Later<'_, ()> {
        Box::pin(async {
            for text in &events {
                self.options.check("the event", text)?;
            }
            if events.is_empty() {
                return Ok(());
            }
            let texts: Vec<String> = events.into_iter().map(stored).collect();
            // Events have no order among each other, so nobody waits for another one here.
            self.ask(Request::new(Call::Publish, parameters![texts])).await?;
            Ok(())
        })
    }

    fn follow(&self) -> Later<'_, Box<dyn Follower>> {
        let begin = Following::begin(Arc::clone(&self.lanes), self.options.events_for);
        Box::pin(self.followers.add(self.wakes.subscribe(), begin))
    }

    fn put(&self, value: NewValue) -> Later<'_, bool> {
        Box::pin(self.put_value(value))
    }

    fn value(&self, id: ValueId) -> Later<'_, Option<Value>> {
        Box::pin(self.look_at_value(id))
    }

    fn replace(&self, id: ValueId, version: u64, text: String) -> Later<'_, Replaced> {
        Box::pin(self.replace_value(id, version, text))
    }

    fn remove(&self, id: ValueId) -> Later<'_, bool> {
        Box::pin(self.remove_value(id))
    }

    fn mark(&self, digest: [u8; 32], keep: Duration) -> Later<'_, bool> {
        Box::pin(self.mark_digest(digest, keep))
    }

    fn status(&self) -> Later<'_, StoreStatus> {
        Box::pin(self.store_status())
    }

    fn tasks(&self, query: TaskQuery) -> Later<'_, Vec<TaskRow>> {
        Box::pin(self.list_tasks(query))
    }

    fn report(&self, id: TaskId) -> Later<'_, Option<TaskReport>> {
        Box::pin(self.report_task(id))
    }

    fn retry(&self, id: TaskId) -> Later<'_, Option<TaskStatus>> {
        Box::pin(self.retry_task(id))
    }

    fn sweep(&self, most: usize) -> Later<'_, Swept> {
        Box::pin(self.sweep_store(most))
    }

    fn compact(&self) -> Later<'_, ()> {
        Box::pin(self.clear())
    }
}
