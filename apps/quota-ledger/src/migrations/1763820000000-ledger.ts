import type { MigrationInterface, QueryRunner } from 'typeorm';

/*
 * Instants are epoch milliseconds in bigint columns named …_ms. Rows that are updated leave room on their pages, and no
 * updated column is indexed, so that updates stay on the page (HOT) and touch no index.
 */
const COUNTS = `
      granted bigint NOT NULL,
      used bigint NOT NULL CHECK (used >= 0),
      returned bigint NOT NULL CHECK (returned >= 0),
      expired bigint NOT NULL CHECK (expired >= 0),
      open bigint NOT NULL CHECK (open >= 0),
      crm_refused bigint NOT NULL CHECK (crm_refused >= 0),
      would_refuse bigint NOT NULL CHECK (would_refuse >= 0),
      CHECK (granted = used + returned + expired + open)`;

const UP = [
  `CREATE TABLE partition (
    id integer PRIMARY KEY,
    epoch bigint NOT NULL CHECK (epoch > 0),
    -- When its owner began.
    owned_since_ms bigint NOT NULL,
    -- The turn up to which usage is stored, and the one from which on every account's changes are in the journal only.
    usage_seq bigint NOT NULL DEFAULT 0,
    snapshot_seq bigint NOT NULL DEFAULT 0 CHECK (snapshot_seq <= usage_seq),
    -- The turn up to which events are told on LEDGER, and the one up to which they are being told.
    told_seq bigint NOT NULL DEFAULT 0,
    telling_seq bigint NOT NULL DEFAULT 0 CHECK (told_seq <= telling_seq)
  ) WITH (fillfactor = 50)`,
  `CREATE TABLE account_version (
    -- Rises with every version of whatever account, so that owners can ask for what they don't know yet.
    id bigint NOT NULL,
    account text NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    applied_at_ms bigint NOT NULL,
    origin text NOT NULL CHECK (origin IN ('file', 'operator')),
    config jsonb NOT NULL,
    PRIMARY KEY (account, version)
  )`,
  `CREATE UNIQUE INDEX account_version_id ON account_version (id)`,
  // What was decided, one row for a partition's part of a turn: the truth, from which all else can be built again. Not divided
  // by time: the instant would have to be in the key, and it is the key that lets no two owners write the same turn.
  `CREATE TABLE journal (
    partition integer NOT NULL,
    seq bigint NOT NULL CHECK (seq > 0),
    epoch bigint NOT NULL,
    at_ms bigint NOT NULL,
    -- JSON, as text: it is read whole or not at all, and checking its grammar would cost every turn.
    events text NOT NULL,
    PRIMARY KEY (partition, seq)
  ) WITH (toast_tuple_target = 8160)`,
  // Its rows are large and soon unread: neither packed, which costs time, nor put apart where a page has room for them.
  `ALTER TABLE journal ALTER COLUMN events SET STORAGE EXTERNAL`,
  `CREATE TABLE account_snapshot (
    account text PRIMARY KEY,
    partition integer NOT NULL,
    seq bigint NOT NULL,
    books json NOT NULL
  )`,
  // By time, so that a question reads the rows of its days only and what is old is dropped by the file. Partitions are made
  // by a duty (usage-partitions.ts); what has none is counted in the other one.
  ...['usage_minute', 'usage_hour', 'usage_day'].flatMap((table) => [
    `CREATE TABLE ${table} (
      account text NOT NULL,
      starts_at_ms bigint NOT NULL,
      integration text NOT NULL,${COUNTS},
      PRIMARY KEY (account, starts_at_ms, integration)
    ) PARTITION BY RANGE (starts_at_ms)`,
    `CREATE TABLE ${table}_other PARTITION OF ${table} DEFAULT WITH (fillfactor = 50)`,
  ]),
];

const TABLES = [
  'usage_day',
  'usage_hour',
  'usage_minute',
  'account_snapshot',
  'journal',
  'account_version',
  'partition',
];

export class Ledger1763820000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    for (const statement of UP) await runner.query(statement);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of TABLES) await runner.query(`DROP TABLE ${table}`);
  }
}
