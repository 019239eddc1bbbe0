import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Clock } from '#clock';
import type { AccountName, AcquireRequest, Granted } from '#contracts';
import { silentLog } from '#telemetry';
import { VirtualTime } from '../../../test/simulation/virtual-time.js';
import { ApplyAccountsHandler } from './apply-accounts.handler.js';
import { demoConfig, MINUTE_START } from './domain/demo-books.fixture.spec.js';
import { PARTITIONS, partitionOf } from './domain/partition.js';
import { LedgerOwner, STALLED_MS } from './ledger.owner.js';
import { type QuotaAnswer, QuotaHandler, UNAVAILABLE } from './quota.handler.js';
import { SimulatedLedgerStore, SimulatedTables } from './simulated.ledger-store.js';

const SECOND_MS = 1_000;
const ASK_AGAIN_MS = 50;
/** Longest that a client asks again without being decided about. */
const PATIENCE_MS = 15_000;

/** One account in each partition. */
const ACCOUNTS: readonly AccountName[] = Array.from({ length: PARTITIONS }, (_, partition) => {
  for (let n = 0; ; n += 1) if (partitionOf(`a${n}`) === partition) return `a${n}`;
});

function configOf(name: AccountName, max = 1_000) {
  return { ...demoConfig([{ max }]), name };
}

/** Enough of the event loop for everything that waits for no clock. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 100; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** A process: the real owner and the real handler, with doors that a test asks at. */
class Replica {
  readonly handler: QuotaHandler;
  readonly owner: LedgerOwner;
  readonly announced: AccountName[] = [];
  heard: ReadonlySet<AccountName> = new Set();
  isSteward = false;
  isReachable = true;
  store: SimulatedLedgerStore | null = null;
  failLoads: (partition: number) => boolean = () => false;
  readonly relaying = new Set<number>();
  private paused: Promise<void> | null = null;
  private readonly clock: Clock;

  constructor(
    readonly name: string,
    private readonly world: World,
  ) {
    const { clock } = world.time;
    this.clock = {
      ...clock,
      sleep: async (ms, signal) => {
        await clock.sleep(ms, signal);
        await this.paused;
      },
    };
    this.handler = new QuotaHandler(this.clock, silentLog);
    const announcer = {
      announce: () => undefined,
      announceTakeover: (accounts: readonly { readonly config: { readonly name: string } }[]) =>
        void this.announced.push(...accounts.map(({ config }) => config.name)),
      forget: () => undefined,
    };
    const accounts = new ApplyAccountsHandler(() => this.owner, this.handler, announcer, silentLog);
    const stores = { open: async () => (this.store = this.open()) };
    const relayOf = (partition: number) => ({
      start: () => void this.relaying.add(partition),
      stop: async () => void this.relaying.delete(partition),
    });
    this.owner = new LedgerOwner(
      { stores, quota: this.handler, accounts, announcer, relayOf, clock: this.clock, log: silentLog },
      { accountsFile: '', accountsForce: false, retention: { journalMs: 0, minutesMs: 0, daysMs: 0 } },
    );
  }

  private open(): SimulatedLedgerStore {
    const store = new SimulatedLedgerStore(this.world.tables, { nowMs: () => this.world.nowMs() });
    const load = store.load.bind(store);
    store.load = (partition, accounts) =>
      this.failLoads(partition) ? Promise.reject(new Error('it cannot be read')) : load(partition, accounts);
    return store;
  }

  async start(): Promise<this> {
    this.owner.start();
    await this.owner.useDoors({
      hear: async (accounts, steward) => {
        this.heard = new Set(accounts);
        this.isSteward = steward;
      },
      reachable: async () => this.isReachable,
    });
    return this;
  }

  /** Stands still: nothing of it goes on before `resume`, which is called with what it returns. */
  pause(): () => void {
    let resume = (): void => undefined;
    this.paused = new Promise((resolve) => (resume = resolve));
    return () => {
      this.paused = null;
      resume();
    };
  }

  get isPaused(): boolean {
    return this.paused !== null;
  }

  async answer(account: AccountName, body: AcquireRequest): Promise<QuotaAnswer> {
    await this.paused;
    return this.handler.ask({ account, integration: 'ccai' }, { verb: 'acquire', body });
  }
}

/** Replicas on the same tables, and clients that ask whoever hears them, as over NATS. */
class World {
  readonly time = new VirtualTime(MINUTE_START);
  readonly tables = new SimulatedTables();
  readonly replicas: Replica[] = [];
  databaseAheadMs = 0;
  /** How long a request waited for its decision at most, ms. */
  longestMs = 0;

  nowMs(): number {
    return Math.floor(this.time.nowMs) + this.databaseAheadMs;
  }

  async declare(accounts: readonly AccountName[] = ACCOUNTS, version = 1, max?: number): Promise<void> {
    const store = new SimulatedLedgerStore(this.tables, { nowMs: () => this.nowMs() });
    await store.addVersions(
      accounts.map((name) => ({ version, origin: 'file', config: configOf(name, max) })),
      0,
    );
    store.end();
  }

  async start(name: string): Promise<Replica> {
    const replica = new Replica(name, this);
    this.replicas.push(replica);
    return replica.start();
  }

  /** Everybody who hears is asked; the first answer counts. Asked again until something is decided. */
  async acquire(account: AccountName, requestId: string): Promise<QuotaAnswer> {
    const { clock } = this.time;
    const body = {
      requestId,
      kind: 'other' as const,
      calls: { min: 1, max: 1 },
      priority: 'normal' as const,
      waitMs: 0,
    };
    const beganMs = this.time.nowMs;
    while (this.time.nowMs - beganMs < PATIENCE_MS) {
      const hearing = this.replicas.filter(({ heard }) => heard.has(account));
      const late = clock.sleep(2 * SECOND_MS).then(() => UNAVAILABLE);
      const answer =
        hearing.length > 0
          ? await Promise.race([late, ...hearing.map((one) => one.answer(account, body))])
          : UNAVAILABLE;
      this.longestMs = Math.max(this.longestMs, this.time.nowMs - beganMs);
      if (answer.answer !== 'unavailable') return answer;
      await clock.sleep(ASK_AGAIN_MS);
    }
    throw new Error(`nobody decided ${requestId} of ${account}`);
  }

  /** Has every account ask steadily for a while; all answers by request. */
  async load(forMs: number, everyMs = 100): Promise<Map<string, QuotaAnswer>> {
    const asked: Promise<void>[] = [];
    const answers = new Map<string, QuotaAnswer>();
    const untilMs = this.time.nowMs + forMs;
    for (let atMs = this.time.nowMs; atMs < untilMs; atMs += everyMs)
      this.time.at(atMs, () => {
        for (const account of ACCOUNTS) {
          const requestId = `${account}-${atMs}`;
          asked.push(this.acquire(account, requestId).then((answer) => void answers.set(requestId, answer)));
        }
      });
    await this.pass(forMs + PATIENCE_MS + SECOND_MS);
    await Promise.all(asked);
    return answers;
  }

  /** Time passes; whatever is under way gets its turns of the event loop. */
  async pass(ms: number): Promise<void> {
    void this.time.outside(new Promise(() => undefined));
    await turns();
    await this.time.runUntil(this.time.nowMs + ms);
    await turns();
  }

  grantsTold(): { readonly grantId: string; readonly requestId: string }[] {
    return this.tables.events().flatMap(({ event, entries }) => (event === 'granted' ? (entries as never[]) : []));
  }
}

describe("the ledger's owner", () => {
  let world: World;
  beforeEach(async () => {
    world = new World();
    await world.declare();
  });

  const sizes = (): number[] => world.replicas.map(({ handler }) => handler.owned().length);
  const sizesInOrder = (): number[] => sizes().toSorted((a, b) => a - b);

  /** Each account is heard by exactly one, who decides for it. */
  const expectEachHeardOnce = (): void => {
    for (const account of ACCOUNTS)
      expect([account, world.replicas.filter(({ heard }) => heard.has(account)).length]).toEqual([account, 1]);
    for (const { heard, handler, relaying } of world.replicas) {
      expect([...heard].toSorted()).toEqual(handler.accounts().toSorted());
      expect(relaying).toEqual(new Set(handler.owned()));
    }
    expect(world.replicas.filter(({ isSteward }) => isSteward)).toHaveLength(1);
  };

  /** Every request was granted, once, whoever was asked how often; and nothing else was. */
  const expectGrantedOnce = (answers: ReadonlyMap<string, QuotaAnswer>): void => {
    const told = world.grantsTold();
    expect(new Set(told.map(({ grantId }) => grantId)).size).toBe(told.length);
    const byRequest = new Map(told.map(({ requestId, grantId }) => [requestId, grantId]));
    expect(byRequest.size).toBe(told.length);
    expect(answers.size).toBe(byRequest.size);
    for (const [requestId, answer] of answers) expect((answer as Granted).grantId).toBe(byRequest.get(requestId));
  };

  it('takes everything where it is alone, and announces all accounts', async () => {
    const one = await world.start('one');
    await world.pass(SECOND_MS);
    expect(sizes()).toEqual([PARTITIONS]);
    expectEachHeardOnce();
    expect(one.announced.toSorted()).toEqual([...ACCOUNTS].toSorted());
    expect(one.owner.check()).toBeNull();
  });

  it('leaves half to a second, one partition at a time, and no request is lost', async () => {
    await world.start('one');
    await world.pass(SECOND_MS);
    const least: number[] = [];
    world.time.at(world.time.nowMs + 500, () => void world.start('two'));
    for (let atMs = 0; atMs < 5_000; atMs += 10)
      world.time.at(world.time.nowMs + atMs, () => least.push(sizes().reduce((sum, size) => sum + size, 0)));
    expectGrantedOnce(await world.load(6 * SECOND_MS));
    expect(sizes()).toEqual([4, 4]);
    expectEachHeardOnce();
    expect(Math.min(...least)).toBeGreaterThanOrEqual(PARTITIONS - 1);
    expect(world.longestMs).toBeLessThan(SECOND_MS);
  });

  it('shares evenly among three, and takes back what one leaves that stops', async () => {
    for (const name of ['one', 'two', 'three']) await world.start(name);
    await world.pass(5 * SECOND_MS);
    expect(sizesInOrder()).toEqual([2, 3, 3]);
    expectEachHeardOnce();
    world.time.at(world.time.nowMs + 200, () => void world.replicas[1]!.owner.stop());
    expectGrantedOnce(await world.load(3 * SECOND_MS));
    expect(world.replicas[1]!.handler.owned()).toEqual([]);
    expect(sizesInOrder()).toEqual([0, 4, 4]);
    expectEachHeardOnce();
    expect(world.longestMs).toBeLessThan(SECOND_MS);
  });

  it('takes over from one whose session ended, which joins again', async () => {
    const one = await world.start('one');
    await world.start('two');
    await world.pass(5 * SECOND_MS);
    const lost = one.store!;
    world.time.at(world.time.nowMs + 550, () => lost.end());
    expectGrantedOnce(await world.load(3 * SECOND_MS));
    expect(one.store).not.toBe(lost);
    expect(sizes()).toEqual([4, 4]);
    expectEachHeardOnce();
    expect(world.longestMs).toBeLessThan(SECOND_MS);
  });

  it('fences one that stands still, which answers nothing from before when it goes on, and joins again', async () => {
    const one = await world.start('one');
    await world.start('two');
    await world.pass(5 * SECOND_MS);
    const stoppedAtMs = world.time.nowMs + 550;
    let resume = (): void => undefined;
    world.time.at(stoppedAtMs, () => (resume = one.pause()));
    world.time.at(stoppedAtMs + 10 * SECOND_MS, () => resume());
    expectGrantedOnce(await world.load(13 * SECOND_MS));
    expect(world.longestMs).toBeLessThan(STALLED_MS + 4 * SECOND_MS);
    expect(sizes()).toEqual([4, 4]);
    expectEachHeardOnce();
  });

  it('does not answer what needs no commit before it knows that it is still the owner', async () => {
    const one = await world.start('one');
    const two = await world.start('two');
    await world.pass(5 * SECOND_MS);
    const account = one.handler.accounts()[0]!;
    const resume = one.pause();
    await world.pass(STALLED_MS + 3 * SECOND_MS);
    expect(two.handler.accounts()).toContain(account);
    const asking = world.acquire(account, 'granted by the next owner');
    await world.pass(SECOND_MS);
    const { grantId } = (await asking) as Granted;
    const body = { requestId: 's', grantId, used: [], returned: 1 };
    const late = one.handler.ask({ account, integration: 'ccai' }, { verb: 'settle', body });
    resume();
    await world.pass(SECOND_MS);
    expect(await late).toMatchObject({ answer: 'unavailable' });
  });

  it('fences one that stands still before it owns anything, as a part would be left to it', async () => {
    await world.start('one');
    await world.pass(SECOND_MS);
    // Counted, as its session lives; owns nothing and never asks anything.
    const member = new SimulatedLedgerStore(world.tables, { nowMs: () => world.nowMs() });
    await world.pass(3 * SECOND_MS);
    expect(sizes()).toEqual([4]);
    await world.pass(STALLED_MS);
    expect(member.ended.aborted).toBe(true);
    expect(sizes()).toEqual([PARTITIONS]);
  });

  it('ends nobody because a database was set to another time', async () => {
    await world.start('one');
    await world.start('two');
    await world.pass(5 * SECOND_MS);
    const stores = world.replicas.map(({ store }) => store);
    for (const stepMs of [3_600_000, -3_600_000]) {
      world.databaseAheadMs += stepMs;
      await world.pass(5 * SECOND_MS);
    }
    expect(world.replicas.map(({ store }) => store)).toEqual(stores);
    expect(world.replicas[0]!.owner.check()).toMatch(/set back: no window passes for 3\d\d\d s/);
  });

  it('leaves a partition that it cannot read to others, and takes the rest', async () => {
    const one = new Replica('one', world);
    world.replicas.push(one);
    one.failLoads = (partition) => partition === 3;
    await one.start();
    await world.pass(2 * SECOND_MS);
    expect(one.handler.owned()).toEqual([0, 1, 2, 4, 5, 6, 7]);
    expect(world.tables.owners.has(3)).toBe(false);
    const two = await world.start('two');
    await world.pass(8 * SECOND_MS);
    expect(two.handler.owned()).toContain(3);
    expectEachHeardOnce();
    one.failLoads = () => false;
    await two.owner.stop();
    await world.pass(8 * SECOND_MS);
    expect(sizes()).toEqual([PARTITIONS, 0]);
    expectEachHeardOnce();
  });

  it('leaves everything to others while NATS cannot reach it, but not where there are none', async () => {
    const one = await world.start('one');
    await world.pass(SECOND_MS);
    one.isReachable = false;
    await world.pass(10 * SECOND_MS);
    expect(sizes()).toEqual([PARTITIONS]);
    await world.start('two');
    await world.pass(10 * SECOND_MS);
    expect(sizes()).toEqual([0, PARTITIONS]);
    expect(one.owner.check()).toContain('NATS');
    one.isReachable = true;
    await world.pass(5 * SECOND_MS);
    expect(sizes()).toEqual([4, 4]);
    expect(one.owner.check()).toBeNull();
    expectEachHeardOnce();
  });

  it('has everybody take new versions over, whoever stored them, also while partitions move', async () => {
    await world.start('one');
    await world.pass(SECOND_MS);
    world.time.at(world.time.nowMs + 100, () => void world.start('two'));
    for (let version = 2; version <= 12; version += 1)
      world.time.at(world.time.nowMs + 130 * version, () => void world.declare(ACCOUNTS, version, 1_000 + version));
    await world.pass(6 * SECOND_MS);
    for (const { handler } of world.replicas)
      for (const account of handler.accounts()) expect(handler.booksOf(account)!.version).toBe(12);
    expect(sizes()).toEqual([4, 4]);
    expectEachHeardOnce();
    const applied = world.tables.events().filter(({ event }) => event === 'applied');
    for (const account of ACCOUNTS) {
      const versions = applied
        .filter((one) => one.account === account)
        .flatMap(({ entries }) => entries.map((entry) => (entry as { version: number }).version));
      expect(versions).toEqual([...new Set(versions)].toSorted((a, b) => a - b));
    }
  });

  it('has one steward at a time: who takes its partition announces, and who lost it applies nothing', async () => {
    const one = await world.start('one');
    const two = await world.start('two');
    await world.pass(5 * SECOND_MS);
    expect([one.isSteward, two.isSteward]).toEqual([true, false]);
    const lost = one.store!;
    const resume = one.pause();
    await world.pass(STALLED_MS + 3 * SECOND_MS);
    expect(two.isSteward).toBe(true);
    expect(two.announced.toSorted()).toEqual([...ACCOUNTS].toSorted());
    await expect(lost.addVersions([{ version: 2, origin: 'operator', config: configOf('late') }], 0)).rejects.toThrow(
      'the session has ended',
    );
    resume();
    await world.pass(5 * SECOND_MS);
    expect(world.replicas.filter(({ isSteward }) => isSteward)).toHaveLength(1);
    expectEachHeardOnce();
  });
});
