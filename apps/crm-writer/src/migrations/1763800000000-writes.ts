import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Commands as writes, the calls that carry them, what is remembered of interactions and contacts, and the outbox. */
export class Writes1763800000000 implements MigrationInterface {
  readonly name = 'Writes1763800000000';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of UP) await runner.query(statement);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of ['read_count', 'outbox', 'contact', 'asked', 'job', 'item', 'write', 'interaction', 'call'])
      await runner.query(`DROP TABLE ${table}`);
  }
}

const UP = [
  `CREATE TABLE call (
    call_id text PRIMARY KEY,
    account text NOT NULL,
    kind text NOT NULL,
    writer text NOT NULL CHECK (writer IN ('single', 'batch', 'contact')),
    priority smallint NOT NULL CHECK (priority BETWEEN 0 AND 2),
    state text NOT NULL CHECK (state IN ('sent', 'job', 'unknown', 'again', 'closed')),
    grant_id text NOT NULL,
    hold_ids text[] NOT NULL DEFAULT '{}',
    holds_released boolean NOT NULL DEFAULT true,
    method text NOT NULL,
    path text NOT NULL,
    body bytea,
    idempotency_key text,
    contact_keys text[] NOT NULL DEFAULT '{}',
    sends integer NOT NULL DEFAULT 1 CHECK (sends >= 1),
    first_sent_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    under_way_until timestamptz NOT NULL,
    ask_at timestamptz,
    asks integer NOT NULL DEFAULT 0,
    jobs_settled boolean NOT NULL DEFAULT false,
    suspects text[],
    status integer,
    response bytea,
    answered_at timestamptz,
    closed_at timestamptz,
    CONSTRAINT unknown_is_asked CHECK (state <> 'unknown' OR ask_at IS NOT NULL),
    CONSTRAINT closed_has_time CHECK ((state = 'closed') = (closed_at IS NOT NULL))
  )`,
  `CREATE INDEX call_open ON call (account, state, ask_at) WHERE state <> 'closed'`,
  `CREATE INDEX call_holds ON call (account) WHERE NOT holds_released`,
  `CREATE INDEX call_kinds ON call (account, kind) INCLUDE (sends)`,
  `CREATE INDEX call_ages ON call (closed_at) WHERE body IS NOT NULL OR response IS NOT NULL`,

  `CREATE TABLE interaction (
    account text NOT NULL,
    interaction_id text NOT NULL,
    contact_key text,
    queue_path text,
    ticket_id bigint,
    ticket_open boolean NOT NULL DEFAULT true,
    ticket_at timestamptz,
    follow_up_of bigint,
    busy_call_id text REFERENCES call,
    solo boolean NOT NULL DEFAULT false,
    waiting integer NOT NULL DEFAULT 0 CHECK (waiting >= 0),
    priority smallint NOT NULL DEFAULT 2 CHECK (priority BETWEEN 0 AND 2),
    since bigint NOT NULL DEFAULT 0,
    runnable boolean NOT NULL DEFAULT false,
    not_before timestamptz NOT NULL DEFAULT '-infinity',
    PRIMARY KEY (account, interaction_id),
    CONSTRAINT runnable_has_work CHECK (NOT runnable OR waiting > 0)
  )`,
  `CREATE INDEX interaction_next ON interaction (account, (ticket_id IS NULL), priority, since, interaction_id)
    WHERE runnable AND busy_call_id IS NULL`,
  `CREATE INDEX interaction_not_before ON interaction (account, not_before) WHERE runnable AND busy_call_id IS NULL`,
  `CREATE INDEX interaction_oldest ON interaction (account, since) WHERE waiting > 0`,
  `CREATE INDEX interaction_busy_contact ON interaction (account, contact_key) WHERE busy_call_id IS NOT NULL`,
  `CREATE INDEX interaction_busy_ticket ON interaction (account, ticket_id) WHERE busy_call_id IS NOT NULL`,
  `CREATE INDEX interaction_open_ticket ON interaction (account, contact_key, queue_path, ticket_id)
    WHERE ticket_id IS NOT NULL AND ticket_open`,
  `CREATE INDEX interaction_ticket ON interaction (account, ticket_id) WHERE ticket_id IS NOT NULL`,

  `CREATE TABLE write (
    command_id text PRIMARY KEY,
    account text NOT NULL,
    interaction_id text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('ensureTicket', 'addComment', 'setFields')),
    action jsonb NOT NULL,
    event_at bigint NOT NULL,
    event_rank integer NOT NULL,
    ordinal integer NOT NULL,
    priority smallint NOT NULL CHECK (priority BETWEEN 0 AND 2),
    not_after bigint,
    policy_version integer NOT NULL,
    causation_id text NOT NULL,
    traceparent text,
    state text NOT NULL DEFAULT 'waiting'
      CHECK (state IN ('waiting', 'claimed', 'sent', 'unknown', 'done', 'parked', 'superseded', 'lapsed')),
    grant_id text,
    call_id text REFERENCES call,
    attempts smallint NOT NULL DEFAULT 0,
    ticket_id bigint,
    reason_code text,
    reason_text text,
    taken_in_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    final_at timestamptz,
    FOREIGN KEY (account, interaction_id) REFERENCES interaction,
    CONSTRAINT leaves_waiting_only_with_grant
      CHECK (state NOT IN ('claimed', 'sent', 'unknown', 'done') OR (grant_id IS NOT NULL AND call_id IS NOT NULL)),
    CONSTRAINT waiting_holds_no_grant CHECK (state <> 'waiting' OR (grant_id IS NULL AND call_id IS NULL)),
    CONSTRAINT done_names_ticket CHECK (state <> 'done' OR ticket_id IS NOT NULL),
    CONSTRAINT parked_says_why CHECK (state NOT IN ('parked', 'lapsed') OR reason_code IS NOT NULL),
    CONSTRAINT final_has_time
      CHECK ((state IN ('done', 'parked', 'superseded', 'lapsed')) = (final_at IS NOT NULL))
  )`,
  `CREATE INDEX write_of_interaction ON write (account, interaction_id, state)`,
  `CREATE INDEX write_of_call ON write (call_id) WHERE call_id IS NOT NULL`,
  `CREATE INDEX write_ages ON write (final_at)
    WHERE state IN ('done', 'superseded', 'lapsed') AND NOT action ? 'forgotten'`,
  `CREATE INDEX write_lapsing ON write (account, not_after) WHERE state = 'waiting' AND not_after IS NOT NULL`,
  `CREATE UNIQUE INDEX write_one_ticket ON write (account, interaction_id) WHERE kind = 'ensureTicket'`,

  `CREATE TABLE item (
    call_id text NOT NULL REFERENCES call,
    item_index integer NOT NULL,
    account text NOT NULL,
    interaction_id text NOT NULL,
    command_ids text[] NOT NULL,
    ticket_id bigint,
    follow_up_of bigint,
    external_id text NOT NULL,
    has_comment boolean NOT NULL,
    attempts integer NOT NULL,
    state text NOT NULL CHECK (state IN ('sent', 'unknown', 'done', 'returned', 'parked')),
    code text,
    own boolean NOT NULL DEFAULT false,
    asks integer NOT NULL DEFAULT 0,
    ask_at timestamptz NOT NULL DEFAULT '-infinity',
    cursor text,
    PRIMARY KEY (call_id, item_index)
  )`,
  `CREATE UNIQUE INDEX item_one_in_flight ON item (account, interaction_id) WHERE state IN ('sent', 'unknown')`,
  `CREATE INDEX item_to_ask ON item (account, ask_at) WHERE state = 'unknown'`,

  `CREATE TABLE job (
    account text NOT NULL,
    job_id text NOT NULL,
    call_id text NOT NULL UNIQUE REFERENCES call,
    total integer NOT NULL,
    polls integer NOT NULL DEFAULT 0,
    misses integer NOT NULL DEFAULT 0,
    poll_at timestamptz NOT NULL,
    over boolean NOT NULL DEFAULT false,
    PRIMARY KEY (account, job_id)
  )`,
  `CREATE INDEX job_running ON job (account, poll_at) WHERE NOT over`,

  `CREATE TABLE asked (
    request_id text PRIMARY KEY,
    account text NOT NULL,
    kind text NOT NULL,
    priority smallint NOT NULL CHECK (priority BETWEEN 0 AND 2),
    asked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    given_up boolean NOT NULL DEFAULT false
  )`,
  `CREATE INDEX asked_ages ON asked (account, asked_at)`,

  `CREATE TABLE contact (
    account text NOT NULL,
    key text NOT NULL,
    user_id bigint,
    step text CHECK (step IN ('search', 'create', 'adopt', 'refused')),
    refused_for text,
    busy_call_id text REFERENCES call,
    not_before timestamptz NOT NULL DEFAULT '-infinity',
    attempts smallint NOT NULL DEFAULT 0,
    PRIMARY KEY (account, key),
    CONSTRAINT known_or_on_its_way CHECK (user_id IS NOT NULL OR step IS NOT NULL),
    CONSTRAINT refused_says_why CHECK (step IS DISTINCT FROM 'refused' OR refused_for IS NOT NULL)
  )`,
  `CREATE INDEX contact_waiting ON contact (account, not_before) WHERE user_id IS NULL`,
  `CREATE INDEX contact_of_call ON contact (busy_call_id) WHERE busy_call_id IS NOT NULL`,

  `CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject text NOT NULL,
    msg_id text NOT NULL UNIQUE,
    payload bytea NOT NULL
  )`,

  `CREATE TABLE read_count (
    account text NOT NULL,
    kind text NOT NULL,
    calls bigint NOT NULL,
    PRIMARY KEY (account, kind)
  )`,
];
