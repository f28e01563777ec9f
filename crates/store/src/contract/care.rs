//! What those see and do who look after a fleet.

use anypod_proto::tasks::TaskStatus;

use super::Fixtures;
use super::fleet::{
    Fleet, LEASE, TOOL, ann, answers, bob, failed_for, id, lost, minutes, new, new_leased, ok, question, step, written,
};
use crate::report::{JournalEntry, TaskQuery, TaskRow};
use crate::task::{NewTask, Owner, Phase};

pub(super) async fn a_status_counts_what_there_is(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let empty = ok(fleet.one.status()).await;
    assert!(empty.phases.iter().all(|(_, count)| *count == 0), "{:?}", empty.phases);
    assert_eq!((empty.oldest_queued, empty.steps, empty.values, empty.marks), (None, 0, 0, 0));
    fleet.parked(1, &["size"]).await;
    for number in [2, 3] {
        let lease = fleet.leased(number).await;
        written(fleet.one.record(lease, step("fetch", "1"))).await;
    }
    fleet.ended(4).await;
    let first = fleet.make(new(5)).await.task;
    fleet.advance(minutes(1)).await;
    for number in [6, 7] {
        fleet.make(new(number)).await;
    }
    ok(fleet.one.mark([1; 32], minutes(1))).await;
    ok(fleet.one.publish(vec!["news".to_owned()])).await;
    let status = ok(fleet.other.status()).await;
    let of = |wanted| status.phases.iter().filter(|(phase, _)| *phase == wanted).map(|(_, count)| count).sum::<u64>();
    let phases = [Phase::Queued, Phase::Leased, Phase::Parked, Phase::Delayed, Phase::Ended];
    assert_eq!(phases.map(of), [3, 2, 1, 0, 1]);
    let of = |wanted| status.statuses.iter().filter(|(is, _)| *is == wanted).map(|(_, count)| count).sum::<u64>();
    let statuses = [TaskStatus::Working, TaskStatus::InputRequired, TaskStatus::Completed, TaskStatus::Failed];
    assert_eq!(statuses.map(of), [5, 1, 1, 0]);
    assert_eq!(status.oldest_queued, Some(first.created_at));
    assert_eq!((status.steps, status.values, status.marks), (2, 0, 1));
    assert!(status.events >= 1 && status.bytes > 0 && !status.place.is_empty());
    assert!(status.now >= first.created_at.after(minutes(1)));
}

async fn listed(fleet: &Fleet, query: TaskQuery) -> Vec<TaskRow> {
    ok(fleet.other.tasks(query)).await
}

pub(super) async fn tasks_are_listed_the_youngest_first_in_pages(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    for number in [3, 1, 2, 5, 4] {
        fleet.make(new(number)).await;
        // Some are created at the same moment, where the clock stands still.
        if number % 2 == 0 {
            fleet.advance(minutes(1)).await;
        }
    }
    let all = listed(&fleet, TaskQuery { most: 99, ..TaskQuery::default() }).await;
    assert_eq!(all.len(), 5);
    let ages: Vec<_> = all.iter().map(|row| (row.created_at, row.id.clone())).collect();
    assert!(ages.is_sorted_by(|one, next| one > next), "{ages:?}");
    let (mut paged, mut before) = (Vec::new(), None);
    while paged.len() <= all.len() {
        let page = listed(&fleet, TaskQuery { most: 2, before, ..TaskQuery::default() }).await;
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        before = Some((last.created_at, last.id.clone()));
        paged.extend(page);
    }
    assert_eq!(paged, all);
    assert_eq!(listed(&fleet, TaskQuery::default()).await, [], "none are wanted");
}

pub(super) async fn tasks_are_listed_by_status_and_tool(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    fleet.ended(1).await;
    fleet.parked(2, &["size"]).await;
    fleet.make(NewTask { tool: "other".to_owned(), owner: bob(), ..new(3) }).await;
    fleet.make(new(4)).await;
    let ids = |status, tool: Option<&str>| {
        let query = TaskQuery { status, tool: tool.map(str::to_owned), most: 9, ..TaskQuery::default() };
        let listing = listed(&fleet, query);
        async move {
            let mut ids: Vec<_> = listing.await.into_iter().map(|row| row.id).collect();
            ids.sort();
            ids
        }
    };
    let sorted = |numbers: &[u8]| {
        let mut ids: Vec<_> = numbers.iter().map(|number| id(*number)).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(Some(TaskStatus::Working), None).await, sorted(&[3, 4]));
    assert_eq!(ids(Some(TaskStatus::InputRequired), None).await, sorted(&[2]));
    assert_eq!(ids(Some(TaskStatus::Completed), None).await, sorted(&[1]));
    assert_eq!(ids(Some(TaskStatus::Cancelled), None).await, []);
    assert_eq!(ids(None, Some("other")).await, sorted(&[3]));
    assert_eq!(ids(Some(TaskStatus::Working), Some(TOOL)).await, sorted(&[4]));
}

pub(super) async fn tasks_are_listed_by_owner_in_pages(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let ends_with_a_zero = Owner::new("ann\0");
    for (number, owner) in [(1, ann()), (2, bob()), (3, ann()), (4, Owner::nobody()), (5, ends_with_a_zero.clone())] {
        fleet.make(NewTask { owner, ..new(number) }).await;
        fleet.advance(minutes(1)).await;
    }
    fleet.make(NewTask { tool: "other".to_owned(), ..new(6) }).await;
    let of = async |owner: Owner, tool: Option<&str>, before, most| {
        let query =
            TaskQuery { owner: Some(owner), tool: tool.map(str::to_owned), before, most, ..TaskQuery::default() };
        listed(&fleet, query).await
    };
    let ids = |rows: &[TaskRow]| rows.iter().map(|row| row.id.clone()).collect::<Vec<_>>();
    let first = of(ann(), None, None, 2).await;
    assert_eq!(ids(&first), [id(6), id(3)]);
    assert!(first.iter().all(|row| row.owner == ann()), "{first:?}");
    let before = first.last().map(|last| (last.created_at, last.id.clone()));
    assert_eq!(ids(&of(ann(), None, before, 2).await), [id(1)]);
    assert_eq!(ids(&of(ann(), Some("other"), None, 9).await), [id(6)]);
    assert_eq!(ids(&of(bob(), None, None, 9).await), [id(2)]);
    assert_eq!(ids(&of(Owner::nobody(), None, None, 9).await), [id(4)]);
    assert_eq!(ids(&of(ends_with_a_zero, None, None, 9).await), [id(5)]);
    assert_eq!(of(Owner::new("nobody has this name"), None, None, 9).await, []);
}

pub(super) async fn a_report_tells_a_journal_in_its_order_but_not_what_it_says(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let lease = fleet.leased(1).await;
    let small = fleet.row(1).await;
    written(fleet.one.record(lease.clone(), step("z", "12345"))).await;
    fleet.advance(minutes(1)).await;
    written(fleet.one.park(lease, vec![question("y"), question("b")])).await;
    fleet.advance(minutes(1)).await;
    ok(fleet.one.answer(id(1), None, answers(&["y", "b"]))).await;
    let lease = fleet.claim_it(1).await.lease;
    fleet.advance(minutes(1)).await;
    written(fleet.one.record(lease.clone(), step("a", "123"))).await;
    written(fleet.one.park(lease, vec![question("c")])).await;
    let report = ok(fleet.other.report(id(1))).await.expect("the task is there");
    let told = report.journal.iter().map(|entry| match entry {
        JournalEntry::Step { key, at, bytes } => {
            (key.as_str(), at.since(small.created_at).as_secs() / 60, Some(*bytes), None)
        }
        JournalEntry::Question { key, at, answered_at } => {
            let answered = answered_at.map(|at| at.since(small.created_at).as_secs() / 60);
            (key.as_str(), at.since(small.created_at).as_secs() / 60, None, answered)
        }
    });
    let wanted = [
        ("z", 0, Some(5), None),
        ("y", 1, None, Some(2)),
        ("b", 1, None, Some(2)),
        ("a", 3, Some(3), None),
        ("c", 3, None, None),
    ];
    assert_eq!(told.collect::<Vec<_>>(), wanted);
    assert_eq!((report.task.steps, &report.task.owner, report.task.tool.as_str()), (2, &ann(), TOOL));
    assert!(small.bytes > 0 && report.task.bytes > small.bytes);
    assert_eq!(listed(&fleet, TaskQuery { most: 9, ..TaskQuery::default() }).await, [report.task]);
}

pub(super) async fn a_task_that_is_tried_again_has_no_pause_any_more(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let lease = fleet.leased(1).await;
    written(fleet.one.hand_back(lease, failed_for(minutes(60)))).await;
    assert!(fleet.claim().await.is_none());
    assert_eq!(ok(fleet.other.retry(id(1))).await, Some(TaskStatus::Working));
    let row = fleet.row(1).await;
    assert_eq!((row.phase, row.due_at, row.failures), (Phase::Queued, None, 0));
    assert_eq!(fleet.claim_it(1).await.failures, 0);
}

pub(super) async fn a_task_that_is_tried_again_is_taken_from_its_worker(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    fleet.leased(1).await;
    fleet.advance(LEASE).await;
    let stuck = fleet.claim_it(1).await;
    assert_eq!(stuck.deaths, 1);
    written(fleet.other.record(stuck.lease.clone(), step("fetch", "1"))).await;
    assert_eq!(ok(fleet.other.retry(id(1))).await, Some(TaskStatus::Working));
    lost(fleet.one.say(stuck.lease.clone(), "still here".to_owned())).await;
    let claimed = fleet.claim_it(1).await;
    assert!(claimed.lease.fence > stuck.lease.fence);
    assert_eq!((claimed.deaths, claimed.steps), (0, vec![step("fetch", "1")]));
    lost(fleet.one.say(stuck.lease, "still here".to_owned())).await;
    written(fleet.other.say(claimed.lease, "mine".to_owned())).await;
}

pub(super) async fn a_task_that_waits_is_tried_again_with_its_counts_anew(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    fleet.leased(1).await;
    fleet.advance(LEASE).await;
    let lease = fleet.claim_it(1).await.lease;
    written(fleet.other.hand_back(lease, failed_for(minutes(0)))).await;
    let row = fleet.row(1).await;
    assert_eq!((row.deaths, row.failures), (1, 1));
    assert_eq!(ok(fleet.other.retry(id(1))).await, Some(TaskStatus::Working));
    let row = fleet.row(1).await;
    assert_eq!((row.phase, row.deaths, row.failures, row.attempts), (Phase::Queued, 0, 0, 2));
    assert_eq!(fleet.claims(9).await.tasks.len(), 1, "once");
}

pub(super) async fn what_waits_for_answers_is_not_tried_again(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    fleet.parked(1, &["size"]).await;
    let (task, row) = (fleet.task(1).await, fleet.row(1).await);
    fleet.advance(minutes(1)).await;
    assert_eq!(ok(fleet.other.retry(id(1))).await, Some(TaskStatus::InputRequired));
    assert_eq!((fleet.task(1).await, fleet.row(1).await), (task, row));
    assert!(fleet.claim().await.is_none());
}

pub(super) async fn giving_room_back_loses_nothing(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    for number in 1..=9 {
        let made = fleet.make(NewTask { ttl: Some(minutes(number.into())), ..new_leased(number) }).await;
        let lease = made.lease.expect("nothing waits");
        written(fleet.one.record(lease.clone(), step("fetch", &"x".repeat(10_000)))).await;
        written(fleet.one.finish(lease, super::fleet::done())).await;
    }
    fleet.advance(minutes(8)).await;
    assert_eq!(ok(fleet.one.sweep(99)).await.tasks, 8);
    let task = fleet.task(9).await;
    ok(fleet.one.compact()).await;
    assert_eq!(fleet.task(9).await, task);
    fleet.make(new(1)).await;
    fleet.claim_it(1).await;
}
