-- Values behind handles, and marks.

-- Lengths keep apart what would be the same when it is joined.
CREATE FUNCTION value_key(kind text, id text, owner text) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(convert_to(length(kind) || ':' || kind || length(id) || ':' || id || owner, 'UTF8'))
$$;

-- Up to so many values of an owner that are not over.
CREATE FUNCTION values_of(the_owner text, moment bigint, most bigint) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT count(*) FROM (
        SELECT FROM value
        WHERE owner <> '' AND hashtextextended(owner, 0) = hashtextextended(the_owner, 0) AND owner = the_owner
            AND (expires_at IS NULL OR expires_at > moment)
        LIMIT most
    ) counted);
END $$;

-- Whether an owner has so many; nobody's are not counted.
CREATE FUNCTION values_are_full(the_owner text, moment bigint, most bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    found_values bigint;
BEGIN
    IF the_owner = '' THEN
        RETURN false;
    END IF;
    found_values := values_of(the_owner, moment, most);
    IF takes_turns(found_values, most) THEN
        found_values := values_of(the_owner, moment, most);
    END IF;
    RETURN found_values >= most;
END $$;

-- Stores a value, in place of one of that id. Gives whether there was room.
CREATE FUNCTION put_value(
    kind text, id text, the_owner text, the_text text, ttl bigint, is_sliding boolean, most bigint
) RETURNS boolean LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    moment bigint := now_ms();
    the_key bytea := value_key(kind, id, the_owner);
    ends bigint := moment + ttl;
    the_slides bigint := CASE WHEN is_sliding THEN ttl END;
BEGIN
    UPDATE value SET text = the_text, version = version + 1, expires_at = ends, slides = the_slides
        WHERE key = the_key AND (expires_at IS NULL OR expires_at > moment);
    IF FOUND THEN
        RETURN true;
    ELSIF values_are_full(the_owner, moment, most) THEN
        RETURN false;
    END IF;
    INSERT INTO value AS old (key, owner, text, version, expires_at, slides)
        VALUES (the_key, the_owner, the_text, 1, ends, the_slides)
        ON CONFLICT (key) DO UPDATE SET text = excluded.text, expires_at = excluded.expires_at,
            slides = excluded.slides,
            version = CASE WHEN old.expires_at <= moment THEN 1 ELSE old.version + 1 END;
    RETURN true;
END $$;

-- A value that is not over.
CREATE FUNCTION look_at_value(kind text, id text, the_owner text)
RETURNS TABLE (text text, version bigint, expires_at bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    moment bigint := now_ms();
    the_key bytea := value_key(kind, id, the_owner);
BEGIN
    UPDATE value SET expires_at = moment + slides
        WHERE key = the_key AND slides IS NOT NULL AND expires_at > moment;
    RETURN QUERY SELECT v.text, v.version, v.expires_at FROM value v
        WHERE v.key = the_key AND (v.expires_at IS NULL OR v.expires_at > moment);
END $$;

-- Changes a value of this version. Gives the version then, 0 if it has another, null if it is not there.
CREATE FUNCTION replace_value(kind text, id text, the_owner text, the_version bigint, the_text text)
RETURNS bigint LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    moment bigint := now_ms();
    the_key bytea := value_key(kind, id, the_owner);
BEGIN
    UPDATE value SET text = the_text, version = version + 1,
        expires_at = CASE WHEN slides IS NULL THEN expires_at ELSE moment + slides END
        WHERE key = the_key AND version = the_version AND (expires_at IS NULL OR expires_at > moment);
    IF FOUND THEN
        RETURN the_version + 1;
    END IF;
    RETURN (SELECT 0 FROM value WHERE key = the_key AND (expires_at IS NULL OR expires_at > moment));
END $$;

CREATE FUNCTION remove_value(kind text, id text, the_owner text) RETURNS boolean LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    moment bigint := now_ms();
    was_there boolean;
BEGIN
    DELETE FROM value WHERE key = value_key(kind, id, the_owner)
        RETURNING expires_at IS NULL OR expires_at > moment INTO was_there;
    RETURN coalesce(was_there, false);
END $$;

-- Marks a digest. Gives whether this was the first time.
CREATE FUNCTION mark_digest(the_digest bytea, keep bigint) RETURNS boolean LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    moment bigint := now_ms();
BEGIN
    INSERT INTO mark AS old (digest, until) VALUES (the_digest, moment + keep)
        ON CONFLICT (digest) DO UPDATE SET until = excluded.until WHERE old.until <= moment;
    RETURN FOUND;
END $$;
