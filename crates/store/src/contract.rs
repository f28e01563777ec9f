//! What every implementation of [`Store`] has to pass.
//!
//! Each case is a function of its own, named after what it checks. [`contract!`](crate::contract!) makes a test of every
//! one, so that a run names those that fail:
//!
//! ```
//! # fn stores_of_mine() -> Box<dyn anypod_store::contract::Fixtures> { panic!("there are none here") }
//! anypod_store::contract!(*stores_of_mine());
//! ```
//!
//! The caller depends on tokio with its multi-threaded runtime. No case looks at the time by a clock of its own: what has to
//! become due does so by [`Fixture::advance`]. The store's clock may run on by itself meanwhile, as a database's does; all
//! cases work with minutes, so that a few seconds make no difference.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::options::Options;
use crate::store::Store;

mod bounds;
mod care;
mod claiming;
mod creating;
mod crowd;
mod ending;
mod events;
mod expiry;
mod fairness;
mod fencing;
mod fleet;
mod journal;
mod model;
mod questions;
mod random;
mod replay;
mod sweeping;
mod values;

/// Makes stores to be tested.
pub trait Fixtures: Send + Sync {
    /// An empty store with these options.
    fn fresh(&self, options: Options) -> Pin<Box<dyn Future<Output = Box<dyn Fixture>> + Send + '_>>;
}

/// One store, which several pods open, and whose clock the test moves.
pub trait Fixture: Send + Sync {
    /// Opens it as one more pod.
    fn pod(&self) -> Pin<Box<dyn Future<Output = Arc<dyn Store>> + Send + '_>>;

    /// Moves the store's clock on.
    fn advance(&self, by: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// Makes the cases public, and the macro that makes tests of them. A case that is not in the list is dead code, which the
/// compiler says.
macro_rules! suite {
    ($dollar:tt $($theme:ident { $($case:ident)+ })+) => {
        $($(
            #[doc = concat!("A case of the theme “", stringify!($theme), "”; its name says what it checks.")]
            ///
            /// # Panics
            /// If the store does something else.
            pub async fn $case(fixtures: &dyn Fixtures) {
                $theme::$case(fixtures).await;
            }
        )+)+

        /// Makes one test of each case of the [contract](mod@crate::contract), of the stores that the given
        /// [`Fixtures`](crate::contract::Fixtures) make. The expression is evaluated in each test.
        #[macro_export]
        macro_rules! contract {
            ($dollar fixtures:expr) => {
                $($(
                    #[tokio::test(flavor = "multi_thread")]
                    async fn $case() {
                        $crate::contract::$case(&$dollar fixtures).await;
                    }
                )+)+
            };
        }
    };
}

suite! { $
    creating {
        a_created_task_is_known_to_every_pod
        a_task_that_is_there_already_is_given_as_it_is
        a_task_that_ended_is_not_begun_again_by_creating_it_again
        a_task_is_given_to_its_owner_only
        a_task_that_nobody_created_is_not_there
        a_task_is_leased_to_its_creator_if_nothing_waits
        a_task_is_not_leased_to_its_creator_if_something_waits
        a_full_queue_takes_no_more
        a_task_that_is_leased_at_once_needs_no_place_in_the_queue
        an_owner_with_too_many_tasks_gets_no_more
        the_tasks_of_nobody_are_not_counted
        what_is_full_is_told_in_this_order
        a_task_that_is_there_is_given_even_if_all_is_full
        of_many_who_create_the_same_task_at_once_one_gets_it
    }
    claiming {
        a_claimed_task_brings_all_that_it_takes_to_go_on
        a_task_is_claimed_by_one
        a_claim_takes_tasks_of_its_tools_only
        a_claim_takes_no_more_than_it_wants
        clients_do_not_see_that_a_task_is_claimed
        each_claim_gives_a_higher_fence
        a_task_whose_worker_was_not_heard_of_goes_to_another
        a_worker_that_has_another_tool_finds_the_dead_too
        what_waits_for_answers_or_has_ended_is_not_claimed
        a_claim_says_when_something_becomes_due
        of_many_claims_at_once_each_task_goes_to_one
    }
    fencing {
        a_worker_whose_task_another_took_up_writes_nothing
        a_worker_that_gave_its_task_away_writes_nothing
        a_lease_that_nobody_was_given_is_refused
        a_lease_that_ran_out_is_good_until_another_takes_the_task_up
        a_renewed_lease_is_good_for_longer
        a_lease_is_renewed_from_now_on
        renewing_says_of_each_lease_whether_it_is_good
        nothing_changes_a_task_that_has_ended
    }
    journal {
        recorded_steps_come_back_in_their_order
        what_was_recorded_first_stays
        tasks_have_journals_of_their_own
        a_recorded_step_ends_the_rows_of_deaths_and_of_failures
        clients_do_not_see_what_is_recorded_and_renewed
        every_pod_sees_what_a_task_says
        steps_stay_when_a_task_asks
    }
    questions {
        a_task_that_asks_waits_for_answers
        a_task_goes_on_once_all_is_answered
        answers_to_what_was_not_asked_are_dropped
        the_first_answer_stays
        only_its_owner_answers_a_task
        the_first_request_of_a_key_stays
        a_task_that_asks_what_is_answered_goes_on_at_once
        tasks_have_questions_of_their_own
        a_task_that_has_ended_asks_nothing
        of_many_answers_at_once_none_is_lost
    }
    ending {
        a_finished_task_has_its_outcome_on_every_pod
        an_end_may_come_without_an_outcome_and_takes_the_message_with_it
        a_result_is_kept_for_as_long_as_its_end_says_at_least
        a_task_that_its_worker_leaves_goes_to_another_at_once
        a_task_that_failed_comes_back_after_its_pause
        a_worker_that_leaves_may_want_a_pause_too
        a_task_that_is_handed_back_may_say_why
        a_cancelled_task_has_ended
        a_task_is_cancelled_in_every_phase_but_the_last
        cancelling_without_a_message_leaves_what_was_said
        only_its_owner_cancels_a_task
        cancelling_what_has_ended_gives_how_it_ended
    }
    expiry {
        what_expires_is_taken_up_to_be_ended_in_whatever_phase_it_is
        what_waits_in_the_queue_expires_too
        what_expires_while_a_worker_has_it_is_left_to_the_worker
        what_expires_with_a_lease_that_ran_out_is_taken_up
        what_expired_comes_before_what_waits
        what_expired_goes_to_a_worker_with_its_tool_only
        clients_see_an_expired_task_as_it_was_until_it_is_ended
        what_is_kept_for_ever_does_not_expire
        answers_to_what_expired_leave_it_to_the_worker_who_ends_it
    }
    fairness {
        one_owners_tasks_come_in_their_order
        owners_take_turns
        tools_of_one_owner_take_turns
        one_claim_of_many_takes_turns_too
        who_comes_late_waits_for_one_turn_of_the_others_at_most
        who_had_many_before_is_not_made_to_wait_for_it
        what_comes_back_stands_behind_its_owners_others
    }
    events {
        followers_on_every_pod_hear_what_is_published
        a_follower_hears_of_what_comes_after_it_only
        followers_hear_of_every_change_that_clients_see
        followers_are_not_told_of_what_nobody_sees
        a_follower_that_stops_waiting_loses_nothing
        of_many_who_publish_at_once_all_are_heard
        a_follower_that_was_away_for_too_long_says_so
        every_pod_is_woken_when_there_may_be_something_to_claim
    }
    values {
        a_stored_value_is_there_on_every_pod
        values_of_other_kinds_ids_and_owners_are_others
        a_value_that_is_stored_again_takes_the_place_of_the_first
        a_value_is_replaced_if_nobody_has_changed_it
        of_many_who_replace_a_value_at_once_one_does
        a_value_whose_time_is_over_is_gone
        a_look_at_a_value_that_slides_begins_its_time_anew
        replacing_a_value_that_slides_begins_its_time_anew
        a_removed_value_is_gone
        an_owner_with_too_many_values_stores_no_more
        a_mark_is_made_once_on_whichever_pod
        a_mark_whose_time_is_over_may_be_made_again
        of_many_who_make_a_mark_at_once_one_is_the_first
    }
    care {
        a_status_counts_what_there_is
        tasks_are_listed_the_youngest_first_in_pages
        tasks_are_listed_by_status_and_tool
        tasks_are_listed_by_owner_in_pages
        a_report_tells_a_journal_in_its_order_but_not_what_it_says
        a_task_that_is_tried_again_has_no_pause_any_more
        a_task_that_is_tried_again_is_taken_from_its_worker
        a_task_that_waits_is_tried_again_with_its_counts_anew
        what_waits_for_answers_is_not_tried_again
        giving_room_back_loses_nothing
    }
    sweeping {
        a_sweep_deletes_tasks_that_have_ended_and_are_over
        what_was_deleted_leaves_nothing_behind
        a_sweep_deletes_values_marks_and_events_that_are_over
        a_sweep_deletes_so_many_at_most
        events_that_are_young_survive_a_sweep
    }
    bounds {
        a_call_that_is_too_long_creates_nothing
        what_a_worker_writes_must_not_be_too_long
        values_and_events_must_not_be_too_long
        a_journal_has_a_bound_of_its_own
        texts_come_back_as_they_were_written
    }
    random {
        a_store_does_as_the_model_does
    }
    crowd {
        however_many_act_at_once_what_must_hold_does
    }
}
