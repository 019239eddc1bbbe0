import { Pool } from 'undici';
import type { Clock } from '#clock';
import type { ZendeskCrm } from '#contracts';
import type { ResponseBody } from '../domain/judge-response.js';
import type { StoredRequest } from '../write.store.js';
import type { Crm, CrmAnswer, Sending } from './crm.js';

/** Most of an answer that is read; 100 jobs of 100 items each stay below it. */
export const MAX_ANSWER_BYTES = 8_388_608;
const CONNECT_LIMIT_MS = 5_000;
const KEEP_ALIVE_MS = 30_000;

export interface UndiciCrmOptions {
  readonly crm: Pick<ZendeskCrm, 'baseUrl' | 'credential' | 'timeScale'>;
  /** The secret's current value; called for each request, so that a renewed token counts at once. */
  readonly secret: () => string;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly userAgent: string;
  /** Most calls at once; each has a connection of its own, so that none waits behind another. */
  readonly maxConnections: number;
}

/**
 * Zendesk over HTTP. The moment right before a request's first byte is written is told by undici (`onRequestStart`):
 * there the grant's validity is looked at once more, and from there on the call may have arrived.
 */
export class UndiciCrm implements Crm {
  readonly #pool: Pool;
  readonly #options: UndiciCrmOptions;
  readonly #prefix: string;

  constructor(options: UndiciCrmOptions) {
    const base = new URL(options.crm.baseUrl);
    this.#options = options;
    this.#prefix = base.pathname.replace(/\/$/, '');
    this.#pool = new Pool(base.origin, {
      connections: options.maxConnections,
      pipelining: 1,
      connect: { timeout: CONNECT_LIMIT_MS },
      keepAliveTimeout: KEEP_ALIVE_MS,
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  send(request: StoredRequest, sending: Sending): Promise<CrmAnswer> {
    let authorization: string;
    try {
      authorization = this.#authorization();
    } catch {
      const lost = { answer: 'lost', maybeArrived: false, sentAtMonoMs: null } as const;
      return Promise.resolve({ ...lost, reason: 'credential_unavailable' });
    }
    const options = this.#optionsOf(request, authorization);
    return new Promise((resolve) => new Exchange(this.#options.clock, sending, resolve).begin(this.#pool, options));
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }

  #optionsOf({ method, path, body, idempotencyKey }: StoredRequest, authorization: string) {
    const { crm, userAgent } = this.#options;
    return {
      method,
      path: `${this.#prefix}${path}`,
      body: body === null ? null : Buffer.from(body),
      headers: {
        accept: 'application/json',
        authorization,
        'user-agent': userAgent,
        ...(body === null ? {} : { 'content-type': 'application/json' }),
        ...(idempotencyKey === null ? {} : { 'idempotency-key': idempotencyKey }),
        ...(crm.timeScale === 1 ? {} : { 'x-simulator-caller': 'sluice' }),
      },
    } as const;
  }

  /** OAuth tokens as Bearer, API tokens as Basic `email/token:token` (docs/zendesk.md, "Credentials"). */
  #authorization(): string {
    const { credential } = this.#options.crm;
    const secret = this.#options.secret();
    switch (credential.kind) {
      case 'oauth':
        return `Bearer ${secret}`;
      case 'apiToken':
        return `Basic ${Buffer.from(`${credential.email}/token:${secret}`).toString('base64')}`;
      default:
        return credential satisfies never;
    }
  }
}

type DispatchOptions = Parameters<Pool['dispatch']>[0];
type Handler = Required<
  Pick<
    Parameters<Pool['dispatch']>[1],
    'onRequestStart' | 'onResponseStart' | 'onResponseData' | 'onResponseEnd' | 'onResponseError'
  >
>;
type Controller = Parameters<Handler['onRequestStart']>[0];
type Headers = Parameters<Handler['onResponseStart']>[2];

/** One request and its answer; resolves exactly once. */
class Exchange implements Handler {
  #controller: Controller | null = null;
  #sentAtMonoMs: number | null = null;
  #status = 0;
  #headers: Record<string, string> = {};
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #over = false;
  #timer: NodeJS.Timeout;

  constructor(
    private readonly clock: Pick<Clock, 'monotonicMs'>,
    private readonly sending: Sending,
    private readonly resolve: (answer: CrmAnswer) => void,
  ) {
    // Until the request starts, it can only become too late.
    const startWithinMs = Math.max(0, sending.notAfterMonoMs - clock.monotonicMs());
    this.#timer = setTimeout(() => this.#lose('too_late'), startWithinMs);
  }

  begin(pool: Pool, options: DispatchOptions): void {
    try {
      pool.dispatch(options, this);
    } catch {
      this.#lose('not_connected');
    }
  }

  onRequestStart(controller: Controller): void {
    if (this.#over || this.clock.monotonicMs() > this.sending.notAfterMonoMs) {
      this.#lose('too_late');
      throw new Error('the grant is no longer valid');
    }
    this.#controller = controller;
    this.#sentAtMonoMs ??= this.clock.monotonicMs();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#lose('timeout'), this.sending.timeoutMs);
  }

  onResponseStart(_controller: Controller, status: number, headers: Headers): void {
    if (status < 200) return;
    this.#status = status;
    for (const [name, value] of Object.entries(headers))
      if (value !== undefined) this.#headers[name.toLowerCase()] = Array.isArray(value) ? value.join(', ') : value;
  }

  onResponseData(_controller: Controller, chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes > MAX_ANSWER_BYTES) this.#lose('answer_too_large');
    else this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    const raw = Buffer.concat(this.#chunks);
    const response = { status: this.#status, headers: this.#headers, body: bodyOf(raw, this.#headers['content-type']) };
    const answeredAtMonoMs = this.clock.monotonicMs();
    this.#finish({
      answer: 'answered',
      response,
      raw,
      sentAtMonoMs: this.#sentAtMonoMs ?? answeredAtMonoMs,
      answeredAtMonoMs,
    });
  }

  onResponseError(): void {
    this.#lose(this.#sentAtMonoMs === null ? 'not_connected' : 'connection_lost');
  }

  #lose(reason: Extract<CrmAnswer, { answer: 'lost' }>['reason']): void {
    const sentAtMonoMs = this.#sentAtMonoMs;
    this.#finish({ answer: 'lost', reason, maybeArrived: sentAtMonoMs !== null, sentAtMonoMs });
  }

  #finish(answer: CrmAnswer): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.resolve(answer);
    if (answer.answer === 'lost') this.#controller?.abort(new Error(answer.reason));
  }
}

/** Looks at the content type before anything is parsed: refusals of proxies and of Zendesk's edge aren't JSON. */
export function bodyOf(raw: Uint8Array, contentType: string | undefined): ResponseBody {
  if (raw.length === 0) return { type: 'none' };
  const type = (contentType ?? '').split(';')[0]!.trim().toLowerCase();
  if (type === 'application/json' || type.endsWith('+json')) {
    try {
      return { type: 'json', value: JSON.parse(Buffer.from(raw).toString('utf8')) as unknown };
    } catch {
      return { type: 'unreadable', reason: 'not the JSON that its content type promises' };
    }
  }
  if (type.startsWith('text/')) return { type: 'text', text: Buffer.from(raw.subarray(0, 2_000)).toString('utf8') };
  return { type: 'unreadable', reason: `content type ${type === '' ? 'missing' : type}` };
}
