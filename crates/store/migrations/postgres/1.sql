-- What is kept. Every BYTEA named `tenant`, `key`, `hash`, `lane`, `name` or `holder` is a keyed hash of 32 bytes, every
-- `sealed` is a sealed value. Times are milliseconds since 1970. The same tables as in ../sqlite/1.sql.

-- Tenants that have rows: what goes through all of them walks this list. It holds nothing but hashes, so each may see it.
CREATE TABLE tenants (
    tenant BYTEA NOT NULL PRIMARY KEY
);

CREATE TABLE records (
    tenant     BYTEA  NOT NULL,
    collection TEXT   NOT NULL COLLATE "C",
    key        BYTEA  NOT NULL,
    version    BIGINT NOT NULL,
    changed    BIGINT NOT NULL,
    sealed     BYTEA  NOT NULL,
    -- 1 if it has, or once had, lookups: others need not be looked through.
    looked     BIGINT NOT NULL,
    PRIMARY KEY (tenant, collection, key)
);

CREATE TABLE lookups (
    tenant     BYTEA  NOT NULL,
    collection TEXT   NOT NULL COLLATE "C",
    name       TEXT   NOT NULL COLLATE "C",
    hash       BYTEA  NOT NULL,
    key        BYTEA  NOT NULL,
    -- 1 if no other record of the collection may have it.
    sole       BIGINT NOT NULL,
    PRIMARY KEY (tenant, collection, name, hash, key),
    FOREIGN KEY (tenant, collection, key) REFERENCES records (tenant, collection, key) ON DELETE CASCADE
);

CREATE UNIQUE INDEX lookups_sole ON lookups (tenant, collection, name, hash) WHERE sole = 1;
CREATE INDEX lookups_record ON lookups (tenant, collection, key);

CREATE TABLE outbox (
    -- The order of messages; never used twice.
    seq           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id            BYTEA  NOT NULL UNIQUE,
    tenant        BYTEA  NOT NULL,
    topic         TEXT   NOT NULL COLLATE "C",
    -- Messages of one lane leave one after the other.
    lane          BYTEA  NOT NULL,
    sealed        BYTEA  NOT NULL,
    -- Not before.
    due           BIGINT NOT NULL,
    -- Somebody works on it until then.
    claimed_until BIGINT NOT NULL,
    -- How often it was claimed; the claim's own number.
    attempts      BIGINT NOT NULL
);

CREATE INDEX outbox_lane ON outbox (tenant, lane, seq);

CREATE TABLE leases (
    name    BYTEA  NOT NULL PRIMARY KEY,
    holder  BYTEA  NOT NULL,
    -- Grows with each holder and is never given out again; that is why rows stay.
    token   BIGINT NOT NULL,
    expires BIGINT NOT NULL
);

-- What there is once: the store's own number, the print of its keys, a move that is under way.
CREATE TABLE facts (
    name  TEXT  NOT NULL PRIMARY KEY COLLATE "C",
    value BYTEA NOT NULL
);

INSERT INTO facts (name, value) VALUES ('store', uuid_send(gen_random_uuid()));

-- A row is there for whoever has said which tenant it works for, and only that tenant's. Without the setting there is
-- an error; with an empty one, nothing.
ALTER TABLE records ENABLE ROW LEVEL SECURITY;
ALTER TABLE lookups ENABLE ROW LEVEL SECURITY;
ALTER TABLE outbox ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON records USING (tenant = decode(current_setting('reeve.tenant'), 'hex'));
CREATE POLICY tenant ON lookups USING (tenant = decode(current_setting('reeve.tenant'), 'hex'));
CREATE POLICY tenant ON outbox USING (tenant = decode(current_setting('reeve.tenant'), 'hex'));

-- One record in one round trip: to say the tenant and to read would take three.
CREATE FUNCTION record_of(of_tenant BYTEA, of_collection TEXT, of_key BYTEA)
RETURNS TABLE (version BIGINT, changed BIGINT, sealed BYTEA)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('reeve.tenant', encode(of_tenant, 'hex'), true);
    RETURN QUERY SELECT r.version, r.changed, r.sealed FROM records r
        WHERE r.tenant = of_tenant AND r.collection = of_collection AND r.key = of_key;
END $$;

-- Which tenants have messages that may leave now, those that wait longest first. Runs as the owner, because whoever
-- sends messages on does so for all tenants; it gives away nothing but hashes. Its path is fixed, so that nobody can put
-- a table of their own in the way.
CREATE FUNCTION tenants_due(now BIGINT, most BIGINT)
RETURNS TABLE (tenant BYTEA)
LANGUAGE sql SECURITY DEFINER STABLE SET search_path FROM CURRENT AS $$
    SELECT o.tenant FROM outbox o
    WHERE o.due <= now AND o.claimed_until <= now
      AND NOT EXISTS (SELECT 1 FROM outbox e WHERE e.tenant = o.tenant AND e.lane = o.lane AND e.seq < o.seq)
    GROUP BY o.tenant ORDER BY min(o.seq) LIMIT most
$$;

-- PostgreSQL lets everybody run a function unless told otherwise.
REVOKE ALL ON FUNCTION record_of(BYTEA, TEXT, BYTEA) FROM PUBLIC;
REVOKE ALL ON FUNCTION tenants_due(BIGINT, BIGINT) FROM PUBLIC;
