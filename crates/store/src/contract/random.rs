//! Whatever several pods do in whatever order, the store does as the [model](super::model) does.

use std::fmt::Debug;
use std::future::Future;
use std::ops::Range;

use anypod_proto::tasks::TaskStatus;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any};
use proptest::prop_oneof;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

use super::Fixtures;
use super::model::TASKS;
use super::replay::Replay;
use crate::work::Reason;

/// How many sequences are tried: a database takes seconds for them.
const CASES: usize = 32;

/// How many shorter ones are tried of one that fails.
const SHRINKS: usize = 300;

/// Something that a pod does, or time. All durations are in hours.
#[derive(Debug, Clone)]
pub(super) enum Act {
    Create {
        task: u8,
        ttl: Option<u64>,
        lease: Option<u64>,
    },
    Claim {
        tools: Vec<&'static str>,
        most: usize,
        lease: u64,
    },
    /// `lease` counts from the one that was given last.
    Work {
        lease: usize,
        work: Work,
    },
    RenewAll {
        lease: u64,
    },
    Answer {
        task: u8,
        keys: Vec<&'static str>,
        as_owner: bool,
    },
    Cancel {
        task: u8,
    },
    Retry {
        task: u8,
    },
    Advance {
        by: u64,
    },
    Sweep,
}

/// What a worker writes.
#[derive(Debug, Clone)]
pub(super) enum Work {
    Record { key: &'static str },
    Say { message: &'static str },
    Park { keys: Vec<&'static str> },
    Finish { status: TaskStatus, keep: u64 },
    HandBack { reason: Reason, pause: u64, message: Option<&'static str> },
}

fn keys() -> impl Strategy<Value = Vec<&'static str>> {
    proptest::sample::subsequence(vec!["a", "b", "c"], 0..=3)
}

pub(super) fn work() -> impl Strategy<Value = Work> {
    let status = select(vec![TaskStatus::Completed, TaskStatus::Failed, TaskStatus::Cancelled]);
    let reason = select(vec![Reason::Leaving, Reason::Failed]);
    let message = || select(vec!["half done", "nearly done"]);
    prop_oneof![
        3 => select(vec!["a", "b", "c"]).prop_map(|key| Work::Record { key }),
        1 => message().prop_map(|message| Work::Say { message }),
        3 => keys().prop_map(|keys| Work::Park { keys }),
        1 => (status, 0..4_u64).prop_map(|(status, keep)| Work::Finish { status, keep }),
        2 => (reason, 0..3_u64, option::of(message()))
            .prop_map(|(reason, pause, message)| Work::HandBack { reason, pause, message }),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let task = || 0..TASKS;
    let tools = proptest::sample::subsequence(vec!["resize", "other"], 1..=2);
    prop_oneof![
        5 => (task(), option::of(1..6_u64), option::of(1..4_u64))
            .prop_map(|(task, ttl, lease)| Act::Create { task, ttl, lease }),
        5 => (tools, 0..4_usize, 1..4_u64).prop_map(|(tools, most, lease)| Act::Claim { tools, most, lease }),
        9 => (0..4_usize, work()).prop_map(|(lease, work)| Act::Work { lease, work }),
        1 => (1..4_u64).prop_map(|lease| Act::RenewAll { lease }),
        4 => (task(), keys(), any::<bool>()).prop_map(|(task, keys, as_owner)| Act::Answer { task, keys, as_owner }),
        1 => task().prop_map(|task| Act::Cancel { task }),
        1 => task().prop_map(|task| Act::Retry { task }),
        3 => (1..3_u64).prop_map(|by| Act::Advance { by }),
        1 => Just(Act::Sweep),
    ]
}

/// Tries values until one fails, and gives the smallest that does.
///
/// The runner that proptest brings calls functions that are not asynchronous.
pub(super) async fn hold<S, F>(cases: usize, strategy: S, check: impl Fn(S::Value) -> F)
where
    S: Strategy<Value: Clone + Debug>,
    F: Future<Output = Result<(), String>>,
{
    let mut runner = TestRunner::new(Config::default());
    for _ in 0..cases {
        let mut tree = strategy.new_tree(&mut runner).expect("nothing is filtered out");
        let mut smallest = tree.current();
        let Err(mut why) = check(smallest.clone()).await else { continue };
        let mut is_smaller = tree.simplify();
        for _ in 0..SHRINKS {
            if !is_smaller {
                break;
            }
            let smaller = tree.current();
            is_smaller = match check(smaller.clone()).await {
                Ok(()) => tree.complicate(),
                Err(reason) => {
                    (why, smallest) = (reason, smaller);
                    tree.simplify()
                }
            };
        }
        panic!("{why}\nafter {smallest:#?}");
    }
}

async fn hold_acts(fixtures: &dyn Fixtures, length: Range<usize>) {
    hold(CASES, vec((any::<bool>(), act()), length), |acts| async move {
        let mut replay = Replay::begin(fixtures).await;
        for (at, (on_other, act)) in acts.into_iter().enumerate() {
            replay.act(on_other, &act).await.map_err(|why| format!("{why}\nat step {at}: {act:?}"))?;
        }
        replay.end().await
    })
    .await;
}

pub(super) async fn a_store_does_as_the_model_does(fixtures: &dyn Fixtures) {
    hold_acts(fixtures, 20..60).await;
}
