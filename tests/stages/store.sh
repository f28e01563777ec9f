# shellcheck shell=bash
# The store in PostgreSQL, with a server: the tests that say in the stage `rust` that they were skipped.

stage_store() {
    if ! need_rust || ! need_postgres; then
        skip store 'no Rust or no PostgreSQL, see above'
        return
    fi
    start_postgres store-postgres || return 0
    local before=$failed
    ANYPOD_TEST_POSTGRES=$REPLY cargo_tests store --test it -- --show-output postgres::
    if grep -q '^this test was skipped' "$logs/store.log"; then
        fail store 'tests were skipped although there is a server' "$logs/store.log"
    fi
    [ "$failed" -eq "$before" ] || show "$logs/store-postgres.log"
    stop_postgres
}
