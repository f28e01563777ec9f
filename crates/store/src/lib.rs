//! What a fleet of MCP servers must remember, and cannot put into a token: tasks with their journals, events that reach
//! every pod, values behind handles, and marks of what was used.
//!
//! A store knows nothing of the protocol. It keeps texts, says whose they are, and sees to it that of all pods that work on
//! the same thing one at a time can write it down. What the texts mean is the business of `anypod-server`.
//!
//! Three things to know:
//! - [`Store`]: the trait. Every pod of a fleet opens the same store.
//! - [`Lease`]: the right to work on a task. It ends when it is not renewed, and whoever takes the task up then gets a
//!   higher [fence](Lease::fence): what the one before writes from then on is refused, however late it wakes up.
//! - [`Follower`]: hears of what any pod has written.
//!
//! [`Memory`] is a store within one process, for tests. `anypod_store::contract` (feature `contract`) is what every
//! implementation has to pass, yours too.
//!
//! ```
//! use std::time::Duration;
//! use anypod_store::{Claim, Created, End, Memory, NewTask, Owner, Store, TaskId, TaskStatus};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let store = Memory::default();
//! let id = TaskId::from_random([7; 16]);
//! let new = NewTask::new(id.clone(), Owner::nobody(), "resize", r#"{"name":"resize"}"#);
//! assert!(matches!(store.create(new).await.unwrap(), Created::Made(_)));
//!
//! // Any pod takes it up, and says how it ended.
//! let claim = Claim { worker: "pod-1".into(), tools: vec!["resize".into()], most: 1, lease: Duration::from_secs(10) };
//! let claimed = store.claim(claim).await.unwrap();
//! let end = End::new(TaskStatus::Completed, r#"{"content":[]}"#);
//! store.finish(claimed.tasks[0].lease.clone(), end).await.unwrap();
//!
//! let task = store.task(id, Some(Owner::nobody())).await.unwrap().unwrap();
//! assert_eq!(task.status, TaskStatus::Completed);
//! # });
//! ```

mod error;
mod event;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod follow;
mod memory;
mod open;
mod options;
#[cfg(feature = "postgres")]
mod postgres;
mod report;
#[cfg(feature = "sqlite")]
mod sqlite;
mod store;
mod task;
mod time;
mod value;
mod work;

#[cfg(feature = "contract")]
pub mod contract;

pub use anypod_proto::tasks::TaskStatus;
pub use error::{OpenError, StoreError};
pub use event::{Event, Follower, Heard};
pub use memory::Memory;
pub use open::open;
pub use options::Options;
#[cfg(feature = "postgres")]
pub use postgres::Postgres;
pub use report::{JournalEntry, StoreStatus, Swept, TaskQuery, TaskReport, TaskRow};
#[cfg(feature = "sqlite")]
pub use sqlite::Sqlite;
pub use store::{Later, Store};
pub use task::{Answered, Created, Full, Made, NewTask, Owner, Phase, Question, Task, TaskId};
pub use time::{Clock, Millis};
pub use value::{NewValue, Replaced, Value, ValueId};
pub use work::{Claim, Claimed, Claims, End, Fenced, HandBack, Lease, Reason, Step};
