import type { Msg, NatsConnection } from '@nats-io/transport-node';
import type { AcquireAnswer, AcquireRequest, SettleAnswer, SettleRequest } from '#contracts';
import { type Ask, type LaneTimes, RequestLanes, type Requests } from './request-lanes.js';

/** Who answers: the ledger on its own subjects, or the echo on subjects of the same shape. */
export type Answerer = 'quota' | 'echo0';

/** The integration that the sender asks as. Its account is the one in the subject. */
export const INTEGRATION = 'ccai';

export interface PairsWanted {
  readonly answerer: Answerer;
  readonly accounts: readonly string[];
  readonly inFlight: number;
  readonly forMs: number;
  /** Default `client`. */
  readonly requests?: Requests | undefined;
  readonly signal: AbortSignal;
}

/** Newest answers of the ledger, as they came: what the echo is to answer. */
export interface SampleAnswers {
  acquire: Uint8Array;
  settle: Uint8Array;
}

type Least<T, K extends keyof T> = Pick<T, K>;

/** Sends quota requests as small as the protocol allows, and reads every answer. What it does is the same for either answerer. */
export class QuotaSender {
  readonly samples: SampleAnswers = { acquire: new Uint8Array(), settle: new Uint8Array() };
  /** Bytes of the newest request of each verb. */
  readonly requestBytes = { acquire: 0, settle: 0 };
  readonly #lanes: RequestLanes;
  readonly #subjects = new Map<string, { readonly acquire: string; readonly settle: string }>();
  #ids = 0;

  constructor(nc: NatsConnection, inbox: string) {
    this.#lanes = new RequestLanes(nc, inbox);
  }

  /** Acquires one call and settles it as used, again and again; the times are of both requests. */
  async pairs(wanted: PairsWanted): Promise<LaneTimes & { readonly pairs: number }> {
    const { answerer, accounts, inFlight, forMs } = wanted;
    const subjects = accounts.map((account) => this.#subjectsOf(answerer, account));
    const untilMs = performance.now() + forMs;
    const chosen = new Int32Array(inFlight);
    const settling = new Uint8Array(inFlight);
    let begun = 0;
    let pairs = 0;
    const step = (lane: number, answer: Msg | null): Ask | null => {
      if (answer !== null && settling[lane] === 0) {
        settling[lane] = 1;
        return this.#settle(subjects[chosen[lane]!]!.settle, this.#grantIn(answer, answerer));
      }
      if (answer !== null) {
        this.#checkSettled(answer, answerer);
        pairs += 1;
      }
      if (performance.now() >= untilMs) return null;
      settling[lane] = 0;
      chosen[lane] = begun % subjects.length;
      begun += 1;
      return this.#acquire(subjects[chosen[lane]]!.acquire);
    };
    const times = await this.#lanes.run(inFlight, step, wanted);
    return { ...times, pairs };
  }

  /** Acquires only, on one account; returns what was granted, which is still to be settled. */
  async acquires(
    account: string,
    wanted: Omit<PairsWanted, 'accounts' | 'answerer'>,
  ): Promise<LaneTimes & { readonly grants: string[] }> {
    const subject = this.#subjectsOf('quota', account).acquire;
    const untilMs = performance.now() + wanted.forMs;
    const grants: string[] = [];
    const step = (_lane: number, answer: Msg | null): Ask | null => {
      if (answer !== null) grants.push(this.#grantIn(answer, 'quota'));
      return performance.now() >= untilMs ? null : this.#acquire(subject);
    };
    const times = await this.#lanes.run(wanted.inFlight, step, wanted);
    return { ...times, grants };
  }

  /** Settles grants of one call as used. */
  async settle(account: string, grants: readonly string[], inFlight: number, signal: AbortSignal): Promise<void> {
    const subject = this.#subjectsOf('quota', account).settle;
    let next = 0;
    const step = (_lane: number, answer: Msg | null): Ask | null => {
      if (answer !== null) this.#checkSettled(answer, 'quota');
      const grant = grants[next];
      next += 1;
      return grant === undefined ? null : this.#settle(subject, grant);
    };
    await this.#lanes.run(inFlight, step, { signal });
  }

  #acquire(subject: string): Ask {
    const request = { requestId: this.#id(), kind: 'other', calls: { min: 1, max: 1 } } satisfies Least<
      AcquireRequest,
      'requestId' | 'kind' | 'calls'
    >;
    const body = JSON.stringify(request);
    this.requestBytes.acquire = body.length;
    return { subject, body };
  }

  #settle(subject: string, grantId: string): Ask {
    const request = { requestId: this.#id(), grantId, used: [{ sentAgoMs: 0, answeredAgoMs: 0 }] } satisfies Least<
      SettleRequest,
      'requestId' | 'grantId' | 'used'
    >;
    const body = JSON.stringify(request);
    this.requestBytes.settle = body.length;
    return { subject, body };
  }

  #grantIn(msg: Msg, answerer: Answerer): string {
    const answer = read<AcquireAnswer>(msg);
    if (answer.answer !== 'granted') throw new Error(`not granted: ${JSON.stringify(answer)}`);
    if (answerer === 'quota') this.samples.acquire = msg.data;
    return answer.grantId;
  }

  #checkSettled(msg: Msg, answerer: Answerer): void {
    const answer = read<SettleAnswer>(msg);
    if (answer.answer !== 'settled' || answer.used !== 1)
      throw new Error(`not settled as used: ${JSON.stringify(answer)}`);
    if (answerer === 'quota') this.samples.settle = msg.data;
  }

  #subjectsOf(answerer: Answerer, account: string): { readonly acquire: string; readonly settle: string } {
    const key = `${answerer}.v1.${account}.${INTEGRATION}`;
    let subjects = this.#subjects.get(key);
    if (subjects === undefined) {
      subjects = { acquire: `${key}.acquire`, settle: `${key}.settle` };
      this.#subjects.set(key, subjects);
    }
    return subjects;
  }

  #id(): string {
    this.#ids += 1;
    return this.#ids.toString(36);
  }
}

function read<T>({ data, subject }: Msg): T {
  if (data.length === 0) throw new Error(`nobody answers (${subject})`);
  return JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.length).toString('latin1')) as T;
}
