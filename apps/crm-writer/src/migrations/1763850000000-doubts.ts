import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What halving a job, asking while a job may run, and taking parked writes up again have to remember. */
export class Doubts1763850000000 implements MigrationInterface {
  readonly name = 'Doubts1763850000000';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of UP) await runner.query(statement);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const statement of DOWN) await runner.query(statement);
  }
}

const UP = [
  `ALTER TABLE interaction ADD COLUMN most_in_job smallint CHECK (most_in_job >= 1)`,
  `ALTER TABLE call ADD COLUMN may_run boolean NOT NULL DEFAULT false, ADD COLUMN settled_at timestamptz`,
  `ALTER TABLE call ADD CONSTRAINT closed_runs_no_more CHECK (state <> 'closed' OR NOT may_run)`,
  `ALTER TABLE write ADD COLUMN redriven smallint NOT NULL DEFAULT 0 CHECK (redriven >= 0)`,
  `CREATE INDEX write_parked ON write (account, final_at) WHERE state = 'parked'`,
];

const DOWN = [
  `DROP INDEX write_parked`,
  `ALTER TABLE write DROP COLUMN redriven`,
  `ALTER TABLE call DROP CONSTRAINT closed_runs_no_more`,
  `ALTER TABLE call DROP COLUMN settled_at, DROP COLUMN may_run`,
  `ALTER TABLE interaction DROP COLUMN most_in_job`,
];
