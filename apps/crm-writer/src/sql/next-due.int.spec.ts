import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Tx } from '#postgres';
import { type WriterDatabase, writerDatabase } from '../../test/writer-database.js';
import { nextDue } from './next-due.js';

const MANY = 20_000;

describe('what is due next', () => {
  let database: WriterDatabase;

  beforeAll(async () => {
    database = await writerDatabase('next due spec', 2);
  });

  afterAll(async () => {
    await database?.drop();
  });

  it('is found without reading everything that waits', async () => {
    const pool = database.pool;
    await pool.query(
      `INSERT INTO interaction (account, interaction_id, waiting, runnable)
       SELECT 'acme', 'call-' || n, 1, true FROM generate_series(1, ${MANY}) AS n`,
    );
    await pool.query(
      `UPDATE interaction SET not_before = clock_timestamp() + interval '1 minute' WHERE interaction_id = 'call-7'`,
    );
    await pool.query('ANALYZE interaction');
    let plan = '';
    const explaining: Tx = {
      query: async <R>(sql: string, params: readonly unknown[] = []): Promise<R[]> => {
        const explained = await pool.query(`EXPLAIN (ANALYZE, FORMAT TEXT) ${sql}`, [...params]);
        plan = JSON.stringify(explained.rows);
        return (await pool.query(sql, [...params])).rows as R[];
      },
    };
    const { waitingInMs } = await nextDue(explaining, 'acme');
    expect(waitingInMs).toBeGreaterThan(0);
    expect(waitingInMs).toBeLessThanOrEqual(60_000);
    expect(plan).toContain('interaction_not_before');
    expect(plan).not.toContain(`rows=${MANY - 1}`);
    expect(plan).not.toMatch(/Rows Removed by Filter: \d{3,}/);
  });
});
