import { request } from 'undici';
import type { NatsConnection } from '@nats-io/transport-node';
import { type LimitStanding, subjects, type UsageAnswer } from '#contracts';
import { ACCOUNT } from './accounts.js';

/** How things stand right now, as the services themselves tell it. */
export interface Standing {
  readonly waiting: number;
  readonly underWay: number;
  readonly done: number;
  readonly parked: number;
  readonly leftThisMinute: number | null;
  readonly leftToday: number | null;
}

interface WriterStatus {
  readonly writes: Readonly<Record<'waiting' | 'claimed' | 'sent' | 'unknown' | 'done' | 'parked', number>>;
}

const ANSWER_WITHIN_MS = 2_000;

/** Asks the writer and the ledger how things stand; null while one of them doesn't answer. */
export async function standing(nc: NatsConnection, writerUrl: string): Promise<Standing | null> {
  try {
    const [{ body }, usage] = await Promise.all([
      request(`${writerUrl}/v1/accounts/${ACCOUNT}/status`, { headersTimeout: ANSWER_WITHIN_MS }),
      nc.request(subjects.usage(ACCOUNT), JSON.stringify({ per: 'minute' }), { timeout: ANSWER_WITHIN_MS }),
    ]);
    const { writes } = (await body.json()) as WriterStatus;
    const { limits } = usage.json<UsageAnswer>();
    return {
      waiting: writes.waiting,
      underWay: writes.claimed + writes.sent + writes.unknown,
      done: writes.done,
      parked: writes.parked,
      leftThisMinute: remaining(limits, 'minute'),
      leftToday: remaining(limits, 'day'),
    };
  } catch {
    return null;
  }
}

function remaining(limits: readonly LimitStanding[], name: string): number | null {
  return limits.find(({ limit }) => limit === name)?.remaining ?? null;
}

const SPAN_MS = 5_000;

/** Guesses from the last seconds how long what waits will take. */
export class Eta {
  readonly #seen: { readonly atMs: number; readonly done: number }[] = [];

  /** Null while nothing has moved. */
  guessMs(atMs: number, { waiting, underWay, done }: Standing): number | null {
    this.#seen.push({ atMs, done });
    while (this.#seen.length > 2 && this.#seen[0]!.atMs < atMs - SPAN_MS) this.#seen.shift();
    const first = this.#seen[0]!;
    const doneSince = done - first.done;
    if (waiting + underWay === 0) return 0;
    return doneSince === 0 ? null : ((waiting + underWay) * (atMs - first.atMs)) / doneSince;
  }
}

/** One line for people. */
export function progressLine(events: number, now: Standing | null, etaMs: number | null, note: string): string {
  if (now === null) return `events ${events}  …  ${note}`;
  const eta = etaMs === null ? '…' : `${Math.ceil(etaMs / 1000)} s`;
  const fields = [
    `events ${String(events).padStart(4)}`,
    `waiting ${String(now.waiting).padStart(4)}`,
    `under way ${String(now.underWay).padStart(3)}`,
    `done ${String(now.done).padStart(4)}`,
    ...(now.parked > 0 ? [`parked ${now.parked}`] : []),
    `left this minute ${String(now.leftThisMinute ?? '?').padStart(3)}, today ${String(now.leftToday ?? '?').padStart(4)}`,
    `ETA ${eta}`,
  ];
  return `${fields.join('  ')}  ${note}`;
}
