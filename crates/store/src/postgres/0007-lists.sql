-- Lists of the tasks of one owner.

DROP FUNCTION list_tasks(smallint, text, bigint, text, bigint);

-- The youngest first, of those that were created before this moment, or at it with a smaller id. Those of an owner are found by
-- the index of owners, which has none for nobody, and put in order afterwards: they are few.
CREATE FUNCTION list_tasks(the_status smallint, the_tool text, before bigint, before_id text, most bigint, the_owner text)
RETURNS SETOF task_row LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    IF the_owner <> '' THEN
        RETURN QUERY WITH theirs AS MATERIALIZED (
            SELECT id FROM task
            WHERE owner <> '' AND hashtextextended(owner, 0) = hashtextextended(the_owner, 0) AND owner = the_owner
                AND (created_at, id) < (before, before_id)
                AND (the_status IS NULL OR status = the_status) AND (the_tool IS NULL OR tool = the_tool)
            ORDER BY created_at DESC, id DESC LIMIT most
        )
        SELECT r.* FROM theirs JOIN task_row r ON r.id = theirs.id ORDER BY r.created_at DESC, r.id DESC;
    ELSE
        RETURN QUERY SELECT * FROM task_row
        WHERE (created_at, id) < (before, before_id)
            AND (the_status IS NULL OR status = the_status) AND (the_tool IS NULL OR tool = the_tool)
            AND (the_owner IS NULL OR owner = the_owner)
        ORDER BY created_at DESC, id DESC LIMIT most;
    END IF;
END $$;
