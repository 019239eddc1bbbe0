import { randomUUID } from 'node:crypto';
import type { NatsConnection } from '@nats-io/transport-node';
import { randomId, systemClock } from '#clock';
import type { AccountName } from '#contracts';
import type { Stack } from '#embedded';
import { connectNats } from '#jetstream';
import { natsTransport, QuotaClient, type QuotaTransport } from '#quota-client';

const INTEGRATIONS = ['ccai', 'reporting'] as const;
const PAUSE_MS = 80;
/** Longest that one request is asked again and again. */
const UNDECIDED_LIMIT_MS = 20_000;

/** One request, as its client saw it. Instants are epoch ms. */
export interface Asked {
  readonly account: AccountName;
  readonly requestId: string;
  readonly askedAtMs: number;
  readonly decidedAtMs: number;
  /** Null where it was refused. */
  readonly grantId: string | null;
  /** When its call was made; null where the grant had run out before. */
  readonly calledAtMs: number | null;
}

/** Steady load by two integrations of each account, which settle what they use. */
export interface QuotaLoad {
  readonly asked: readonly Asked[];
  /** Every grant that any answer named, by request. */
  readonly grantsByRequest: ReadonlyMap<string, ReadonlySet<string>>;
  /** Ends it after what is under way. Rejects with what went wrong meanwhile. */
  stop(): Promise<void>;
}

export async function startQuotaLoad(stack: Stack, accounts: readonly AccountName[]): Promise<QuotaLoad> {
  const asked: Asked[] = [];
  const grantsByRequest = new Map<string, Set<string>>();
  const stopping = new AbortController();
  const connections: NatsConnection[] = [];
  const running: Promise<void>[] = [];
  for (const account of accounts)
    for (const integration of INTEGRATIONS) {
      const credentials = stack.credentials(`${account}.${integration}`);
      const nc = await connectNats({ servers: stack.nats.url, name: `${account}.${integration}`, ...credentials });
      connections.push(nc);
      const transport = noting(natsTransport(nc), grantsByRequest);
      const client = new QuotaClient({ account, integration, transport, clock: systemClock, newId: randomId });
      running.push(askSteadily(client, account, asked, stopping.signal));
    }
  return {
    asked,
    grantsByRequest,
    stop: async () => {
      stopping.abort();
      try {
        await Promise.all(running);
      } finally {
        await Promise.all(connections.map((nc) => nc.close()));
      }
    },
  };
}

function noting(transport: QuotaTransport, grantsByRequest: Map<string, Set<string>>): QuotaTransport {
  return {
    ask: async (subject, body, withinMs) => {
      const heard = await transport.ask(subject, body, withinMs);
      const { grantId } = (heard.heard === 'answer' ? heard.answer : {}) as { grantId?: string };
      if (subject.endsWith('.acquire') && grantId !== undefined) {
        const { requestId } = body as { requestId: string };
        grantsByRequest.set(requestId, (grantsByRequest.get(requestId) ?? new Set()).add(grantId));
      }
      return heard;
    },
  };
}

async function askSteadily(
  client: QuotaClient,
  account: AccountName,
  asked: Asked[],
  stopping: AbortSignal,
): Promise<void> {
  while (!stopping.aborted) {
    asked.push(await askOnce(client, account));
    await systemClock.sleep(PAUSE_MS, stopping).catch(() => undefined);
  }
}

/** Asks until it is decided, makes the call where that is still allowed, and settles. */
async function askOnce(client: QuotaClient, account: AccountName): Promise<Asked> {
  const requestId = randomUUID();
  const askedAtMs = Date.now();
  for (;;) {
    const acquired = await client.acquire({ requestId, kind: 'other' });
    if (acquired.answer === 'granted') {
      const { grant } = acquired;
      const decidedAtMs = Date.now();
      const sentMonoMs = systemClock.monotonicMs();
      const mayLeave = grant.mayLeave(sentMonoMs);
      const used = mayLeave ? [{ sentAtMonoMs: sentMonoMs, answeredAtMonoMs: systemClock.monotonicMs() }] : [];
      const settled = await client.settle(grant.grantId, { used, returned: mayLeave ? 0 : 1 });
      if (settled.answer !== 'settled') throw new Error(`${account}: a settle is ${JSON.stringify(settled)}`);
      return {
        account,
        requestId,
        askedAtMs,
        decidedAtMs,
        grantId: grant.grantId,
        calledAtMs: mayLeave ? decidedAtMs : null,
      };
    }
    if (acquired.answer === 'refused')
      return { account, requestId, askedAtMs, decidedAtMs: Date.now(), grantId: null, calledAtMs: null };
    if (acquired.answer !== 'silent') throw new Error(`${account}: a request is ${JSON.stringify(acquired)}`);
    if (Date.now() - askedAtMs > UNDECIDED_LIMIT_MS) throw new Error(`${account}: nobody decides ${requestId}`);
    await systemClock.sleep(Math.min(acquired.retryInMs, PAUSE_MS));
  }
}
