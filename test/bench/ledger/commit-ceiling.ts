import type pg from 'pg';

const ROW_BYTES = 100;

/** Commits per second of one connection that appends one small row in each, as fast as the disk lets it. */
export async function commitsPerSecond(client: pg.Client, forMs: number): Promise<number> {
  await client.query('CREATE TABLE IF NOT EXISTS bench_append (id bigserial PRIMARY KEY, body text NOT NULL)');
  const append = {
    name: 'bench-append',
    text: 'INSERT INTO bench_append (body) VALUES ($1)',
    values: ['x'.repeat(ROW_BYTES)],
  };
  await client.query(append);
  const startedMs = performance.now();
  let commits = 0;
  while (performance.now() < startedMs + forMs) {
    await client.query(append);
    commits += 1;
  }
  return (commits * 1_000) / (performance.now() - startedMs);
}
