-- What is stored. All of it is in one schema, which is the first of the search path of every connection.

-- The clock of the store: milliseconds since 1970-01-01 UTC.
CREATE FUNCTION now_ms() RETURNS bigint LANGUAGE sql VOLATILE AS
$$ SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint $$;

-- Phases: 0 queued, 1 leased, 2 parked, 3 ended, 4 delayed.
-- Statuses: 0 working, 1 input required, 2 completed, 3 failed, 4 cancelled.
CREATE TABLE task (
    id text COLLATE "C" PRIMARY KEY,
    owner text COLLATE "C" NOT NULL,
    tool text COLLATE "C" NOT NULL,
    -- Owner and tool as one number. Two pairs that share one take turns as if they were the same, no more.
    lane bigint NOT NULL,
    call text COLLATE "C" NOT NULL,
    message text COLLATE "C",
    outcome text COLLATE "C",
    worker text COLLATE "C",
    phase smallint NOT NULL,
    status smallint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    expires_at bigint,
    poll bigint,
    -- The end of the lease or of the pause, in those phases only.
    due bigint CHECK ((due IS NULL) = (phase NOT IN (1, 4))),
    -- Where it stands, or stood last, among the queued ones.
    turn bigint,
    place bigint,
    fence bigint NOT NULL,
    attempts bigint NOT NULL,
    deaths int NOT NULL DEFAULT 0,
    failures int NOT NULL DEFAULT 0,
    -- Of its journal: steps, questions, and bytes of both with the answers.
    steps int NOT NULL DEFAULT 0,
    asked int NOT NULL DEFAULT 0,
    journal_bytes bigint NOT NULL DEFAULT 0
) WITH (
    -- Room for the changes of a row beside it, so that they need no entries in indexes.
    fillfactor = 80,
    -- A queue is made of dead rows, which the search for its head has to pass by until they are cleared away.
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05,
    autovacuum_vacuum_cost_delay = 0
);
-- Names may be longer than an index takes, so indexes have their hashes.
CREATE INDEX task_owner ON task (hashtextextended(owner, 0)) WHERE owner <> '';
CREATE INDEX task_created ON task (created_at, id);
CREATE INDEX task_queue ON task (turn, place) WHERE phase = 0;
CREATE INDEX task_lane ON task (lane, turn) WHERE phase = 0;
CREATE INDEX task_tool ON task (hashtextextended(tool, 0), turn, place) WHERE phase = 0;
CREATE INDEX task_place ON task (place) WHERE phase = 0;
CREATE INDEX task_due ON task (due) WHERE due IS NOT NULL;
CREATE INDEX task_expires ON task (expires_at) WHERE phase <> 3 AND expires_at IS NOT NULL;
CREATE INDEX task_over ON task (expires_at) WHERE phase = 3 AND expires_at IS NOT NULL;

-- The order in which tasks became queued.
CREATE SEQUENCE queue_order;

-- Steps that have run, and questions. Whoever writes here holds the row of the task, so keys need no unique index.
CREATE TABLE journal (
    task text COLLATE "C" NOT NULL,
    n int NOT NULL,
    is_question boolean NOT NULL,
    key text COLLATE "C" NOT NULL,
    -- The result of the step, or the request.
    text text COLLATE "C" NOT NULL,
    at bigint NOT NULL,
    answer text COLLATE "C",
    answered_at bigint
);
CREATE INDEX journal_task ON journal (task, hashtextextended(key, 0));

-- What followers hear, see `events_since`.
CREATE TABLE event (
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    told_at bigint NOT NULL,
    task text COLLATE "C",
    told text COLLATE "C"
);
CREATE INDEX event_xid ON event (xid);

-- How many events were deleted.
CREATE TABLE forgotten (count bigint NOT NULL);
INSERT INTO forgotten VALUES (0);

-- Values behind handles. The key is the digest of kind, id and owner.
CREATE TABLE value (
    key bytea PRIMARY KEY,
    owner text COLLATE "C" NOT NULL,
    text text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    expires_at bigint,
    -- How long a look keeps it, if it slides.
    slides bigint
);
CREATE INDEX value_owner ON value (hashtextextended(owner, 0)) WHERE owner <> '';
CREATE INDEX value_expires ON value (expires_at) WHERE expires_at IS NOT NULL;

-- Digests of what was used.
CREATE TABLE mark (
    digest bytea PRIMARY KEY,
    until bigint NOT NULL
);
CREATE INDEX mark_until ON mark (until);
