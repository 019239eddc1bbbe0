import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What a dry run would have written: commands that no call may ever carry, and the calls that were planned for them. */
export class Rehearsals1763900000000 implements MigrationInterface {
  readonly name = 'Rehearsals1763900000000';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of UP) await runner.query(statement);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const statement of DOWN) await runner.query(statement);
  }
}

const states = (more: string): string[] => [
  `ALTER TABLE write DROP CONSTRAINT write_state_check, DROP CONSTRAINT final_has_time`,
  `ALTER TABLE write
     ADD CONSTRAINT write_state_check
       CHECK (state IN ('waiting', 'claimed', 'sent', 'unknown', 'done', 'parked', 'superseded', 'lapsed'${more})),
     ADD CONSTRAINT final_has_time
       CHECK ((state IN ('done', 'parked', 'superseded', 'lapsed'${more})) = (final_at IS NOT NULL))`,
  `DROP INDEX write_ages`,
  `CREATE INDEX write_ages ON write (final_at)
     WHERE state IN ('done', 'superseded', 'lapsed'${more}) AND NOT action ? 'forgotten'`,
];

const UP = [
  `ALTER TABLE write ADD COLUMN to_plan boolean NOT NULL DEFAULT false`,
  ...states(`, 'rehearsed'`),
  `ALTER TABLE write
     ADD CONSTRAINT rehearsed_has_no_call CHECK (state <> 'rehearsed' OR (grant_id IS NULL AND call_id IS NULL)),
     ADD CONSTRAINT planned_without_calls CHECK (NOT to_plan OR state = 'rehearsed')`,
  `CREATE INDEX write_to_plan ON write (account, interaction_id) WHERE to_plan`,
  `CREATE TABLE rehearsed_call (
    account text NOT NULL,
    kind text NOT NULL,
    calls bigint NOT NULL CHECK (calls >= 0),
    tickets bigint NOT NULL CHECK (tickets >= 0),
    since timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (account, kind)
  )`,
];

const DOWN = [
  `DROP TABLE rehearsed_call`,
  `DELETE FROM write WHERE state = 'rehearsed'`,
  ...states(''),
  `DROP INDEX write_to_plan`,
  `ALTER TABLE write DROP CONSTRAINT rehearsed_has_no_call, DROP COLUMN to_plan`,
];
