-- Machines, runs and what happened in them. Times are seconds since 1970 by
-- the server's clock; ids, keys and hashes are hexadecimal text.

CREATE TABLE machines (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT    NOT NULL UNIQUE,
    name        TEXT    UNIQUE COLLATE NOCASE,
    uuid        TEXT,
    serial      TEXT,
    facts       TEXT,
    image       TEXT,
    disk        TEXT,
    may_replace INTEGER NOT NULL DEFAULT 0,
    unattended  INTEGER NOT NULL DEFAULT 0,
    -- 1: an order to deploy that no run has taken up yet.
    ordered     INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE addresses (
    machine TEXT NOT NULL REFERENCES machines (id),
    place   INTEGER NOT NULL,
    address TEXT NOT NULL,
    PRIMARY KEY (machine, place)
) WITHOUT ROWID;

CREATE TABLE runs (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT    NOT NULL UNIQUE,
    machine    TEXT    NOT NULL REFERENCES machines (id),
    assignment TEXT    NOT NULL,
    token_hash TEXT    NOT NULL UNIQUE,
    key        TEXT    NOT NULL,
    started    INTEGER NOT NULL,
    last       INTEGER NOT NULL,
    standing   TEXT    NOT NULL,
    reason     TEXT,
    system     TEXT
);

CREATE INDEX runs_by_machine ON runs (machine, seq);

CREATE TABLE events (
    run     TEXT    NOT NULL REFERENCES runs (id),
    number  INTEGER NOT NULL,
    arrived INTEGER NOT NULL,
    event   TEXT    NOT NULL,
    PRIMARY KEY (run, number)
) WITHOUT ROWID;

CREATE TABLE receipts (
    run     TEXT    NOT NULL PRIMARY KEY REFERENCES runs (id),
    stored  INTEGER NOT NULL,
    receipt TEXT    NOT NULL
);

CREATE TABLE leases (
    address TEXT    NOT NULL PRIMARY KEY,
    mac     TEXT    NOT NULL,
    expires INTEGER NOT NULL
);

-- Who ordered what. Each row carries the hash of the one before it.
CREATE TABLE audit (
    number  INTEGER PRIMARY KEY,
    time    INTEGER NOT NULL,
    who     TEXT    NOT NULL,
    what    TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    hash    TEXT    NOT NULL
);

CREATE TRIGGER audit_is_append_only_update BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

CREATE TRIGGER audit_is_append_only_delete BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
