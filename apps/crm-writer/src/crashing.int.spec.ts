import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { systemClock } from '#clock';
import { type WrittenAccount, type Command, parseOutcome } from '#contracts';
import { comment, config, inAccount, NOBODY, ticket } from '../test/commands.js';
import { type RunningWriter, type Seams, startWriter } from '../test/running-writer.js';
import { SmallCrm } from '../test/small-crm.js';
import { type WriterDatabase, writerDatabase } from '../test/writer-database.js';
import { PostgresWriteStore } from './postgres.write-store.js';

/** Where a writer meets the outside with an effect: a crash is tried before each. */
const EFFECTS = new Set<string | symbol>([
  'askForPlace',
  'claim',
  'claimAgain',
  'claimContact',
  'record',
  'recordContact',
  'askedItem',
  'askedJobs',
  'polled',
  'freeContacts',
  'holdsReleased',
  'abandonSent',
  'acquire',
  'settle',
  'release',
  'send',
]);
const AT_ONCE = 10;
/** Far beyond the number of points in any scenario here. */
const MOST_POINTS = 200;

const never = new Promise<never>(() => undefined);

/** Lets a writer die at its n-th point: that call, and every later one, never comes back. */
class Crash {
  #points = 0;
  happened = false;

  constructor(private readonly at: number) {}

  through = (seams: Seams): Seams => ({
    store: this.#wrap(seams.store),
    quota: this.#wrap(seams.quota),
    crm: this.#wrap(seams.crm),
  });

  #wrap<T extends object>(target: T): T {
    return new Proxy(target, {
      get: (from, name) => {
        const member = from[name as keyof T];
        if (typeof member !== 'function') return member;
        return async (...args: unknown[]): Promise<unknown> => {
          if (this.#dies(EFFECTS.has(name))) return never;
          const result: unknown = await (member as (...given: unknown[]) => unknown).apply(from, args);
          // After a store's commit is before the next effect; after the CRM's is where an answer gets lost.
          if (this.#dies(name === 'send')) return never;
          return result;
        };
      },
    });
  }

  #dies(isPoint: boolean): boolean {
    if (isPoint) this.#points += 1;
    this.happened ||= this.#points >= this.at;
    return this.happened;
  }
}

interface Scenario {
  readonly changed: Partial<WrittenAccount>;
  readonly commands: () => Command[];
  /** What the CRM does wrong. */
  readonly crm?: (crm: SmallCrm) => void;
}

describe('a writer killed at any moment', () => {
  let database: WriterDatabase;
  let store: PostgresWriteStore;

  beforeAll(async () => {
    database = await writerDatabase('crashing spec', 20);
    store = database.store;
  });

  afterAll(async () => {
    await database?.drop();
  });

  async function untilFinal(account: string, writer: RunningWriter | null, crash: Crash | null): Promise<boolean> {
    const untilMs = performance.now() + 30_000;
    while (performance.now() < untilMs) {
      const { states } = await store.counts(account);
      if (Object.keys(states).every((state) => ['done', 'parked', 'lapsed'].includes(state))) return true;
      if (crash?.happened) return false;
      await systemClock.sleep(10);
    }
    throw new Error(
      `${account} hangs: ${JSON.stringify((await store.counts(account)).states)} ${writer?.writer.closedFor?.reason ?? ''}`,
    );
  }

  /** Plays a scenario with crashes at the given points, one writer after the other, then one that lives. How many crashed. */
  async function play(
    account: string,
    commands: Command[],
    { changed, crm: arrange = () => undefined }: Omit<Scenario, 'commands'>,
    crashes: number[],
  ): Promise<number> {
    const crm = new SmallCrm();
    arrange(crm);
    const base = config(await crm.listen(), { ...changed, name: account });
    const fast = { ...base, crm: { ...base.crm, requestTimeoutMs: 150 } };
    let crashed = 0;
    try {
      await store.takeIn(commands);
      for (const at of crashes) {
        const crash = new Crash(at);
        const writer = startWriter(fast, store, { validForMs: 150 }, crash.through);
        await untilFinal(account, writer, crash);
        if (crash.happened) crashed += 1;
        await writer.abandon();
      }
      const last = startWriter(fast, store, { validForMs: 150 });
      await untilFinal(account, last, null);
      await last.stop();
      await expectOnce(account, crm, commands);
    } finally {
      await crm.close();
    }
    return crashed;
  }

  /** Every command done, announced once, and to be seen at the CRM exactly once; one ticket each, one user per phone. */
  async function expectOnce(account: string, crm: SmallCrm, commands: Command[]): Promise<void> {
    const texts = [...crm.tickets.values()].flatMap(({ comments }) =>
      comments.flatMap(({ body }) => body.split('\n\n')),
    );
    const wanted = commands.flatMap(({ data: { action } }) => ('body' in action ? [action.body] : []));
    expect(texts.toSorted()).toEqual(wanted.toSorted());
    const tickets = [...crm.tickets.values()].map(({ external_id: id }) => id);
    expect(new Set(tickets).size).toBe(tickets.length);
    const phones = crm.users.map(({ phone }) => phone);
    expect(new Set(phones).size).toBe(phones.length);
    const { rows } = await database.pool.query<{ payload: Buffer }>('SELECT payload FROM outbox WHERE msg_id LIKE $1', [
      `${account}.%`,
    ]);
    const announced = rows.map(({ payload }) => {
      const outcome = parseOutcome(payload);
      return outcome.ok ? `${outcome.value.data.commandId} ${outcome.value.type}` : outcome.reason;
    });
    expect(announced.toSorted()).toEqual(commands.map(({ id }) => `${id} done`).toSorted());
  }

  const contact = { ...NOBODY, phone: '+4930123456', name: 'Someone' };
  const scenarios: Record<string, Scenario> = {
    singly: {
      changed: { batching: 'off' },
      commands: () => [
        ticket('call-1', { contact }),
        comment('call-1', 'public', true),
        comment('call-1', 'internal'),
        ticket('chat-1'),
      ],
    },
    'in bulk': {
      changed: { batching: 'always' },
      commands: () => [
        ticket('call-1'),
        ticket('call-2'),
        comment('call-1', 'public 1', true),
        comment('call-2', 'public 2', true),
      ],
    },
    'a job whose end nobody knows': {
      changed: { batching: 'always' },
      // Enough of them that one export finds what the job that failed has made.
      commands: () => Array.from({ length: 11 }, (_, i) => ticket(`call-${i}`)),
      crm: (crm) => {
        let fates = 0;
        crm.jobFate = () =>
          fates++ === 0 ? { status: 'failed', does: ({ external_id: id }) => !String(id).endsWith('5') } : null;
      },
    },
    'changes whose job nobody knows': {
      changed: { batching: 'always' },
      commands: () =>
        ['call-1', 'call-2', 'call-3', 'call-4'].flatMap((id) => [ticket(id), comment(id, `public of ${id}`, true)]),
      crm: (crm) => {
        let lost = 0;
        crm.fault = ({ path }) => (path.endsWith('update_many') && lost++ === 0 ? 'lost after' : null);
      },
    },
    appending: {
      changed: { batching: 'off' },
      commands: () => [
        ticket('call-1', { contact, mode: 'append', queuePath: 'q' }),
        ticket('call-2', { contact, mode: 'append', queuePath: 'q', body: 'opening of the second' }),
      ],
    },
  };

  it.each(Object.keys(scenarios))(
    'while writing %s leaves nothing lost and nothing doubled',
    async (name) => {
      const { commands, ...scenario } = scenarios[name]!;
      let beyond = false;
      for (let at = 1; at < MOST_POINTS && !beyond; at += AT_ONCE) {
        const points = Array.from({ length: AT_ONCE }, (_, i) => at + i);
        const crashed = await Promise.all(
          points.map((point) => {
            const account = `${name.replaceAll(' ', '-')}-${point}`;
            return play(
              account,
              commands().map((one) => inAccount(account, one)),
              scenario,
              [point],
            );
          }),
        );
        beyond = crashed.includes(0);
      }
      expect(beyond).toBe(true);
    },
    240_000,
  );

  it('several times in a row leaves nothing lost and nothing doubled', async () => {
    const points = [
      [3, 2, 5],
      [7, 4, 1],
      [9, 9, 9],
      [12, 3, 6],
      [5, 11, 2],
      [15, 8, 4],
    ];
    await Promise.all(
      points.map((crashes, i) => {
        const { commands, ...scenario } = scenarios[i % 2 === 0 ? 'singly' : 'in bulk']!;
        const account = `often-${i}`;
        return play(
          account,
          commands().map((one) => inAccount(account, one)),
          scenario,
          crashes,
        );
      }),
    );
    expect(points).toHaveLength(6);
  }, 60_000);
});
