-- What pods tell each other.

CREATE FUNCTION publish_events(texts text[]) RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    moment bigint := now_ms();
BEGIN
    INSERT INTO event (told_at, told)
        SELECT moment, given.text FROM unnest(texts) WITH ORDINALITY AS given (text, at) ORDER BY given.at;
END $$;

-- What was committed between a snapshot and the one of this statement: a row of each, or one without an event. One statement
-- has one snapshot, so nothing is missed and nothing comes twice, whatever was under way. What says to be of a transaction
-- that has not begun comes from another server, by a restored dump.
--
-- Before `limit_ms`, nothing can have been deleted that was not heard. After it, that is counted: something is lost if more was
-- deleted than is missing of the `total` that was heard; and `recount` is the total then. `is_back` says that the server is not
-- as far as it was, such as after it was restored.
CREATE FUNCTION events_since(heard text, total bigint, limit_ms bigint, most bigint) RETURNS TABLE (
    snapshot text, is_back boolean, is_lost boolean, recount bigint, moment bigint, id bigint, task text, told text
) LANGUAGE sql VOLATILE AS $$
    SELECT pg_current_snapshot()::text,
        pg_snapshot_xmax(pg_current_snapshot()) < pg_snapshot_xmax(heard::pg_snapshot),
        CASE WHEN now_ms() <= limit_ms THEN false ELSE (SELECT count FROM forgotten)
            > total - (SELECT count(*) FROM event WHERE pg_visible_in_snapshot(xid, heard::pg_snapshot)) END,
        CASE WHEN now_ms() > limit_ms THEN (SELECT count FROM forgotten) + (SELECT count(*) FROM event) END,
        now_ms(), fresh.id, fresh.task, fresh.told
    FROM (SELECT) one LEFT JOIN (
        SELECT e.id, e.task, e.told FROM event e
            WHERE e.xid >= pg_snapshot_xmax(heard::pg_snapshot) AND e.xid < pg_snapshot_xmax(pg_current_snapshot())
        UNION ALL
        SELECT e.id, e.task, e.told FROM event e
            WHERE e.xid = ANY (ARRAY(SELECT pg_snapshot_xip(heard::pg_snapshot)))
        LIMIT most
    ) fresh ON true
    ORDER BY fresh.id
$$;

-- What a follower begins with: it need not hear what is there.
CREATE FUNCTION heard_so_far() RETURNS TABLE (snapshot text, total bigint, moment bigint) LANGUAGE sql VOLATILE AS $$
    SELECT pg_current_snapshot()::text, (SELECT count FROM forgotten) + (SELECT count(*) FROM event), now_ms()
$$;

-- How far events and queue have got, and whether something is due: for those who may have missed a notification.
CREATE FUNCTION pulse() RETURNS TABLE (events bigint, queued bigint, is_due boolean) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    at_ms bigint := now_ms();
BEGIN
    RETURN QUERY SELECT
        (SELECT last_value FROM event_id_seq), (SELECT last_value FROM queue_order),
        EXISTS (SELECT FROM task WHERE due <= at_ms)
            OR EXISTS (SELECT FROM task WHERE phase <> 3 AND phase <> 1 AND expires_at <= at_ms);
END $$;
