import type { MigrationInterface, QueryRunner } from 'typeorm';

/*
 * Instants are epoch milliseconds in bigint columns named …_ms. Rows that are updated leave room on their pages, and no
 * updated column is indexed, so that updates stay on the page (HOT) and touch no index.
 */
const UP = [
  `CREATE TABLE ownership (
    partition integer PRIMARY KEY,
    epoch bigint NOT NULL CHECK (epoch > 0),
    -- No grant made before this has open calls: where rebuilding may begin to read.
    open_since_ms bigint NOT NULL
  )`,
  `CREATE TABLE account_version (
    account text NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    applied_at_ms bigint NOT NULL,
    origin text NOT NULL CHECK (origin IN ('file', 'operator')),
    config jsonb NOT NULL,
    PRIMARY KEY (account, version)
  )`,
  `CREATE TABLE call_grant (
    id text PRIMARY KEY,
    account text NOT NULL,
    integration text NOT NULL,
    request_id text NOT NULL,
    kind text NOT NULL,
    priority text NOT NULL,
    granted_at_ms bigint NOT NULL,
    not_before_ms bigint NOT NULL,
    valid_until_ms bigint NOT NULL,
    arrives_by_ms bigint NOT NULL,
    settle_by_ms bigint NOT NULL,
    minute_ms bigint NOT NULL,
    day_ms bigint NOT NULL,
    calls integer NOT NULL CHECK (calls > 0),
    used integer NOT NULL CHECK (used >= 0),
    returned integer NOT NULL CHECK (returned >= 0),
    expired integer NOT NULL CHECK (expired >= 0),
    open integer NOT NULL CHECK (open >= 0),
    keys json,
    runs json NOT NULL,
    settles json,
    CHECK (calls = used + returned + expired + open),
    CHECK (granted_at_ms <= not_before_ms AND not_before_ms <= valid_until_ms
      AND valid_until_ms <= arrives_by_ms AND arrives_by_ms <= settle_by_ms)
  ) WITH (fillfactor = 70)`,
  `CREATE UNIQUE INDEX call_grant_request ON call_grant (account, integration, request_id)`,
  `CREATE INDEX call_grant_arrives ON call_grant (account, arrives_by_ms)`,
  `CREATE TABLE hold (
    account text NOT NULL,
    id text NOT NULL,
    limit_name text NOT NULL,
    integration text NOT NULL,
    grant_id text NOT NULL,
    taken_at_ms bigint NOT NULL,
    PRIMARY KEY (account, limit_name, id)
  )`,
  `CREATE TABLE limit_closing (
    account text NOT NULL,
    limit_name text NOT NULL,
    key text NOT NULL,
    until_ms bigint NOT NULL,
    PRIMARY KEY (account, limit_name, key)
  )`,
  `CREATE TABLE foreign_calls (
    account text NOT NULL,
    limit_name text NOT NULL,
    at_ms bigint NOT NULL,
    calls integer NOT NULL CHECK (calls > 0),
    PRIMARY KEY (account, limit_name, at_ms)
  )`,
  ...['usage_minute', 'usage_day'].map(
    (table) => `CREATE TABLE ${table} (
      account text NOT NULL,
      starts_at_ms bigint NOT NULL,
      integration text NOT NULL,
      granted bigint NOT NULL,
      used bigint NOT NULL CHECK (used >= 0),
      returned bigint NOT NULL CHECK (returned >= 0),
      expired bigint NOT NULL CHECK (expired >= 0),
      open bigint NOT NULL CHECK (open >= 0),
      PRIMARY KEY (account, starts_at_ms, integration),
      CHECK (granted = used + returned + expired + open)
    ) WITH (fillfactor = 50)`,
  ),
  // Its ids rise in the order of commits, as only one owner writes: the relay remembers just how far it is.
  `CREATE TABLE ledger_event (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account text NOT NULL,
    integration text NOT NULL,
    event text NOT NULL,
    at_ms bigint NOT NULL,
    entries json NOT NULL
  )`,
  `CREATE TABLE relay_position (
    partition integer PRIMARY KEY,
    last_id bigint NOT NULL
  )`,
  `INSERT INTO relay_position (partition, last_id) VALUES (0, 0)`,
];

const TABLES = [
  'relay_position',
  'ledger_event',
  'usage_day',
  'usage_minute',
  'foreign_calls',
  'limit_closing',
  'hold',
  'call_grant',
  'account_version',
  'ownership',
];

export class Ledger1763820000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    for (const statement of UP) await runner.query(statement);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of TABLES) await runner.query(`DROP TABLE ${table}`);
  }
}
