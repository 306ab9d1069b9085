-- What is kept. Every BLOB named `tenant`, `key`, `hash`, `lane`, `name` or `holder` is a keyed hash of 32 bytes, every
-- `sealed` is a sealed value. Times are milliseconds since 1970. The same tables as in ../postgres/1.sql.

-- Tenants that have rows: what goes through all of them walks this list.
CREATE TABLE tenants (
    tenant BLOB NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE records (
    tenant     BLOB    NOT NULL,
    collection TEXT    NOT NULL,
    key        BLOB    NOT NULL,
    version    INTEGER NOT NULL,
    changed    INTEGER NOT NULL,
    sealed     BLOB    NOT NULL,
    -- 1 if it has, or once had, lookups: others need not be looked through.
    looked     INTEGER NOT NULL,
    PRIMARY KEY (tenant, collection, key)
) STRICT;

CREATE TABLE lookups (
    tenant     BLOB    NOT NULL,
    collection TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    hash       BLOB    NOT NULL,
    key        BLOB    NOT NULL,
    -- 1 if no other record of the collection may have it.
    sole       INTEGER NOT NULL,
    PRIMARY KEY (tenant, collection, name, hash, key),
    FOREIGN KEY (tenant, collection, key) REFERENCES records (tenant, collection, key) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX lookups_sole ON lookups (tenant, collection, name, hash) WHERE sole = 1;
CREATE INDEX lookups_record ON lookups (tenant, collection, key);

CREATE TABLE outbox (
    -- The order of messages; never used twice.
    seq           INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    id            BLOB    NOT NULL UNIQUE,
    tenant        BLOB    NOT NULL,
    topic         TEXT    NOT NULL,
    -- Messages of one lane leave one after the other.
    lane          BLOB    NOT NULL,
    sealed        BLOB    NOT NULL,
    -- Not before.
    due           INTEGER NOT NULL,
    -- Somebody works on it until then.
    claimed_until INTEGER NOT NULL,
    -- How often it was claimed; the claim's own number.
    attempts      INTEGER NOT NULL
) STRICT;

CREATE INDEX outbox_lane ON outbox (tenant, lane, seq);

CREATE TABLE leases (
    name    BLOB    NOT NULL PRIMARY KEY,
    holder  BLOB    NOT NULL,
    -- Grows with each holder and is never given out again; that is why rows stay.
    token   INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What there is once: the store's own number, the print of its keys, a move that is under way.
CREATE TABLE facts (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO facts (name, value) VALUES ('store', randomblob(16));
