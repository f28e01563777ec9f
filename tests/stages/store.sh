# shellcheck shell=bash
# The store in PostgreSQL, with a server: the tests that say in the stage `rust` that they were skipped.

stage_store() {
    if ! need_rust || ! need_postgres; then
        skip store 'no Rust or no PostgreSQL, see above'
        return
    fi
    start_postgres store-postgres || return 0
    ANYPOD_TEST_POSTGRES=$REPLY store_tests
    stop_postgres
}

# store_tests: counts every single test.
store_tests() {
    local log=$logs/store.log before=$failed start=$SECONDS line status=0
    # Of the whole workspace, so that nothing is built again with other features.
    timeout --kill-after=10 1200 cargo test --workspace --no-fail-fast --locked --test it -- --show-output postgres:: \
        >"$log" 2>&1 || status=$?
    while read -ra line; do
        passed=$((passed + line[3])) failed=$((failed + line[5])) skipped=$((skipped + line[7]))
    done < <(grep '^test result:' "$log")
    if grep -q '^this test was skipped' "$log"; then
        fail store 'tests were skipped although there is a server' "$log"
    fi
    if [ "$status" -eq 0 ]; then
        printf 'ok store (%d s)\n' $((SECONDS - start))
    elif [ "$failed" -eq "$before" ]; then
        fail store "cargo test ended with $status and blames no test" "$log"
    else
        grep --no-group-separator -A 3 '^thread .* panicked at' "$log" || true
        printf 'FAIL store, see %s\n' "$log"
        show "$logs/store-postgres.log"
    fi
}
