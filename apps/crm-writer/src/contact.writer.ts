import type { CallKind } from '#contracts';
import type { CallEnd, MadeCall } from './call.maker.js';
import { contactExternalId, type ContactStep, userOfPhone } from './domain/contact.js';
import { CREDENTIAL_PROBE_MS } from './domain/account-gate.js';
import { MAX_ATTEMPTS, nextAttempt } from './domain/next-attempt.js';
import type { PlannedContactStep } from './domain/plan-calls.js';
import type { WriterTools } from './single.writer.js';
import type { ContactRecord } from './write.store.js';
import { userIdIn, usersIn } from './zendesk/answers.js';
import { contactRequest } from './zendesk/requests.js';

const KINDS: Readonly<Record<ContactStep, CallKind>> = {
  search: 'users.search',
  create: 'users.create',
  adopt: 'users.create_or_update',
};

/** How long a refusal of a contact holds, the CRM's own time; then its next interaction tries anew. */
const REFUSED_FOR_MS = 3_600_000;

/** Looks contacts up or makes them, one step a call, and remembers them. */
export class ContactWriter {
  constructor(
    private readonly tools: WriterTools,
    private readonly externalIdPrefix: string,
  ) {}

  take(planned: PlannedContactStep, callId: string): Promise<CallEnd> {
    const { account, store, maker } = this.tools;
    const { step, contact, keys, priority } = planned;
    const kind = KINDS[step];
    const request = contactRequest(step, contact, this.externalIdPrefix);
    const effect = step !== 'search';
    return maker.make({
      callId,
      kind,
      keys: effect ? [{ user: contactExternalId(this.externalIdPrefix, contact) }] : [],
      priority,
      effect,
      about: { writer: 'contact', step, attempts: planned.attempts },
      claim: async ({ grantId }, underWayForMs) => {
        if (!effect) {
          await store.countRead(account, kind);
          return request;
        }
        const claim = { account, callId, kind, priority, grantId, request, underWayForMs, keys, step };
        return (await store.claimContact(claim)) ? request : null;
      },
      record: (made) => this.#record(planned, callId, made),
    });
  }

  async #record(planned: PlannedContactStep, callId: string, made: MadeCall): Promise<void> {
    const { account, store } = this.tools;
    const answer = made.made === 'answered' ? { status: made.response.status, body: made.raw } : null;
    const call = planned.step === 'search' ? null : { callId, sends: 1, answer };
    const becomes = this.#becomes(planned, made);
    const expiresInMs = REFUSED_FOR_MS / this.tools.timeScale;
    await store.recordContact({ account, call, keys: planned.keys, step: planned.step, becomes, expiresInMs });
  }

  #becomes(planned: PlannedContactStep, made: MadeCall): ContactRecord['becomes'] {
    const { step, attempts } = planned;
    if (made.made === 'unsent') return { is: 'step', step, inMs: 0, attempts };
    if (made.made === 'lost')
      return step === 'search'
        ? this.#again(planned, null, made.own)
        : this.#unknown(planned, made.underWayForMs, made.own);
    const { verdict } = made;
    switch (verdict.verdict) {
      case 'done':
        return this.#found(planned, made);
      case 'waitForLimit':
      case 'pauseAccount':
        return { is: 'step', step, inMs: 0, attempts };
      case 'retryAfter':
        return this.#again(planned, verdict.waitMs, made.own);
      case 'unknown':
        return this.#unknown(
          planned,
          Math.max(made.underWayForMs, (verdict.waitMs ?? 0) / this.tools.timeScale),
          made.own,
        );
      case 'duplicate':
        // Made by an attempt whose answer was lost, or by somebody else with our external id: taken over as it is.
        if (step === 'create') return { is: 'step', step: 'adopt', inMs: 0, attempts };
        return { is: 'refused', code: 'contact_invalid', text: `taken already: ${verdict.fields.join(', ')}` };
      case 'followUp':
        return { is: 'refused', code: 'contact_invalid', text: 'refused' };
      case 'park':
        // The call maker holds back this kind of call as long; others' turn comes first then.
        if (verdict.code === 'crm_forbidden') return this.#again(planned, CREDENTIAL_PROBE_MS, made.own);
        return { is: 'refused', code: verdict.code.replace(/^crm_/, 'contact_'), text: verdict.text };
      default:
        return verdict satisfies never;
    }
  }

  #found(planned: PlannedContactStep, made: Extract<MadeCall, { made: 'answered' }>): ContactRecord['becomes'] {
    const { step, contact, attempts } = planned;
    const userId =
      step === 'search'
        ? (userOfPhone(usersIn(made.response.body), contact.phone ?? '')?.id ?? null)
        : userIdIn(made.response.body);
    if (userId !== null) return { is: 'known', userId };
    return step === 'search'
      ? { is: 'step', step: 'create', inMs: 0, attempts }
      : this.#unknown(planned, made.underWayForMs, true);
  }

  /** It may have been made: the same step again finds out, once the call can't be under way any more. */
  #unknown({ attempts }: PlannedContactStep, askInMs: number, own: boolean): ContactRecord['becomes'] {
    const after = own ? attempts + 1 : attempts;
    if (after >= MAX_ATTEMPTS) return { is: 'refused', code: 'contact_attempts_exhausted', text: 'failed too often' };
    return { is: 'unknown', askInMs, attempts: after };
  }

  #again({ step, attempts }: PlannedContactStep, toldWaitMs: number | null, own: boolean): ContactRecord['becomes'] {
    const { random, timeScale } = this.tools;
    const next = nextAttempt(attempts, { own, toldWaitMs, random: random() });
    if (next.next === 'parked') return { is: 'refused', code: 'contact_attempts_exhausted', text: 'failed too often' };
    return { is: 'step', step, inMs: next.inMs / timeScale, attempts: next.attempts };
  }
}
