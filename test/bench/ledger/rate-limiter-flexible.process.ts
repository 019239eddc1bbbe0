/*
 * The other yardstick: what an application would do without a ledger, rate-limiter-flexible on the same Postgres. A
 * minute and a day are counted for each call, no call is ever refused. It is asked in this very process: no NATS between.
 */
import pg from 'pg';
import { RateLimiterPostgres, RateLimiterUnion } from 'rate-limiter-flexible';
import { answerParent } from './side-process.js';

export interface LimiterAsked {
  readonly postgresUrl: string;
  readonly atOnce: number;
  readonly forMs: number;
}

export interface LimiterTold {
  readonly acquires: number;
  readonly tookMs: number;
}

const POINTS = 100_000_000;
const MINUTE_SECONDS = 60;
const DAY_SECONDS = 86_400;
/** Each call asks both limiters at the same time. */
const CONNECTIONS_PER_CALL = 2;

interface Opened {
  readonly atOnce: number;
  readonly pool: pg.Pool;
  readonly limiter: RateLimiterUnion;
}

/** For the concurrency asked for last. Its connections are made in its first round, which isn't to be measured. */
let opened: Opened | null = null;

answerParent<LimiterAsked, LimiterTold>(async ({ postgresUrl, atOnce, forMs }) => {
  if (opened?.atOnce !== atOnce) {
    await opened?.pool.end();
    opened = await open(postgresUrl, atOnce);
  }
  const { limiter } = opened;
  let acquires = 0;
  const startedMs = performance.now();
  const lane = async (): Promise<void> => {
    while (performance.now() < startedMs + forMs) {
      await limiter.consume('account');
      acquires += 1;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return { acquires, tookMs: performance.now() - startedMs };
});

async function open(connectionString: string, atOnce: number): Promise<Opened> {
  const pool = new pg.Pool({ connectionString, max: atOnce * CONNECTIONS_PER_CALL, idleTimeoutMillis: 0 });
  const window = (keyPrefix: string, duration: number): Promise<RateLimiterPostgres> =>
    new Promise((resolve, reject) => {
      const options = { storeClient: pool, tableName: 'rate_limiter_flexible', keyPrefix, points: POINTS, duration };
      const limiter = new RateLimiterPostgres(options, (error?: Error) => (error ? reject(error) : resolve(limiter)));
    });
  const limiter = new RateLimiterUnion(await window('minute', MINUTE_SECONDS), await window('day', DAY_SECONDS));
  return { atOnce, pool, limiter };
}
