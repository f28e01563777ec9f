-- What those do who create tasks.

-- The turn of a task that becomes queued: after the last of its lane, but not before the head of the queue. Two of a lane
-- that become queued at the same moment do not see each other and get the same turn: so many come one turn too early as are
-- written at once, which others make up for with the turns that follow.
CREATE FUNCTION next_turn(the_lane bigint) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN greatest(
        coalesce((SELECT turn FROM task WHERE phase = 0 ORDER BY turn, place LIMIT 1), 0),
        (SELECT turn + 1 FROM task WHERE phase = 0 AND lane = the_lane ORDER BY turn DESC LIMIT 1));
END $$;

-- A task as its client sees it, with what it has asked and nobody has answered.
CREATE FUNCTION seen_task(the_id text, the_owner text)
RETURNS TABLE (
    id text, owner text, tool text, status smallint, message text, created_at bigint, updated_at bigint,
    expires_at bigint, poll bigint, outcome text, keys text[], requests text[]
) LANGUAGE sql STABLE AS $$
    SELECT t.id, t.owner, t.tool, t.status, t.message, t.created_at, t.updated_at, t.expires_at, t.poll, t.outcome,
        CASE WHEN t.asked > 0 AND t.phase <> 3 THEN ARRAY(
            SELECT j.key FROM journal j WHERE j.task = t.id AND j.is_question AND j.answer IS NULL ORDER BY j.n
        ) ELSE '{}' END,
        CASE WHEN t.asked > 0 AND t.phase <> 3 THEN ARRAY(
            SELECT j.text FROM journal j WHERE j.task = t.id AND j.is_question AND j.answer IS NULL ORDER BY j.n
        ) ELSE '{}' END
    FROM task t WHERE t.id = the_id AND (the_owner IS NULL OR t.owner = the_owner)
$$;

-- Up to so many tasks of an owner.
CREATE FUNCTION tasks_of(the_owner text, most bigint) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT count(*) FROM (
        SELECT FROM task
        WHERE owner <> '' AND hashtextextended(owner, 0) = hashtextextended(the_owner, 0) AND owner = the_owner
        LIMIT most
    ) counted);
END $$;

-- Up to so many tasks that wait for a worker.
CREATE FUNCTION queued_tasks(most bigint) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT count(*) FROM (SELECT FROM task WHERE phase = 0 LIMIT most) counted);
END $$;

-- Lets those who come close to a bound take turns until they have committed: two who count at once do not see what the other
-- one adds. Returns whether somebody who has counted so many comes that close, and has to count again.
CREATE FUNCTION takes_turns(so_many bigint, most bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF so_many >= most OR so_many + 16 < most THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock('task'::regclass::int, 0);
    RETURN true;
END $$;

-- Whether an owner has so many tasks; nobody's are not counted.
CREATE FUNCTION owner_is_full(the_owner text, most bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    found_tasks bigint;
BEGIN
    IF the_owner = '' THEN
        RETURN false;
    END IF;
    found_tasks := tasks_of(the_owner, most);
    IF takes_turns(found_tasks, most) THEN
        found_tasks := tasks_of(the_owner, most);
    END IF;
    RETURN found_tasks >= most;
END $$;

-- Whether so many wait for a worker. As many as have become queued since the first of them are no more than that; only where
-- that says too little are they counted.
CREATE FUNCTION queue_is_full(most bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    queued bigint := coalesce((SELECT last_value FROM queue_order)
        - (SELECT place FROM task WHERE phase = 0 ORDER BY place LIMIT 1) + 1, 0);
BEGIN
    IF queued + 16 < most THEN
        RETURN false;
    END IF;
    queued := queued_tasks(most);
    IF takes_turns(queued, most) THEN
        queued := queued_tasks(most);
    END IF;
    RETURN queued >= most;
END $$;

-- What the files of the store take.
CREATE FUNCTION disk_bytes() RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT pg_total_relation_size('task') + pg_total_relation_size('journal') + pg_total_relation_size('event')
        + pg_total_relation_size('value') + pg_total_relation_size('mark')
$$;

-- Whether the store has reached its bound. Files do not shrink by themselves when something is deleted, what comes next
-- takes its place: so once they have reached the bound, what is in them is counted too, with what rows take besides texts.
CREATE FUNCTION store_is_full(most bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RETURN disk_bytes() >= most AND
        coalesce((SELECT sum(octet_length(call) + coalesce(octet_length(outcome), 0) + journal_bytes
            + 1000 + 300 * (steps + asked)) FROM task), 0)
        + coalesce((SELECT sum(octet_length(text) + 500) FROM value), 0) >= most;
END $$;

-- Creates a task. `made`: 0 it was there, 1 it is queued, 2 it is leased; otherwise 3 the queue, 4 the owner, 5 the store is
-- full. The store is looked at where a bound is given.
CREATE FUNCTION create_task(
    the_id text, the_owner text, the_tool text, the_call text, the_message text, the_ttl bigint, the_poll bigint,
    the_worker text, the_lease bigint, most_queued bigint, most_of_owner bigint, most_bytes bigint
) RETURNS TABLE (
    made int, id text, owner text, tool text, status smallint, message text, created_at bigint, updated_at bigint,
    expires_at bigint, poll bigint, outcome text, keys text[], requests text[]
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    moment bigint := now_ms();
    the_lane bigint := hashtextextended(the_tool, hashtextextended(the_owner, 0));
    is_leased boolean;
    verdict int;
BEGIN
    RETURN QUERY SELECT 0, * FROM seen_task(the_id, NULL);
    IF FOUND THEN
        RETURN;
    END IF;
    is_leased := the_worker IS NOT NULL AND NOT EXISTS (SELECT FROM task WHERE phase = 0);
    verdict := CASE
        WHEN most_bytes IS NOT NULL AND store_is_full(most_bytes) THEN 5
        WHEN owner_is_full(the_owner, most_of_owner) THEN 4
        WHEN NOT is_leased AND queue_is_full(most_queued) THEN 3
        WHEN is_leased THEN 2
        ELSE 1
    END;
    IF verdict > 2 THEN
        RETURN QUERY SELECT verdict, none.* FROM (SELECT) one LEFT JOIN seen_task(NULL, NULL) none ON true;
        RETURN;
    ELSIF is_leased THEN
        INSERT INTO task (id, owner, tool, lane, call, message, worker, phase, status, created_at, updated_at, expires_at,
            poll, due, fence, attempts)
        VALUES (the_id, the_owner, the_tool, the_lane, the_call, the_message, the_worker, 1, 0, moment, moment,
            moment + the_ttl, the_poll, moment + the_lease, 1, 1)
        ON CONFLICT DO NOTHING;
    ELSE
        INSERT INTO task (id, owner, tool, lane, call, message, phase, status, created_at, updated_at, expires_at,
            poll, turn, place, fence, attempts)
        VALUES (the_id, the_owner, the_tool, the_lane, the_call, the_message, 0, 0, moment, moment,
            moment + the_ttl, the_poll, next_turn(the_lane), nextval('queue_order'), 0, 0)
        ON CONFLICT DO NOTHING;
    END IF;
    -- The same creation may have come by two ways at once.
    RETURN QUERY SELECT CASE WHEN FOUND THEN verdict ELSE 0 END, * FROM seen_task(the_id, NULL);
END $$;

-- Stores answers. `code`: 0 unknown, 1 nothing changed, 2 changed, 3 an answer is too long, 4 the journal would be.
CREATE FUNCTION answer_task(
    the_id text, the_owner text, keys text[], texts text[], most_text bigint, most_journal bigint
) RETURNS TABLE (code int, bytes bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    moment bigint := now_ms();
    held record;
    entries int[];
    answers text[];
    longest bigint;
    size bigint;
    is_open boolean;
BEGIN
    SELECT phase, journal_bytes INTO held FROM task
        WHERE id = the_id AND (the_owner IS NULL OR owner = the_owner) FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 0, 0::bigint;
        RETURN;
    END IF;
    -- The first answer to a question counts.
    SELECT array_agg(n), array_agg(answer), max(octet_length(answer)), sum(octet_length(answer))
        INTO entries, answers, longest, size
        FROM (
            SELECT DISTINCT ON (j.n) j.n, given.text AS answer
            FROM unnest(keys, texts) WITH ORDINALITY AS given (key, text, at)
            JOIN journal j ON j.task = the_id AND hashtextextended(j.key, 0) = hashtextextended(given.key, 0)
                AND j.key = given.key AND j.is_question AND j.answer IS NULL
            ORDER BY j.n, given.at
        ) taken
        WHERE held.phase <> 3;
    IF entries IS NULL THEN
        RETURN QUERY SELECT 1, 0::bigint;
        RETURN;
    ELSIF longest > most_text THEN
        RETURN QUERY SELECT 3, longest;
        RETURN;
    ELSIF size > 0 AND held.journal_bytes + size > most_journal THEN
        RETURN QUERY SELECT 4, held.journal_bytes + size;
        RETURN;
    END IF;
    UPDATE journal j SET answer = given.answer, answered_at = moment
        FROM unnest(entries, answers) AS given (n, answer) WHERE j.task = the_id AND j.n = given.n;
    is_open := EXISTS (SELECT FROM journal WHERE task = the_id AND is_question AND answer IS NULL);
    IF held.phase = 2 AND NOT is_open THEN
        UPDATE task SET phase = 0, status = 0, turn = next_turn(lane), place = nextval('queue_order'),
            journal_bytes = journal_bytes + size, updated_at = moment WHERE id = the_id;
    ELSE
        UPDATE task SET journal_bytes = journal_bytes + size, updated_at = moment WHERE id = the_id;
    END IF;
    INSERT INTO event (told_at, task) VALUES (moment, the_id);
    RETURN QUERY SELECT 2, 0::bigint;
END $$;

-- Ends a task as cancelled, unless it has ended. Gives its status before; no row if there is no such task.
CREATE FUNCTION cancel_task(the_id text, the_owner text, the_message text)
RETURNS TABLE (before smallint, changed boolean) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    moment bigint := now_ms();
    held record;
BEGIN
    SELECT phase, status INTO held FROM task
        WHERE id = the_id AND (the_owner IS NULL OR owner = the_owner) FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    ELSIF held.phase <> 3 THEN
        UPDATE task SET phase = 3, status = 4, due = NULL, message = coalesce(the_message, message), updated_at = moment
            WHERE id = the_id;
        INSERT INTO event (told_at, task) VALUES (moment, the_id);
    END IF;
    RETURN QUERY SELECT held.status, held.phase <> 3;
END $$;
