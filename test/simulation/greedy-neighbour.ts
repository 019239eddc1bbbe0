import { type AcquireAnswer, type AcquireRequest, type SettleRequest, subjects } from '#contracts';
import type { Crm } from '../../apps/crm-writer/src/zendesk/crm.js';
import type { VirtualTime } from './virtual-time.js';
import type { Line } from './virtual-ledger.js';

const CALLS_AT_ONCE = 100;
const LONGEST_WAIT_MS = 5_000;
const REQUEST = {
  method: 'GET',
  path: '/api/v2/tickets?external_id=report',
  body: null,
  idempotencyKey: null,
} as const;

/** Another integration of the account that asks the ledger for as much as it can get, all day, and uses what it gets. */
export async function runGreedyNeighbour(
  account: string,
  integration: string,
  { time, line, crm }: { readonly time: VirtualTime; readonly line: Line; readonly crm: Crm },
): Promise<never> {
  const { clock } = time;
  const ask = async (verb: 'acquire' | 'settle', body: AcquireRequest | SettleRequest): Promise<AcquireAnswer> =>
    (await line.request(subjects.quota(account, integration, verb), JSON.stringify(body))).json<AcquireAnswer>();
  for (let asked = 1; ; asked += 1) {
    const askedAtMs = clock.monotonicMs();
    const calls = { min: 1, max: CALLS_AT_ONCE };
    const wanted = {
      requestId: `greedy-${asked}`,
      kind: 'tickets.list',
      calls,
      priority: 'normal',
      waitMs: 0,
    } as const;
    const answer = await ask('acquire', wanted);
    if (answer.answer !== 'granted') {
      const waitMs = 'retryInMs' in answer ? answer.retryInMs : LONGEST_WAIT_MS;
      await clock.sleep(Math.min(Math.max(waitMs, 1), LONGEST_WAIT_MS));
      continue;
    }
    await clock.sleep(answer.sendInMs);
    const sending = { notAfterMonoMs: askedAtMs + answer.validForMs, timeoutMs: 3_000 };
    const made = await Promise.all(Array.from({ length: answer.calls }, () => crm.send(REQUEST, sending)));
    const nowMs = clock.monotonicMs();
    const used = made.flatMap(({ sentAtMonoMs }) =>
      sentAtMonoMs === null ? [] : [{ sentAgoMs: Math.ceil(nowMs - sentAtMonoMs), answeredAgoMs: 0 }],
    );
    const { grantId } = answer;
    await ask('settle', { requestId: `settled-${asked}`, grantId, used, returned: made.length - used.length });
  }
}
