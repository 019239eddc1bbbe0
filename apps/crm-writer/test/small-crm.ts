import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A ticket as the small CRM below keeps it. */
export interface Ticket {
  id: number;
  external_id?: string | undefined;
  requester_id?: number;
  tags: string[];
  closed: boolean;
  updated_at: string;
  via_followup_source_id?: number;
  comments: { body: string; public: boolean }[];
  audits: { metadata: { custom: unknown } }[];
}

/** A call as it arrived. */
export interface Call {
  readonly method: string;
  readonly path: string;
  readonly key: string | undefined;
  readonly body: string;
}

/** What to do instead of answering: nothing at all, after the effect or before; or another answer. */
export type Fault = 'lost before' | 'lost after' | { status: number; body: unknown; headers?: Record<string, string> };

type Json = Record<string, unknown>;

/** As much of Zendesk as these tests need, over real HTTP. */
export class SmallCrm {
  readonly tickets = new Map<number, Ticket>();
  readonly users: { id: number; phone?: string; external_id?: string; updated_at: string }[] = [];
  readonly jobs = new Map<
    string,
    { tickets: Json[]; kind: 'create' | 'update'; results: unknown[] | null; ended?: string }
  >();
  readonly calls: Call[] = [];
  /** Asked for every call, before it is done. */
  fault: (call: Call) => Fault | null = () => null;
  jobItemFault: (ticket: Json) => string | null = () => null;
  /** Told of a job when it is asked for: it ends so, without results, after it did the items let through here. */
  jobFate: (tickets: readonly Json[]) => { status: string; does: (ticket: Json) => boolean } | null = () => null;
  exportPage = 1_000;
  readonly #keys = new Map<string, unknown>();
  #nextId = 100;
  #server: Server;

  constructor() {
    this.#server = createServer((req, res) => {
      void bodyOf(req).then((body) => {
        const call = {
          method: req.method ?? '',
          path: req.url ?? '',
          key: req.headers['idempotency-key'] as string,
          body,
        };
        this.calls.push(call);
        const fault = this.fault(call);
        if (fault === 'lost before') return void req.socket.destroy();
        if (fault && fault !== 'lost after') return answer(fault.status, fault.body, fault.headers);
        const [status, value] = this.#do(call);
        if (fault === 'lost after') return void req.socket.destroy();
        answer(status, value);
      });
      function answer(status: number, value: unknown, headers: Record<string, string> = {}): void {
        const text = typeof value === 'string' ? value : JSON.stringify(value);
        const type = typeof value === 'string' ? 'text/plain' : 'application/json; charset=utf-8';
        res.writeHead(status, { 'content-type': type, ...headers }).end(text);
      }
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  callsTo(pattern: RegExp): Call[] {
    return this.calls.filter(({ method, path }) => pattern.test(`${method} ${path}`));
  }

  #do({ method, path, key, body }: Call): [number, unknown] {
    const url = new URL(path, 'http://crm');
    const json = (body === '' ? {} : JSON.parse(body)) as Record<string, Json>;
    const route = `${method} ${url.pathname.replace('/api/v2', '')}`;
    if (route === 'POST /tickets') {
      if (key !== undefined && this.#keys.has(key)) return [201, this.#keys.get(key)];
      const answer = { ticket: this.#create(json['ticket']!) };
      if (key !== undefined) this.#keys.set(key, answer);
      return [201, answer];
    }
    if (route === 'POST /tickets/create_many' || route === 'PUT /tickets/update_many') {
      const id = `V3-${this.#nextId++}`;
      const kind = method === 'POST' ? 'create' : 'update';
      this.jobs.set(id, { tickets: json['tickets'] as unknown as Json[], kind, results: null });
      return [200, { job_status: { id, status: 'queued', results: null } }];
    }
    if (route === 'GET /job_statuses/show_many')
      return [200, { job_statuses: (url.searchParams.get('ids') ?? '').split(',').map((id) => this.#job(id)) }];
    if (route === 'GET /job_statuses') return [200, { job_statuses: [...this.jobs.keys()].map((id) => this.#job(id)) }];
    if (route === 'GET /tickets') {
      const wanted = url.searchParams.get('external_id');
      return [200, { tickets: [...this.tickets.values()].filter((ticket) => ticket.external_id === wanted) }];
    }
    if (route === 'GET /incremental/tickets/cursor') {
      const page = Number(url.searchParams.get('cursor') ?? 0);
      const tickets = [...this.tickets.values()].slice(page, page + this.exportPage);
      const end = page + this.exportPage >= this.tickets.size;
      return [200, { tickets, after_cursor: String(page + tickets.length), end_of_stream: end }];
    }
    if (route === 'GET /tickets/show_many') {
      const wanted = (url.searchParams.get('ids') ?? '').split(',').map(Number);
      return [200, { tickets: wanted.flatMap((id) => this.tickets.get(id) ?? []) }];
    }
    const audits = /^GET \/tickets\/(\d+)\/audits$/.exec(route);
    if (audits) return [200, { audits: this.tickets.get(Number(audits[1]))?.audits ?? [], next_page: null }];
    const update = /^PUT \/tickets\/(\d+)$/.exec(route);
    if (update) return this.#update(Number(update[1]), json['ticket']!);
    if (route === 'GET /users/search') {
      const phone = (url.searchParams.get('query') ?? '').replace('phone:', '');
      return [200, { users: this.users.filter((user) => user.phone === phone) }];
    }
    if (route === 'POST /users' || route === 'POST /users/create_or_update') return this.#user(route, json['user']!);
    return [404, { error: 'RecordNotFound', description: 'Not found' }];
  }

  #create(ticket: Json): Ticket {
    const {
      comment,
      metadata,
      tags = [],
      ...rest
    } = ticket as unknown as Partial<Ticket> & { comment: never; metadata: unknown };
    const made = {
      ...rest,
      id: this.#nextId++,
      tags,
      closed: false,
      updated_at: new Date().toISOString(),
      comments: [comment],
      audits: [{ metadata: { custom: metadata } }],
    };
    this.tickets.set(made.id, made);
    return made;
  }

  #update(id: number, change: Json): [number, unknown] {
    const ticket = this.tickets.get(id);
    if (!ticket) return [404, { error: 'RecordNotFound', description: 'Not found' }];
    if (ticket.closed) {
      const details = { base: [{ description: 'Status: closed is not valid', error: 'InvalidValue' }] };
      return [422, { error: 'RecordInvalid', description: 'Record validation errors', details }];
    }
    const {
      comment,
      metadata,
      additional_tags: tags = [],
    } = change as unknown as { comment: never; metadata: unknown; additional_tags?: string[] };
    if (comment) ticket.comments.push(comment);
    ticket.tags.push(...tags);
    ticket.audits.push({ metadata: { custom: metadata } });
    ticket.updated_at = new Date().toISOString();
    return [200, { ticket }];
  }

  #user(route: string, user: Json): [number, unknown] {
    const known = this.users.find(({ external_id: id }) => id === user['external_id']);
    if (known && route === 'POST /users')
      return [
        422,
        { error: 'RecordInvalid', details: { external_id: [{ error: 'DuplicateValue', description: 'taken' }] } },
      ];
    if (known) return [200, { user: known }];
    const made = { ...(user as object), id: this.#nextId++, updated_at: '2026-01-01T00:00:00Z' };
    this.users.push(made);
    return [201, { user: made }];
  }

  #job(id: string): unknown {
    const job = this.jobs.get(id);
    if (!job) return { id, status: 'unknown' };
    const fate = job.results === null ? this.jobFate(job.tickets) : null;
    if (fate) {
      for (const ticket of job.tickets.splice(0).filter(fate.does))
        if (job.kind === 'create') this.#create(ticket);
        else this.#update(Number(ticket['id']), ticket);
      job.ended = fate.status;
    }
    if (job.ended) return { id, status: job.ended, results: null };
    job.results ??= job.tickets.map((ticket, index) => {
      const error = this.jobItemFault(ticket);
      if (job.kind === 'create') {
        if (error) return { index, error, details: 'refused' };
        return { index, id: this.#create(ticket).id };
      }
      const [status] = error ? [422] : this.#update(Number(ticket['id']), ticket);
      return status === 200
        ? { id: ticket['id'], action: 'update', status: 'Updated', success: true }
        : { id: ticket['id'], action: 'update', error: 'TicketUpdateFailed', details: 'Status: closed is not valid' };
    });
    return { id, status: 'completed', results: job.results };
  }
}

async function bodyOf(req: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
