/** The tables of one event file. Texts that repeat are numbers here, and spelled out in `names`. */
export const EVENT_SCHEMA = `
  CREATE TABLE meta (first_id INTEGER NOT NULL, previous TEXT NOT NULL) STRICT;
  CREATE TABLE names (id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, text TEXT NOT NULL, UNIQUE (kind, text)) STRICT;
  CREATE TABLE events (
    id INTEGER PRIMARY KEY, timestamp INTEGER NOT NULL, wall_ms INTEGER NOT NULL, boot INTEGER NOT NULL,
    tenant INTEGER NOT NULL, type INTEGER NOT NULL, subject INTEGER, payload TEXT NOT NULL,
    causation INTEGER, checksum INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE commits (last_id INTEGER PRIMARY KEY, first_id INTEGER NOT NULL, hash TEXT NOT NULL) STRICT;
  CREATE TABLE blocks (block INTEGER PRIMARY KEY, wall_min INTEGER NOT NULL, wall_max INTEGER NOT NULL) STRICT;
  CREATE TABLE postings (block INTEGER, key INTEGER, list BLOB NOT NULL, PRIMARY KEY (block, key)) STRICT, WITHOUT ROWID;
`;

/** What a name names: the same text may be a tenant and a subject. */
export const NAME_KIND = { boot: 0, tenant: 1, type: 2, subject: 3 } as const;
export type NameKind = (typeof NAME_KIND)[keyof typeof NAME_KIND];

/** The `tenant` of an event that belongs to no tenant; real names count from 1. */
export const NO_TENANT = 0;
