-- What pods tell each other.

CREATE FUNCTION publish_events(texts text[]) RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    moment bigint := now_ms();
BEGIN
    INSERT INTO event (told_at, told)
        SELECT moment, given.text FROM unnest(texts) WITH ORDINALITY AS given (text, at) ORDER BY given.at;
END $$;

-- What was committed between a snapshot, which has ids up to `last`, and the one of this statement: a row of each, or one
-- without an event. Ids are given before the commit, and who comes by one first may commit last: so of ids up to the last, those
-- are new whose transactions were under way. A snapshot names these, or they are as great as its end or greater; whatever else
-- is that great and seems to be from the future comes from another server by a restored dump. Higher ids are all new: that
-- does not depend on the numbers of transactions, of which a server that has crashed gives some a second time.
--
-- Before `limit_ms`, nothing can have been deleted that was not heard. After it, that is counted: something is lost if more was
-- deleted than is missing of the `total` that was heard; and `recount` is the total then. `is_back` says that the server is not
-- as far as it was, such as after it was restored.
CREATE FUNCTION events_since(heard text, last bigint, total bigint, limit_ms bigint, most bigint) RETURNS TABLE (
    snapshot text, is_back boolean, is_lost boolean, recount bigint, moment bigint, id bigint, task text, told text
) LANGUAGE sql VOLATILE AS $$
    SELECT pg_current_snapshot()::text,
        pg_snapshot_xmax(pg_current_snapshot()) < pg_snapshot_xmin(heard::pg_snapshot)
            OR (SELECT last_value FROM event_id_seq) < last,
        CASE WHEN now_ms() <= limit_ms THEN false ELSE (SELECT count FROM forgotten)
            > total - (SELECT count(*) FROM event WHERE pg_visible_in_snapshot(xid, heard::pg_snapshot)) END,
        CASE WHEN now_ms() > limit_ms THEN (SELECT count FROM forgotten) + (SELECT count(*) FROM event) END,
        now_ms(), fresh.id, fresh.task, fresh.told
    FROM (SELECT) one LEFT JOIN (
        SELECT e.id, e.task, e.told FROM event e WHERE e.id > last
        UNION ALL
        SELECT e.id, e.task, e.told FROM event e
            WHERE e.xid = ANY (ARRAY(SELECT pg_snapshot_xip(heard::pg_snapshot))) AND e.id <= last
        UNION ALL
        SELECT e.id, e.task, e.told FROM event e
            WHERE e.xid >= pg_snapshot_xmax(heard::pg_snapshot) AND e.xid < pg_snapshot_xmax(pg_current_snapshot())
                AND e.id <= last
        LIMIT most
    ) fresh ON true
    ORDER BY fresh.id
$$;

-- What a follower begins with: it need not hear what is there.
CREATE FUNCTION heard_so_far() RETURNS TABLE (snapshot text, last bigint, total bigint, moment bigint)
LANGUAGE sql VOLATILE AS $$
    SELECT pg_current_snapshot()::text, coalesce((SELECT id FROM event ORDER BY id DESC LIMIT 1), 0),
        (SELECT count FROM forgotten) + (SELECT count(*) FROM event), now_ms()
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
