import type { Clock, NewId } from '#clock';
import type { AccountName } from '#contracts';
import type { Log } from '#telemetry';
import type { CallEnd, CallMaker, MadeCall } from './call.maker.js';
import { effectOfVerdict, type ItemEffect } from './domain/effect.js';
import type { PlannedCall } from './domain/plan-calls.js';
import type { CallToSendAgain, ItemEffectAt, StoredItem, WriteStore } from './write.store.js';
import { ticketIdIn } from './zendesk/answers.js';
import { writeRequest } from './zendesk/requests.js';

export interface WriterTools {
  readonly account: AccountName;
  readonly store: WriteStore;
  readonly maker: CallMaker;
  readonly timeScale: number;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly newId: NewId;
  /** In [0, 1). */
  readonly random: () => number;
  readonly log: Log;
}

/** Writes one interaction's commands by one call: a ticket made, or changed. */
export class SingleWriter {
  constructor(private readonly tools: WriterTools) {}

  /** Makes a planned call of one item. */
  write(call: PlannedCall, callId: string): Promise<CallEnd> {
    const { account, store, maker } = this.tools;
    const [item] = call.items;
    if (!item) throw new Error('a single call without an item was planned');
    const stored: StoredItem = {
      index: 0,
      interactionId: item.interactionId,
      commands: item.commandIds.length,
      attempts: item.attempts,
      ticketId: item.ticketId,
      externalId: item.externalId,
    };
    return maker.make({
      callId,
      kind: call.kind,
      keys: item.ticketId === null ? [] : [{ ticket: String(item.ticketId) }],
      priority: call.priority,
      effect: true,
      about: aboutOf(stored, 1),
      claim: async (grant, underWayForMs) => {
        const request = writeRequest(call, callId);
        const { kind, priority, items } = call;
        const { grantId, holdIds } = grant;
        const claim = { account, callId, kind, writer: 'single', priority, grantId, holdIds, request, items } as const;
        return (await store.claim({ ...claim, requestId: null, underWayForMs })) ? request : null;
      },
      record: (made) => this.#record(callId, 1, stored, made),
    });
  }

  /** Sends a stored call's very bytes once more, under a new grant: the key makes the CRM do it at most once. */
  sendAgain({ callId, sends, kind, priority, request, item }: CallToSendAgain): Promise<CallEnd> {
    const { store, maker } = this.tools;
    return maker.make({
      callId,
      kind,
      keys: item.ticketId === null ? [] : [{ ticket: String(item.ticketId) }],
      priority,
      effect: true,
      about: aboutOf(item, sends + 1),
      claim: async ({ grantId }, underWayForMs) =>
        (await store.claimAgain({ callId, sends, grantId, underWayForMs })) ? request : null,
      record: (made) => this.#record(callId, sends + 1, item, made),
    });
  }

  async #record(callId: string, sends: number, item: StoredItem, made: MadeCall): Promise<void> {
    const effect = effectOf(made, item, sends, this.tools);
    const effects: ItemEffectAt[] = [{ index: item.index, interactionId: item.interactionId, effect }];
    const answer = made.made === 'answered' ? { status: made.response.status, body: made.raw } : null;
    await this.tools.store.record({
      account: this.tools.account,
      callId,
      sends,
      answer,
      next: { to: 'settled' },
      effects,
    });
  }
}

function effectOf(made: MadeCall, item: StoredItem, sends: number, tools: WriterTools): ItemEffect {
  switch (made.made) {
    case 'unsent':
      // A call that was in doubt before stays in doubt: that this attempt never left says nothing of the first.
      if (sends > 1) return { effect: 'unknown', code: made.reason, askInMs: 0, own: false };
      return { effect: 'waiting', inMs: 0, attempts: item.attempts, solo: false, code: made.reason };
    case 'lost':
      return { effect: 'unknown', code: made.reason, askInMs: made.underWayForMs, own: made.own };
    case 'answered': {
      const ticketId = item.ticketId ?? ticketIdIn(made.response.body);
      return effectOfVerdict(made.verdict, ticketId, {
        commands: item.commands,
        attempts: item.attempts,
        own: made.own,
        timeScale: tools.timeScale,
        random: tools.random(),
        underWayForMs: made.underWayForMs,
      });
    }
    default:
      return made satisfies never;
  }
}

function aboutOf({ interactionId, commands, attempts }: StoredItem, sends: number): Record<string, unknown> {
  return { writer: 'single', interactionId, items: 1, commands, attempts, sends };
}
