-- Who may read a share over the network, and write which names.
CREATE TABLE share_tokens (
    hash    TEXT    NOT NULL PRIMARY KEY,
    label   TEXT    NOT NULL UNIQUE,
    share   TEXT    NOT NULL,
    -- Names it may capture under, with * for any text; NULL: it only reads.
    writes  TEXT,
    created INTEGER NOT NULL
);
