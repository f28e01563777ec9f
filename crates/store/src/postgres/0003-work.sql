-- What workers do. What they write is written if the task is leased with exactly their fence.

-- Takes up tasks: those that have expired first, then the queued ones by their turn. A row of each, or one without a task,
-- with the time until something becomes due.
--
-- Workers do not wait for each other: who claims passes by what another one is claiming at that moment. That is fair enough,
-- for what is passed by is being taken up, so it comes no later than what is taken instead of it; and if that transaction
-- fails, its tasks keep their turns and are the first of the next claim.
CREATE FUNCTION claim_tasks(the_worker text, tools text[], most bigint, the_lease bigint)
RETURNS TABLE (
    next bigint, moment bigint, id text, fence bigint, owner text, tool text, call text, deaths int, failures int,
    created_at bigint, expires_at bigint, step_keys text[], results text[], keys text[], requests text[], answers text[]
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    at_ms bigint := now_ms();
    next_ms bigint;
    due_id text;
    ids text[];
    candidates text[];
    looked_at bigint := greatest(64, 2 * least(most, 10000));
    is_all boolean;
BEGIN
    -- Whose pause is over, and then whose worker was not heard of. A bound, so that nobody waits for long; what is left is
    -- due at the next claim.
    FOR due_id IN
        SELECT id FROM (
            SELECT id, phase, due FROM task WHERE due <= at_ms ORDER BY due LIMIT 200 FOR NO KEY UPDATE SKIP LOCKED
        ) over ORDER BY phase DESC, due
    LOOP
        UPDATE task SET phase = 0, due = NULL, deaths = deaths + (phase = 1)::int,
            turn = next_turn(lane), place = nextval('queue_order') WHERE id = due_id;
    END LOOP;
    ids := ARRAY(
        SELECT id FROM task
        WHERE phase <> 3 AND phase <> 1 AND expires_at <= at_ms AND tool = ANY (tools)
        ORDER BY expires_at LIMIT most FOR NO KEY UPDATE SKIP LOCKED);
    -- Among the first of all, whatever their tools; if those are not enough and there are more, tool by tool, so that nobody
    -- has to pass by thousands that are for others.
    SELECT coalesce(array_agg(id) FILTER (WHERE tool = ANY (tools)), '{}'), count(*) < looked_at
        INTO candidates, is_all
        FROM (SELECT id, tool FROM task WHERE phase = 0 ORDER BY turn, place LIMIT looked_at) first;
    LOOP
        ids := ids || ARRAY(
            SELECT t.id FROM unnest(candidates) WITH ORDINALITY AS c (id, at) JOIN task t ON t.id = c.id
            WHERE t.phase = 0 AND t.id <> ALL (ids)
            ORDER BY c.at LIMIT most - cardinality(ids) FOR NO KEY UPDATE OF t SKIP LOCKED);
        EXIT WHEN is_all OR cardinality(ids) >= most;
        candidates := ARRAY(
            SELECT c.id FROM (SELECT DISTINCT unnest(tools) AS name) wanted CROSS JOIN LATERAL (
                SELECT id, turn, place FROM task
                WHERE phase = 0 AND hashtextextended(tool, 0) = hashtextextended(wanted.name, 0) AND tool = wanted.name
                ORDER BY turn, place LIMIT looked_at
            ) c ORDER BY c.turn, c.place LIMIT looked_at);
        is_all := cardinality(candidates) < looked_at;
        -- What others are claiming is among them.
        looked_at := looked_at * 4;
    END LOOP;
    UPDATE task SET phase = 1, fence = fence + 1, attempts = attempts + 1, due = at_ms + the_lease, worker = the_worker
        WHERE id = ANY (ids);
    -- What has expired and nobody took waits for a worker who has its tool; no other has to come back for it.
    next_ms := least(
        (SELECT due FROM task WHERE due IS NOT NULL ORDER BY due LIMIT 1),
        (SELECT expires_at FROM task WHERE phase <> 3 AND expires_at > at_ms ORDER BY expires_at LIMIT 1)) - at_ms;
    IF next_ms < 1 THEN
        next_ms := 1;
    END IF;
    RETURN QUERY
        SELECT next_ms, at_ms, t.id, t.fence, t.owner, t.tool, t.call, t.deaths, t.failures, t.created_at, t.expires_at,
            j.step_keys, j.results, j.keys, j.requests, j.answers
        FROM (SELECT) one
        LEFT JOIN unnest(ids) WITH ORDINALITY AS taken (id, at) ON true
        LEFT JOIN task t ON t.id = taken.id
        LEFT JOIN LATERAL (
            SELECT array_agg(key ORDER BY n) FILTER (WHERE NOT is_question) AS step_keys,
                array_agg(text ORDER BY n) FILTER (WHERE NOT is_question) AS results,
                array_agg(key ORDER BY n) FILTER (WHERE answer IS NOT NULL) AS keys,
                array_agg(text ORDER BY n) FILTER (WHERE answer IS NOT NULL) AS requests,
                array_agg(answer ORDER BY n) FILTER (WHERE answer IS NOT NULL) AS answers
            FROM journal WHERE task = t.id
        ) j ON true
        ORDER BY taken.at;
END $$;

-- Prolongs leases, from now on. Says of each whether it is good.
CREATE FUNCTION renew_leases(ids text[], fences bigint[], the_lease bigint) RETURNS boolean[] LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    moment bigint := now_ms();
BEGIN
    -- Whoever holds several rows takes them in the same order, or two could wait for each other.
    PERFORM FROM task WHERE id = ANY (ids) ORDER BY id FOR NO KEY UPDATE;
    UPDATE task t SET due = moment + the_lease FROM unnest(ids, fences) AS held (id, fence)
        WHERE t.id = held.id AND t.fence = held.fence AND t.phase = 1;
    RETURN ARRAY(
        SELECT EXISTS (SELECT FROM task t WHERE t.id = held.id AND t.fence = held.fence AND t.phase = 1)
        FROM unnest(ids, fences) WITH ORDINALITY AS held (id, fence, at) ORDER BY held.at);
END $$;

-- Records a step. `code`: 0 the lease is over, 1 it is recorded, 2 the journal would be too long.
CREATE FUNCTION record_step(the_id text, the_fence bigint, the_key text, result text, most bigint)
RETURNS TABLE (code int, bytes bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    held record;
    size bigint := octet_length(result);
BEGIN
    SELECT steps, asked, deaths, failures, journal_bytes INTO held FROM task
        WHERE id = the_id AND phase = 1 AND fence = the_fence FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 0, 0::bigint;
        RETURN;
    ELSIF held.steps > 0 AND EXISTS (
        SELECT FROM journal WHERE task = the_id AND hashtextextended(key, 0) = hashtextextended(the_key, 0)
            AND key = the_key AND NOT is_question
    ) THEN
        UPDATE task SET deaths = 0, failures = 0 WHERE id = the_id AND (deaths > 0 OR failures > 0);
    ELSIF size > 0 AND held.journal_bytes + size > most THEN
        RETURN QUERY SELECT 2, held.journal_bytes + size;
        RETURN;
    ELSE
        UPDATE task SET deaths = 0, failures = 0, steps = steps + 1, journal_bytes = journal_bytes + size
            WHERE id = the_id;
        INSERT INTO journal (task, n, is_question, key, text, at)
            VALUES (the_id, held.steps + held.asked, false, the_key, result, now_ms());
    END IF;
    RETURN QUERY SELECT 1, 0::bigint;
END $$;

-- Changes what a task is doing. 0 the lease is over, 1 it says so already, 2 it is changed.
CREATE FUNCTION say_of_task(the_id text, the_fence bigint, the_message text) RETURNS int LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    moment bigint := now_ms();
BEGIN
    UPDATE task SET message = the_message, updated_at = moment
        WHERE id = the_id AND phase = 1 AND fence = the_fence AND message IS DISTINCT FROM the_message;
    IF FOUND THEN
        INSERT INTO event (told_at, task) VALUES (moment, the_id);
        RETURN 2;
    END IF;
    RETURN (EXISTS (SELECT FROM task WHERE id = the_id AND phase = 1 AND fence = the_fence))::int;
END $$;

-- Asks questions, and gives the task away. `code` as of `record_step`.
CREATE FUNCTION park_task(the_id text, the_fence bigint, keys text[], requests text[], most bigint)
RETURNS TABLE (code int, bytes bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    moment bigint := now_ms();
    held record;
    fresh_keys text[] := '{}';
    fresh_requests text[] := '{}';
    size bigint := 0;
BEGIN
    SELECT steps, asked, journal_bytes INTO held FROM task
        WHERE id = the_id AND phase = 1 AND fence = the_fence FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 0, 0::bigint;
        RETURN;
    END IF;
    FOR i IN 1 .. cardinality(keys) LOOP
        IF keys[i] <> ALL (fresh_keys) AND NOT EXISTS (
            SELECT FROM journal WHERE task = the_id AND hashtextextended(key, 0) = hashtextextended(keys[i], 0)
                AND key = keys[i] AND is_question
        ) THEN
            fresh_keys := fresh_keys || keys[i];
            fresh_requests := fresh_requests || requests[i];
            size := size + octet_length(requests[i]);
        END IF;
    END LOOP;
    IF size > 0 AND held.journal_bytes + size > most THEN
        RETURN QUERY SELECT 2, held.journal_bytes + size;
        RETURN;
    END IF;
    INSERT INTO journal (task, n, is_question, key, text, at)
        SELECT the_id, held.steps + held.asked + fresh.at - 1, true, fresh.key, fresh.request, moment
        FROM unnest(fresh_keys, fresh_requests) WITH ORDINALITY AS fresh (key, request, at);
    IF EXISTS (SELECT FROM journal WHERE task = the_id AND is_question AND answer IS NULL) THEN
        UPDATE task SET phase = 2, status = 1, due = NULL, asked = asked + cardinality(fresh_keys),
            journal_bytes = journal_bytes + size, updated_at = moment WHERE id = the_id;
    ELSE
        UPDATE task SET phase = 0, status = 0, due = NULL, asked = asked + cardinality(fresh_keys),
            journal_bytes = journal_bytes + size, updated_at = moment,
            turn = next_turn(lane), place = nextval('queue_order') WHERE id = the_id;
    END IF;
    INSERT INTO event (told_at, task) VALUES (moment, the_id);
    RETURN QUERY SELECT 1, 0::bigint;
END $$;

-- Ends a task. Gives whether the lease was good.
CREATE FUNCTION finish_task(
    the_id text, the_fence bigint, the_status smallint, the_outcome text, the_message text, keep bigint
) RETURNS boolean LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    moment bigint := now_ms();
BEGIN
    UPDATE task SET phase = 3, status = the_status, due = NULL, outcome = the_outcome, message = the_message,
        updated_at = moment, expires_at = CASE WHEN expires_at IS NOT NULL THEN greatest(expires_at, moment + keep) END
        WHERE id = the_id AND phase = 1 AND fence = the_fence;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO event (told_at, task) VALUES (moment, the_id);
    RETURN true;
END $$;

-- Gives a task away, for now or for a while. Gives whether the lease was good.
CREATE FUNCTION hand_back_task(the_id text, the_fence bigint, failed int, pause bigint, the_message text)
RETURNS boolean LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    moment bigint := now_ms();
BEGIN
    IF pause = 0 THEN
        UPDATE task SET phase = 0, due = NULL, turn = next_turn(lane), place = nextval('queue_order'),
            failures = failures + failed WHERE id = the_id AND phase = 1 AND fence = the_fence;
    ELSE
        UPDATE task SET phase = 4, due = moment + pause, failures = failures + failed
            WHERE id = the_id AND phase = 1 AND fence = the_fence;
    END IF;
    IF NOT FOUND THEN
        RETURN false;
    ELSIF the_message IS NOT NULL THEN
        UPDATE task SET message = the_message, updated_at = moment WHERE id = the_id;
        INSERT INTO event (told_at, task) VALUES (moment, the_id);
    END IF;
    RETURN true;
END $$;
