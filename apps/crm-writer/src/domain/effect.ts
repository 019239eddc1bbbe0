import type { Verdict } from './judge-response.js';
import type { ItemVerdict } from './judge-job.js';
import { nextAttempt } from './next-attempt.js';
import type { Resolution } from './resolve-unknown.js';

/** What becomes of one item of a call, to be stored together with everything that follows from it. */
export type ItemEffect =
  | { readonly effect: 'done'; readonly ticketId: number }
  /** Back in the queue. `solo` = one command a call from now on. */
  | {
      readonly effect: 'waiting';
      readonly inMs: number;
      readonly attempts: number;
      readonly solo: boolean;
      readonly code: string;
      /** From now on in jobs of at most so many items. */
      readonly mostInJob?: number;
    }
  /** Back in the queue, and its ticket is closed for good. */
  | { readonly effect: 'followUp' }
  | { readonly effect: 'parked'; readonly code: string; readonly text: string }
  /** The CRM is to be asked, not before the call can no longer be under way. */
  | {
      readonly effect: 'unknown';
      readonly code: string;
      readonly askInMs: number;
      /** If it turns out not to be at the CRM: was that a failure of its own? */
      readonly own: boolean;
    };

export interface EffectInput {
  readonly commands: number;
  readonly attempts: number;
  /** Items of the call that share its fate; left out = it went alone. */
  readonly items?: number;
  /** Others got through: the failure is this write's own. */
  readonly own: boolean;
  readonly timeScale: number;
  /** In [0, 1). */
  readonly random: number;
  /** How long from now the call may still be under way, ms. */
  readonly underWayForMs: number;
}

/** Refusals of a merged write that one of its commands alone may have caused. */
const ABOUT_CONTENT = ['crm_invalid', 'crm_too_large', 'crm_bad_request', 'crm_too_many_values'];

/**
 * A single call's verdict to what becomes of its write. `ticketId` = the ticket that the answer names. A limit's refusal
 * spends no attempt; the account's gate holds the next call back, not the write.
 */
export function effectOfVerdict(verdict: Verdict, ticketId: number | null, input: EffectInput): ItemEffect {
  switch (verdict.verdict) {
    case 'done':
      return ticketId === null
        ? { effect: 'unknown', code: 'answer_without_ticket', askInMs: 0, own: true }
        : { effect: 'done', ticketId };
    case 'waitForLimit':
      return { effect: 'waiting', inMs: 0, attempts: input.attempts, solo: false, code: `limit_${verdict.limit}` };
    case 'pauseAccount':
      return { effect: 'waiting', inMs: 0, attempts: input.attempts, solo: false, code: verdict.code };
    case 'retryAfter':
      return failedAgain(verdict.code, verdict.waitMs, input);
    case 'unknown':
      return {
        effect: 'unknown',
        code: verdict.code,
        askInMs: Math.max((verdict.waitMs ?? 0) / input.timeScale, input.underWayForMs),
        own: input.own,
      };
    case 'followUp':
      return { effect: 'followUp' };
    case 'duplicate':
      return parkedOrAlone('crm_invalid', `taken already: ${verdict.fields.join(', ')}`, input);
    case 'park':
      return parkedOrAlone(verdict.code, verdict.text, input);
    default:
      return verdict satisfies never;
  }
}

/**
 * What a bulk submission that began no job means for each of its items. A refusal of the whole says nothing of the single item: where
 * content is to blame the job is halved, until the guilty one is alone; any other refusal is heard singly by each.
 */
export function effectOfSubmission(verdict: Verdict, input: EffectInput): ItemEffect {
  if (verdict.verdict === 'park' && ABOUT_CONTENT.includes(verdict.code)) return apart(verdict.code, input);
  const effect = effectOfVerdict(verdict, null, { ...input, items: 1 });
  if (effect.effect === 'parked' || (effect.effect === 'waiting' && effect.solo))
    return { effect: 'waiting', inMs: 0, attempts: input.attempts + 1, solo: false, code: effect.code };
  if (effect.effect === 'unknown') return { ...effect, askInMs: Math.max(effect.askInMs, input.underWayForMs) };
  return effect;
}

/** A bulk job's item. */
export function effectOfItem(verdict: ItemVerdict, input: EffectInput): ItemEffect {
  switch (verdict.verdict) {
    case 'done':
      return { effect: 'done', ticketId: verdict.ticketId };
    case 'again':
      return failedAgain(verdict.code, null, { ...input, own: true, items: 1 });
    case 'followUp':
      return { effect: 'followUp' };
    case 'unknown':
      return { effect: 'unknown', code: verdict.code, askInMs: 0, own: input.own };
    default:
      return verdict satisfies never;
  }
}

/** What asking the CRM has shown; null = nothing final yet (asked more, or the same bytes go again). */
export function effectOfResolution(resolution: Resolution, input: EffectInput): ItemEffect | null {
  switch (resolution.resolution) {
    case 'done':
      return { effect: 'done', ticketId: resolution.ticketId };
    case 'planAgain':
      return failedAgain('not_at_the_crm', null, input);
    case 'park':
      return { effect: 'parked', code: resolution.code, text: resolution.text };
    case 'sendSame':
    case 'askMore':
      return null;
    default:
      return resolution satisfies never;
  }
}

function failedAgain(code: string, toldWaitMs: number | null, input: EffectInput): ItemEffect {
  if (input.own && (input.items ?? 1) > 1) return apart(code, input);
  const next = nextAttempt(input.attempts, { own: input.own, toldWaitMs, random: input.random });
  // Of several commands one may be to blame: it is found by sending them one by one, from the first attempt on.
  if (next.next === 'parked' && input.commands > 1)
    return { effect: 'waiting', inMs: 0, attempts: 0, solo: true, code };
  if (next.next === 'parked')
    return { effect: 'parked', code: next.code, text: `failed ${next.attempts} times, last: ${code}` };
  return { effect: 'waiting', inMs: next.inMs / input.timeScale, attempts: next.attempts, solo: false, code };
}

/** One of those that failed together may be to blame: they go again in two halves, at no attempt of their own. */
function apart(code: string, { attempts, items = 1 }: EffectInput): ItemEffect {
  const mostInJob = Math.max(1, Math.floor(items / 2));
  return { effect: 'waiting', inMs: 0, attempts, solo: false, code, mostInJob };
}

function parkedOrAlone(code: string, text: string, input: EffectInput): ItemEffect {
  if (input.commands > 1 && ABOUT_CONTENT.includes(code))
    return { effect: 'waiting', inMs: 0, attempts: input.attempts, solo: true, code };
  return { effect: 'parked', code, text };
}
