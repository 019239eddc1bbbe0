import { randomUUID } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NatsConnection } from '@nats-io/transport-node';
import { request } from 'undici';
import { parseOutcome, type Outcome, subjects, type UsageAnswer } from '#contracts';
import { type Stack, startStack } from '#embedded';
import { connectNats, readStream } from '#jetstream';

const TIME_SCALE = 10;
const TOKEN = 'flow-test-token';
const PASSWORD = 'flow-test-password';

/** What the simulated CRM says of itself (docs/simulator.md), as far as the flow tests look at it. */
export interface Books {
  readonly calls: number;
  readonly tickets: number;
  readonly kinds: Readonly<Record<string, number>>;
  readonly ticketsPerExternalId: Readonly<Record<string, number>>;
  readonly marks: Readonly<Record<string, number>>;
  readonly contactsPerPhone: Readonly<Record<string, number>>;
  readonly callers: Readonly<Record<string, { readonly calls: number }>>;
}

export interface Audit {
  readonly ok: boolean;
  readonly refusals: { readonly ours: number };
}

/** The whole of Sluice as processes, with a simulated Zendesk ten times as fast as the real one. */
export interface RunningSluice {
  readonly stack: Stack;
  readonly operator: NatsConnection;
  /** Posts to ingest as CCAI does; returns status and body. */
  post(feed: 'calls' | 'chats' | 'metadata', body: unknown): Promise<{ status: number; body: Record<string, unknown> }>;
  control<T>(method: 'GET' | 'PUT' | 'POST' | 'DELETE', path: string, body?: unknown): Promise<T>;
  books(): Promise<Books>;
  audit(): Promise<Audit>;
  outcomes(): Promise<Outcome[]>;
  usage(per: 'minute' | 'day'): Promise<UsageAnswer>;
  /** Applies the account anew, with these lines of YAML instead of those before. */
  configure(account: string): Promise<void>;
  stop(): Promise<void>;
}

export interface RunningSluiceOptions {
  readonly licence?: string;
  /** Lines of YAML under the account, indented by four. */
  readonly account?: string;
  readonly simulatorArgs?: readonly string[];
}

export async function startSluice({
  licence = 'professional',
  account = '',
  simulatorArgs = [],
}: RunningSluiceOptions = {}): Promise<RunningSluice> {
  const stack = await startStack({
    dataDir: mkdtempSync(join(tmpdir(), 'sluice flow ')),
    persistent: false,
    durable: false,
    accountsYaml: ({ simulatorUrl }) => accountsYaml(simulatorUrl, licence, account),
    simulator: {
      args: [
        `--licence=${licence}`,
        `--speed=${TIME_SCALE}`,
        `--credential=sluice@example.com/token:${TOKEN}`,
        ...simulatorArgs,
      ],
    },
    env: { FLOW_CRM_TOKEN: TOKEN, FLOW_INGEST_PASSWORD: PASSWORD },
  });
  const operator = await connectNats({ servers: stack.nats.url, name: 'flow-test', ...stack.credentials('operator') });
  const simulatorUrl = stack.simulator?.url ?? '';
  const control = async <T>(method: 'GET' | 'PUT' | 'POST' | 'DELETE', path: string, body?: unknown): Promise<T> => {
    const { statusCode, body: answer } = await request(`${simulatorUrl}/_control/${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    const text = await answer.text();
    if (statusCode !== 200) throw new Error(`${method} ${path}: ${statusCode} ${text}`);
    return JSON.parse(text) as T;
  };
  return {
    stack,
    operator,
    control,
    post: (feed, body) => post(`${stack.service('ingest').url}/v1/flow/ccai/${feed}`, body),
    books: () => control<Books>('GET', 'books'),
    audit: () => control<Audit>('GET', 'audit'),
    outcomes: () => readStream(operator, 'OUTCOMES', parseOutcome),
    usage: async (per) => {
      const message = await operator.request(subjects.usage('flow'), JSON.stringify({ per }), { timeout: 5_000 });
      return message.json<UsageAnswer>();
    },
    configure: async (lines) => {
      const body = JSON.stringify({ yaml: accountsYaml(simulatorUrl, licence, lines) });
      const message = await operator.request('accounts.v1.apply', body, { timeout: 5_000 });
      const { answer } = message.json<{ answer: string }>();
      if (answer !== 'applied') throw new Error(message.string());
    },
    stop: async () => {
      await operator.close();
      await stack.stop();
    },
  };
}

function accountsYaml(simulatorUrl: string, licence: string, account: string): string {
  return `accounts:
  flow:
    crm:
      type: zendesk
      baseUrl: ${simulatorUrl}
      licence: ${licence}
      timeScale: ${TIME_SCALE}
      requestTimeoutMs: 2000
      externalIdPrefix: 'ccai-'
      credential: { kind: apiToken, email: sluice@example.com, tokenRef: 'env:FLOW_CRM_TOKEN' }
    integrations:
      ccai: { ingest: { username: ccai, passwordRef: 'env:FLOW_INGEST_PASSWORD' }, trusted: true }
      reporting: {}
${account}`;
}

async function post(url: string, body: unknown): Promise<{ status: number; body: Record<string, unknown> }> {
  const { statusCode, body: answer } = await request(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Basic ${Buffer.from(`ccai:${PASSWORD}`).toString('base64')}`,
    },
    body: JSON.stringify(body),
  });
  return { status: statusCode, body: (await answer.json()) as Record<string, unknown> };
}

/** A call's events in the order in which they happen, as CCAI posts them. */
export function callEvents(
  callId: number | string,
  phone: string,
): Record<'started' | 'assigned' | 'ended' | 'dispositioned', Record<string, unknown>> {
  const at = Date.now() - 60_000;
  const agent = { type: 'agent', id: 7, name: 'Agent 7', email: 'agent-7@example.com' };
  const event = (
    offsetMs: number,
    item: Record<string, unknown>,
    more: Record<string, unknown> = {},
  ): Record<string, unknown> => ({
    event_id: randomUUID(),
    timestamp: at + offsetMs,
    connected_at: null,
    ends_at: null,
    initiator: phone,
    item: { call_id: callId, direction: 'incoming', language: 'en', queue_path_names: 'support/orders', ...item },
    ...more,
  });
  const customer = (state: string): Record<string, unknown> => ({ type: 'external', state, dn: phone });
  return {
    started: event(0, { state: 'waiting', participants: [customer('connected')] }),
    assigned: event(5_000, {
      state: 'ringing',
      participants: [customer('connected'), { ...agent, state: 'accepted' }],
    }),
    ended: event(
      50_000,
      { state: 'finished', participants: [customer('disconnected'), { ...agent, state: 'disconnected' }] },
      { ends_at: new Date(at + 50_000).toISOString() },
    ),
    dispositioned: event(
      55_000,
      { state: 'finished', participants: [customer('disconnected'), { ...agent, state: 'dispositionSubmitted' }] },
      {
        ends_at: new Date(at + 50_000).toISOString(),
        dispositions: [{ code: 'resolved', custom_code_id: null, note: 'noted' }],
      },
    ),
  };
}

/** An envelope around events. */
export function envelope(...events: readonly Record<string, unknown>[]): {
  count: number;
  events: readonly Record<string, unknown>[];
} {
  return { count: events.length, events };
}
