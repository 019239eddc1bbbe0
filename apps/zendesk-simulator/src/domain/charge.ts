import { countInScope, countInWindow } from './books.js';
import { bodyOf, type Call, idAt } from './call.js';
import { accountLimitReached, dayLimitReached, endpointLimitReached } from './errors.js';
import type { Answer } from './exchange.js';
import { objectOf, textOf } from './json.js';
import { draw, type LimitSubject, scopeKeyOf, unitsOf, windowAt } from './limits.js';
import { pageNumberOf } from './pagination.js';
import type { Passage } from './passage.js';

/** Draws on every limit and writes it into the books of true windows; the refusal where one refuses. */
export function charge(passage: Passage): Answer | undefined {
  const { call, entry } = passage;
  const { world } = call;
  entry.counted = true;
  const subject = subjectOf(call);
  passage.draws = draw(world.limits, world.options, subject, world.nowMs);
  let refusal: Answer | undefined;
  for (const { rule, refused, resetsInSeconds } of passage.draws) {
    const { startMs, endMs } = windowAt(rule, world.options, world.nowMs);
    if (rule.scope === 'account') {
      const units = unitsOf(rule, subject, world.options);
      countInWindow(world.books, rule, { startMs, endMs, caller: call.caller, units, refused });
    } else if (rule.begins === 'wall-clock' && !refused)
      countInScope(world.books, rule, { startMs, scope: scopeKeyOf(rule.scope, subject) });
    if (!refused) continue;
    entry.refusedBy = rule.name;
    refusal = refusalOf(rule.name, resetsInSeconds);
  }
  return refusal;
}

function refusalOf(limit: string, resetsInSeconds: number): Answer {
  if (limit === 'account-minute' || limit === 'account-ceiling') return accountLimitReached(resetsInSeconds);
  return limit === 'account-day' ? dayLimitReached(resetsInSeconds) : endpointLimitReached(resetsInSeconds);
}

function subjectOf(call: Call): LimitSubject {
  const isUserWrite = call.kind === 'users.update' || call.kind === 'users.create_or_update';
  const user = isUserWrite ? objectOf(bodyOf(call)?.['user']) : undefined;
  return {
    kind: call.kind,
    actorId: call.actor?.id ?? 0,
    ip: call.ip,
    ticketId: call.kind === 'tickets.update' ? idAt(call, 1) : undefined,
    targetUser: isUserWrite ? targetUserOf(call, user) : undefined,
    organizationId: call.kind === 'organizations.update' ? idAt(call, 1) : undefined,
    page: call.kind === 'tickets.list' ? pageNumberOf(call.query) : 1,
    tickets: call.kind === 'tickets.update_many' ? ticketsIn(call) : 1,
  };
}

function targetUserOf(call: Call, user: ReturnType<typeof objectOf>): string {
  if (call.kind === 'users.update') return `id:${idAt(call, 1)}`;
  const { userIdByExternalId, userIdByEmail } = call.world;
  const externalId = textOf(user?.['external_id']) ?? '';
  const email = textOf(user?.['email'])?.toLowerCase() ?? '';
  const id = userIdByExternalId.get(externalId) ?? userIdByEmail.get(email);
  return id === undefined ? `new:${externalId}|${email}` : `id:${id}`;
}

function ticketsIn(call: Call): number {
  const list = bodyOf(call)?.['tickets'];
  return Array.isArray(list) ? list.length : (call.query.get('ids') ?? '').split(',').filter(Boolean).length;
}
