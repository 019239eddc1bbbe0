import type { AccountName, Parsed, Rejected } from '#contracts';
import { type RequestContext, RequestDoors, type RequestDoorsOptions } from '#jetstream';
import {
  parseAcquire,
  parseCancel,
  parseForecast,
  parseHold,
  parseObserve,
  parseRelease,
  parseSettle,
  parseUsage,
} from './domain/parse-requests.js';
import type { ForecastHandler } from './forecast.handler.js';
import type { LedgerOwner } from './ledger.owner.js';
import { type QuotaHandler, type QuotaRequest, UNAVAILABLE } from './quota.handler.js';
import type { UsageHandler } from './usage.handler.js';

export interface QuotaDoorsParts {
  readonly quota: QuotaHandler;
  readonly usages: UsageHandler;
  readonly forecasts: ForecastHandler;
  readonly owner: LedgerOwner;
}

/**
 * The quota protocol over NATS request/reply, for the accounts that this process decides for: bodies to requests, who asks
 * from the subject. Without a queue group: of an owner that stands still and the one that took over both hear a request, and
 * the one that can answers. Without Nest's pipeline: it would cost more than the decision (docs/decisions).
 */
export class QuotaDoors {
  private readonly doors: RequestDoors;
  private heard = new Set<AccountName>();

  constructor(
    private readonly parts: QuotaDoorsParts,
    options: RequestDoorsOptions,
  ) {
    this.doors = new RequestDoors(options);
  }

  /** From now on hears of exactly these accounts. */
  async hear(accounts: readonly AccountName[]): Promise<void> {
    const wanted = new Set(accounts);
    const before = this.heard;
    this.heard = wanted;
    for (const account of wanted)
      if (!before.has(account)) this.doors.open(subjectOf(account), (body, context) => this.answer(body, context));
    await Promise.all([...before].filter((one) => !wanted.has(one)).map((one) => this.doors.close(subjectOf(one))));
  }

  /** Closes all doors, after what is being answered. */
  close(): Promise<void> {
    this.heard = new Set();
    return this.doors.close();
  }

  private answer(body: unknown, { tokens }: RequestContext): unknown {
    const [, , account = '', whose = '', verb] = tokens;
    if (verb === undefined) return this.tell(account, whose, body);
    const request = requestOf(verb, body);
    return 'answer' in request ? request : this.parts.quota.ask({ account, integration: whose }, request);
  }

  private tell(account: AccountName, what: string, body: unknown): unknown {
    const { owner, usages, forecasts } = this.parts;
    if (what === 'forecast') return told(parseForecast(body), (query) => forecasts.forecast(account, query));
    if (what !== 'usage') return NO_SUCH_REQUEST;
    const store = owner.current();
    return store ? told(parseUsage(body, instantOf), (query) => usages.usage(account, query)) : UNAVAILABLE;
  }
}

function subjectOf(account: AccountName): string {
  return `quota.v1.${account}.>`;
}

function requestOf(verb: string, body: unknown): QuotaRequest | Rejected {
  switch (verb) {
    case 'acquire':
      return request(verb, parseAcquire(body));
    case 'settle':
      return request(verb, parseSettle(body));
    case 'cancel':
      return request(verb, parseCancel(body));
    case 'hold':
      return request(verb, parseHold(body));
    case 'release':
      return request(verb, parseRelease(body));
    case 'observe':
      return request(verb, parseObserve(body));
    default:
      return NO_SUCH_REQUEST;
  }
}

function request<Verb extends QuotaRequest['verb']>(
  verb: Verb,
  parsed: Parsed<Extract<QuotaRequest, { verb: Verb }>['body']>,
): QuotaRequest | Rejected {
  return parsed.ok ? ({ verb, body: parsed.value } as QuotaRequest) : invalid(parsed.reason);
}

function told<T>(parsed: Parsed<T>, answer: (query: T) => unknown): unknown {
  return parsed.ok ? answer(parsed.value) : invalid(parsed.reason);
}

function invalid(message: string): Rejected {
  return { answer: 'rejected', code: 'invalid_request', message };
}

const NO_SUCH_REQUEST: Rejected = {
  answer: 'rejected',
  code: 'invalid_request',
  message: 'there is no such request; docs/protocol.md tells which there are',
};

function instantOf(iso: string): number | null {
  const epochMs = Date.parse(iso);
  return Number.isNaN(epochMs) ? null : epochMs;
}
