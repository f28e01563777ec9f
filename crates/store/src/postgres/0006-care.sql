-- What those do who look after a fleet.

CREATE VIEW task_row AS
    SELECT id, owner, tool, status, phase, message, created_at, updated_at, expires_at, attempts, deaths, failures, worker,
        due, steps, octet_length(call) + journal_bytes + coalesce(octet_length(outcome), 0) AS bytes
    FROM task;

-- The youngest first, of those that were created before this moment, or at it with a smaller id.
CREATE FUNCTION list_tasks(the_status smallint, the_tool text, before bigint, before_id text, most bigint)
RETURNS SETOF task_row LANGUAGE sql STABLE AS $$
    SELECT * FROM task_row
    WHERE (created_at, id) < (before, before_id)
        AND (the_status IS NULL OR status = the_status) AND (the_tool IS NULL OR tool = the_tool)
    ORDER BY created_at DESC, id DESC LIMIT most
$$;

-- A row of each entry of the journal, or one without.
CREATE FUNCTION report_task(the_id text) RETURNS TABLE (
    id text, owner text, tool text, status smallint, phase smallint, message text, created_at bigint, updated_at bigint,
    expires_at bigint, attempts bigint, deaths int, failures int, worker text, due bigint, steps int, bytes bigint,
    is_question boolean, key text, at bigint, size int, answered_at bigint
) LANGUAGE sql STABLE AS $$
    SELECT t.*, j.is_question, j.key, j.at, octet_length(j.text), j.answered_at
    FROM task_row t LEFT JOIN journal j ON j.task = t.id WHERE t.id = the_id ORDER BY j.n
$$;

-- Lets a task begin again. Gives its status before; no row if there is no such task.
CREATE FUNCTION retry_task(the_id text) RETURNS TABLE (before smallint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    held record;
BEGIN
    SELECT phase, status INTO held FROM task WHERE id = the_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    ELSIF held.phase = 0 THEN
        UPDATE task SET deaths = 0, failures = 0 WHERE id = the_id;
    ELSIF held.phase IN (1, 4) THEN
        -- Its worker's fence is not good any more, even once the task is taken up again.
        UPDATE task SET phase = 0, due = NULL, fence = fence + (phase = 1)::int, deaths = 0, failures = 0,
            turn = next_turn(lane), place = nextval('queue_order') WHERE id = the_id;
    END IF;
    RETURN QUERY SELECT held.status;
END $$;

-- Deletes what is over, so many of each at most. What others hold is left to the next sweep.
CREATE FUNCTION sweep_store(most bigint, events_for bigint)
RETURNS TABLE (tasks bigint, vals bigint, marks bigint, events bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    moment bigint := now_ms();
    ids text[] := ARRAY(
        SELECT id FROM task WHERE phase = 3 AND expires_at <= moment ORDER BY expires_at LIMIT most
        FOR UPDATE SKIP LOCKED);
    deleted_values bigint;
    deleted_marks bigint;
    deleted_events bigint;
BEGIN
    DELETE FROM journal WHERE task = ANY (ids);
    DELETE FROM task WHERE id = ANY (ids);
    DELETE FROM value WHERE key = ANY (ARRAY(
        SELECT key FROM value WHERE expires_at <= moment ORDER BY expires_at LIMIT most FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS deleted_values = ROW_COUNT;
    DELETE FROM mark WHERE digest = ANY (ARRAY(
        SELECT digest FROM mark WHERE until <= moment ORDER BY until LIMIT most FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS deleted_marks = ROW_COUNT;
    DELETE FROM event WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM (
            SELECT ctid, told_at FROM event ORDER BY id LIMIT most FOR UPDATE SKIP LOCKED
        ) oldest WHERE told_at < moment - events_for));
    GET DIAGNOSTICS deleted_events = ROW_COUNT;
    UPDATE forgotten SET count = count + deleted_events WHERE deleted_events > 0;
    RETURN QUERY SELECT cardinality(ids)::bigint, deleted_values, deleted_marks, deleted_events;
END $$;

-- How the store is: counts by phase and by status, in the order of their numbers.
CREATE FUNCTION store_status() RETURNS TABLE (
    moment bigint, phases bigint[], statuses bigint[], oldest_queued bigint, steps bigint, vals bigint, marks bigint,
    events bigint, bytes bigint
) LANGUAGE sql VOLATILE AS $$
    WITH counted AS MATERIALIZED (
        SELECT phase, status, count(*) AS count, min(created_at) AS oldest, sum(steps) AS steps
        FROM task GROUP BY phase, status
    )
    SELECT now_ms(),
        ARRAY(SELECT (SELECT coalesce(sum(count), 0) FROM counted WHERE phase = n)::bigint
            FROM generate_series(0, 4) n ORDER BY n),
        ARRAY(SELECT (SELECT coalesce(sum(count), 0) FROM counted WHERE status = n)::bigint
            FROM generate_series(0, 4) n ORDER BY n),
        (SELECT min(oldest) FROM counted WHERE phase = 0),
        (SELECT coalesce(sum(steps), 0)::bigint FROM counted),
        (SELECT count(*) FROM value), (SELECT count(*) FROM mark), (SELECT count(*) FROM event), disk_bytes()
$$;
