//! What holds on both databases. Each behaviour gets a store of its own.

mod leases;
mod outbox;
mod records;
mod sealed;

use reeve_testkit::Postgres;

use crate::house::House;

macro_rules! suite {
    ($($module:ident :: $name:ident),* $(,)?) => {
        /// The names of all behaviours, and one by its name.
        const NAMES: &[&str] = &[$(stringify!($name)),*];

        async fn run(name: &str, house: House) {
            match name {
                $(stringify!($name) => $module::$name(house).await,)*
                other => panic!("there is no behaviour `{other}`"),
            }
        }
    };
}

suite! {
    records::a_record_comes_back_as_it_was_put,
    records::an_expectation_that_does_not_hold_is_a_conflict,
    records::tenants_do_not_see_each_other,
    records::lookups_find_and_sole_ones_are_sole,
    records::pages_hold_every_record_once,
    records::a_batch_is_made_whole_or_not_at_all,
    records::thirty_two_writers_lose_no_change,
    records::writers_in_opposite_order_all_get_through,
    records::limits_hold_at_the_edge,
    records::older_forms_are_read_and_newer_ones_refused,
    records::counts_are_of_all_tenants,
    records::everything_is_there_after_a_restart,
    outbox::messages_of_a_lane_leave_in_order,
    outbox::a_message_is_claimed_once,
    outbox::a_claim_that_ran_out_is_over,
    outbox::a_message_waits_for_its_time,
    outbox::a_message_goes_with_its_batch_or_not_at_all,
    leases::one_holds_at_a_time_and_tokens_grow,
    leases::a_stale_token_changes_nothing,
    leases::of_many_who_ask_one_gets_it,
    sealed::exchanged_ciphertexts_do_not_open,
    sealed::an_old_ciphertext_does_not_open_under_a_new_version,
    sealed::a_row_given_to_another_tenant_does_not_open,
    sealed::an_altered_message_is_skipped_and_stops_no_other,
    sealed::every_value_is_sealed_anew,
    sealed::other_keys_are_refused,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite() {
    for name in NAMES {
        eprintln!("{name}");
        run(name, House::sqlite()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgresql() {
    let server = Postgres::start(&["fsync=off", "deadlock_timeout=50ms"]).await.unwrap();
    for (number, name) in NAMES.iter().enumerate() {
        eprintln!("{name}");
        run(name, House::postgres(&server, &format!("behaviour_{number}")).await).await;
    }
}
