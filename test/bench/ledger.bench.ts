import { type BenchOptions, type BenchResult, median } from './bench.js';
import { type Cell, type CellRounds, cpuLine, measureRound, resultOf, type Round, rounded } from './ledger/cells.js';
import { commitsPerSecond } from './ledger/commit-ceiling.js';
import { type Field, openField } from './ledger/field.js';
import { measureOvershoot, type Overshoot } from './ledger/overshoot.js';
import { booksBetween, durability, type PostgresBooks, postgresBooks } from './ledger/postgres-books.js';

/** Options of this bench beside those of every bench. */
export const options = {
  /** Only this cell: so many requests on their way … */
  'in-flight': { type: 'string' },
  /** … on so many accounts. Yardsticks other than the echo are left out. */
  accounts: { type: 'string' },
  /** `lean`: that cell by a sender that spends hardly anything. */
  requests: { type: 'string' },
  /** Folder that CPU profiles of ledger, echo and sender are left in. */
  profile: { type: 'string' },
} as const;

const IN_FLIGHT = [1, 64, 256, 1_000];
const ACCOUNTS = [1, 100, 1_000];
/** The cell whose figures stand at the top, and the one in which acquires alone are counted. */
const CHOSEN: Cell = { inFlight: 256, accounts: 100 };
/** The same by a sender that spends hardly anything on a request: the bare echo is several times as fast then. */
const LEAN: Cell = { ...CHOSEN, requests: 'lean' };
const QUICK_CELLS: readonly Cell[] = [{ inFlight: 1, accounts: 1 }, { inFlight: 64, accounts: 100 }, CHOSEN, LEAN];
const ALONE: Cell = { inFlight: 256, accounts: 1 };
const MOST_IN_FLIGHT = 10_000;
const TIGHT = { name: 'tight', limitPerMinute: 500, timeScale: 25, requestTimeoutMs: 100 };

/** Short rounds in turns, so that a disturbance of the machine hits every way alike. */
interface Plan {
  readonly rounds: number;
  readonly echoMs: number;
  readonly ledgerMs: number;
  readonly warmUpMs: number;
  /** How many calls rate-limiter-flexible is tried with at once. */
  readonly limiterAtOnce: readonly number[];
  readonly limiterMs: number;
  readonly commitsMs: number;
  readonly tightWindows: number;
}
const FULL: Plan = {
  rounds: 5,
  echoMs: 700,
  ledgerMs: 1_500,
  warmUpMs: 10_000,
  limiterAtOnce: [1, 4, 8, 16, 32, 64],
  limiterMs: 1_200,
  commitsMs: 500,
  tightWindows: 6,
};
const QUICK: Plan = {
  rounds: 3,
  echoMs: 300,
  ledgerMs: 600,
  warmUpMs: 2_000,
  limiterAtOnce: [1, 8, 32],
  limiterMs: 500,
  commitsMs: 300,
  tightWindows: 3,
};

interface Wanted {
  readonly cells: readonly Cell[];
  readonly isOneCell: boolean;
  readonly profileFolder: string | null;
}

/**
 * Pairs of durable acquire and settle per second through one ledger, beside as many bare echoes of requests and answers
 * of the same sizes by the same sender; acquires alone beside rate-limiter-flexible on the same Postgres; and calls
 * above a limit that binds. Everything shares one machine: sender, nats-server, ledger and Postgres with all its cores,
 * the echo without the latter two. What each spends for a pair is said on standard error.
 */
export async function run({ quick, say, signal, given }: BenchOptions): Promise<BenchResult> {
  const plan = quick ? QUICK : FULL;
  const wanted = wantedFrom(given, quick);
  const most = Math.max(...wanted.cells.map(({ accounts }) => accounts));
  const field = await openField({ accounts: most, tight: TIGHT, profileFolder: wanted.profileFolder, say });
  try {
    const bench = new LedgerBench(field, plan, wanted, say, signal);
    return { bench: 'ledger', ...(await bench.measure()), nodeVersion: process.version };
  } finally {
    await field.close();
  }
}

interface Cost {
  readonly pairsPerTurn: number | null;
  /** Of all connections: beside its turns the ledger also writes down what it has told. */
  readonly pairsPerCommit: number;
  readonly walBytesPerPair: number;
}

class LedgerBench {
  private fsyncsPerTurn: number | null = null;

  constructor(
    private readonly field: Field,
    private readonly plan: Plan,
    private readonly wanted: Wanted,
    private readonly say: (line: string) => void,
    private readonly signal: AbortSignal,
  ) {}

  async measure(): Promise<BenchResult> {
    const { field, wanted } = this;
    await this.warmUp();
    const cells = await this.measureCells();
    const usual = cells.filter(({ requests }) => requests !== 'lean');
    const lean = cells.find(({ requests }) => requests === 'lean');
    const results = (wanted.isOneCell ? cells : usual).map(resultOf);
    const chosen = results.find((cell) => isSame(cell, CHOSEN)) ?? results[0]!;
    const rounds = cells.find((cell) => isSame(cell, chosen))!.ledger;
    const { inFlight: _, accounts: __, ...top } = chosen;
    this.sayCells(cells);
    const facts = {
      ...(await durability(field.client)),
      fsyncsPerTurn: this.fsyncsPerTurn,
      natsServerVersion: field.nats.version,
      syncAlways: field.syncAlways,
    };
    if (wanted.isOneCell) return { ...top, ...this.costOf(rounds), cells: results, ...facts };
    return {
      ...top,
      ...(await this.besideLimiter()),
      ...(await this.besideCommits(rounds)),
      ...(await this.overshoot()),
      cells: results,
      byLeanRequests: lean === undefined ? null : resultOf(lean),
      ...facts,
    };
  }

  /** A fresh process runs slowly until its code is compiled; and the echo learns what to answer. */
  private async warmUp(): Promise<void> {
    const { field, plan, signal } = this;
    const accounts = field.accounts;
    const all = { inFlight: CHOSEN.inFlight, accounts: accounts.length };
    await measureRound(field, all, 'quota', { forMs: plan.warmUpMs, signal, profileFolder: null });
    await measureRound(field, all, 'echo0', { forMs: plan.warmUpMs / 2, signal, profileFolder: null });
  }

  /** Round after round through all cells, echo and ledger side by side in each. */
  private async measureCells(): Promise<readonly CellRounds[]> {
    const { field, plan, signal, wanted } = this;
    const before = await postgresBooks(field.client);
    const cells = wanted.cells.map((cell) => ({ ...cell, echo: [] as Round[], ledger: [] as Round[] }));
    const { profileFolder } = wanted;
    for (let round = 0; round < plan.rounds; round += 1) {
      this.say(`round ${round + 1} of ${plan.rounds}`);
      for (const cell of cells) {
        signal.throwIfAborted();
        cell.echo.push(await measureRound(field, cell, 'echo0', { forMs: plan.echoMs, signal, profileFolder }));
        cell.ledger.push(await measureRound(field, cell, 'quota', { forMs: plan.ledgerMs, signal, profileFolder }));
      }
    }
    const asked = cells.flatMap(({ echo }) => echo).reduce((sum, { pairs }) => sum + 2 * pairs, 0);
    const { echoed } = await field.echo.ask({ acquire: '', settle: '' });
    // The yardstick itself must have been asked, or its rate is worth nothing.
    if (echoed < asked) throw new Error(`${asked} requests echoed by ${echoed} answers`);
    this.sayDurable(cells, booksBetween(before, await postgresBooks(field.client)));
    return cells;
  }

  /** Whatever a session's own settings are: a ledger that waits for the disk before it answers forces it there once a turn. */
  private sayDurable(cells: readonly CellRounds[], { walFsyncs }: PostgresBooks): void {
    const turns = cells.flatMap(({ ledger }) => ledger).reduce((sum, round) => sum + (round.turns ?? 0), 0);
    this.fsyncsPerTurn = turns === 0 ? null : rounded(walFsyncs / turns);
    this.say(`${turns} turns of the ledger, ${walFsyncs} times that Postgres forced its log to the disk meanwhile`);
  }

  private sayCells(cells: readonly CellRounds[]): void {
    const { say } = this;
    const results = cells.map(resultOf);
    say('in flight  accounts   pairs/s  p50 ms  p99 ms  worst p99   echo/s  ratio (least–most)  pairs per turn');
    for (const [index, cell] of results.entries()) {
      const { echo, ledger, requests } = cells[index]!;
      const ratios = ledger.map(({ pairsPerSecond }, round) => pairsPerSecond / echo[round]!.pairsPerSecond);
      const spread = `${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)}`;
      const worst = Math.max(...ledger.map(({ p99Ms }) => p99Ms)).toFixed(1);
      const columns: [string | number, number][] = [
        [cell.inFlight, 9],
        [cell.accounts, 10],
        [cell.pairsPerSecond, 10],
        [cell.p50Ms.toFixed(1), 8],
        [cell.p99Ms.toFixed(1), 8],
        [worst, 11],
        [cell.echoPairsPerSecond, 9],
        [`${cell.ratioToEcho.toFixed(2)} (${spread})`, 20],
        [this.costOf(ledger).pairsPerTurn ?? '?', 16],
      ];
      const how = requests === 'lean' ? '  by lean requests' : '';
      say(columns.map(([value, width]) => String(value).padStart(width)).join('') + how);
      say(`           CPU µs per pair: ledger's rounds ${cpuLine(ledger)}; echo's ${cpuLine(echo)}`);
    }
    for (const { accounts, p99Ms } of results.filter(({ inFlight }) => inFlight === 64))
      say(`99 of 100 requests at 64 in flight on ${accounts} accounts took at most ${p99Ms} ms`);
    const { requestBytes, samples } = this.field.sender;
    say(
      `bytes: acquire ${requestBytes.acquire}, granted ${samples.acquire.length}, settle ${requestBytes.settle}, settled ${samples.settle.length}`,
    );
  }

  /** What the ledger's rounds cost, by the ledger's count of turns and Postgres's own books. */
  private costOf(rounds: readonly Round[]): Cost {
    const sum = (of: (round: Round) => number): number => rounds.reduce((total, round) => total + of(round), 0);
    const pairs = sum((round) => round.pairs);
    const turns = sum((round) => round.turns ?? 0);
    return {
      pairsPerTurn: turns === 0 ? null : rounded(pairs / turns),
      pairsPerCommit: rounded(pairs / sum(({ postgres }) => postgres.writes)),
      walBytesPerPair: Math.round(sum(({ postgres }) => postgres.walBytes) / pairs),
    };
  }

  /** Acquires of the ledger, settled outside the time that counts, in turns with rate-limiter-flexible at its best. */
  private async besideLimiter(): Promise<BenchResult> {
    const { plan, field, signal, say } = this;
    let best = { atOnce: 1, perSecond: 0 };
    for (const atOnce of plan.limiterAtOnce) {
      await this.limiterRound(atOnce, plan.limiterMs / 2);
      const perSecond = await this.limiterRound(atOnce, plan.limiterMs);
      say(`rate-limiter-flexible, ${atOnce} at once: ${Math.round(perSecond)} acquires/s`);
      if (perSecond > best.perSecond) best = { atOnce, perSecond };
    }
    const account = field.accounts[0]!;
    const ofLimiter: number[] = [];
    const ofLedger: number[] = [];
    for (let round = 0; round < plan.rounds; round += 1) {
      ofLimiter.push(await this.limiterRound(best.atOnce, plan.limiterMs));
      const { inFlight } = ALONE;
      const { grants, tookMs } = await field.sender.acquires(account, { inFlight, forMs: plan.limiterMs, signal });
      ofLedger.push((grants.length * 1_000) / tookMs);
      await field.sender.settle(account, grants, inFlight, signal);
    }
    const [acquires, limiter] = [median(ofLedger), median(ofLimiter)];
    say(
      `acquires/s: ledger ${ofLedger.map(Math.round).join(' ')}; rate-limiter-flexible ${ofLimiter.map(Math.round).join(' ')}`,
    );
    return {
      acquiresPerSecond: Math.round(acquires),
      rateLimiterFlexiblePerSecond: Math.round(limiter),
      rateLimiterFlexibleAtOnce: best.atOnce,
      ratioToRateLimiterFlexible: rounded(acquires / limiter),
    };
  }

  private async limiterRound(atOnce: number, forMs: number): Promise<number> {
    this.signal.throwIfAborted();
    const asked = { postgresUrl: this.field.postgres.url, atOnce, forMs };
    const { acquires, tookMs } = await this.field.limiter.ask(asked, forMs);
    return (acquires * 1_000) / tookMs;
  }

  /** How many commits one connection gets to the disk; times the pairs seen in one, the most that one owner could do. */
  private async besideCommits(rounds: readonly Round[]): Promise<BenchResult> {
    const { field, plan, say } = this;
    const rates: number[] = [];
    for (let round = 0; round < plan.rounds; round += 1)
      rates.push(await commitsPerSecond(field.client, plan.commitsMs));
    const commits = median(rates);
    const cost = this.costOf(rounds);
    const pairs = cost.pairsPerTurn ?? cost.pairsPerCommit;
    const bound = Math.round(commits * pairs);
    say(
      `commits of one connection: ${Math.round(commits)}/s; times ${pairs} pairs in one turn of the ledger: at most ${bound} pairs/s`,
    );
    return { commitsPerSecond: Math.round(commits), ...cost, groupCommitBoundPairsPerSecond: bound };
  }

  private async overshoot(): Promise<BenchResult> {
    const { field, plan, signal, say } = this;
    const { inFlight } = CHOSEN;
    const found: Overshoot = await measureOvershoot(field, TIGHT, { inFlight, windows: plan.tightWindows, signal });
    const { overshoot, limit, windowMs, callsPerWindow, refused } = found;
    say(`limit ${limit} in ${windowMs} ms: windows had ${callsPerWindow.join(', ')} calls; ${refused} times refused`);
    // A limit that nobody reaches isn't kept by anybody's merit.
    if (refused === 0) throw new Error('nothing was refused, so nothing is shown of keeping the limit');
    return { overshoot, overshootLimit: limit, overshootWindowMs: windowMs, callsPerWindow };
  }
}

function isSame(a: Cell, b: Cell): boolean {
  return a.inFlight === b.inFlight && a.accounts === b.accounts;
}

function wantedFrom(given: BenchOptions['given'], quick: boolean): Wanted {
  const profileFolder = given['profile'] ?? null;
  const isOneCell = given['in-flight'] !== undefined || given['accounts'] !== undefined || profileFolder !== null;
  const inFlight = numberFrom(given, 'in-flight', CHOSEN.inFlight, MOST_IN_FLIGHT);
  const accounts = numberFrom(given, 'accounts', CHOSEN.accounts, Math.max(...ACCOUNTS));
  const every = IN_FLIGHT.flatMap((inFlight) => ACCOUNTS.map((accounts) => ({ inFlight, accounts })));
  return {
    cells: isOneCell
      ? [{ inFlight, accounts, requests: given['requests'] === 'lean' ? 'lean' : 'client' }]
      : quick
        ? QUICK_CELLS
        : [...every, LEAN],
    isOneCell,
    profileFolder,
  };
}

function numberFrom(given: BenchOptions['given'], name: string, otherwise: number, most: number): number {
  const value = given[name] === undefined ? otherwise : Number(given[name]);
  if (!Number.isInteger(value) || value < 1 || value > most)
    throw new Error(`--${name} must be a whole number from 1 to ${most}`);
  return value;
}
