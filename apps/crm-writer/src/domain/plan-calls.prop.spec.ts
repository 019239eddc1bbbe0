import { describe, it } from '@jest/globals';
import fc from 'fast-check';
import type { CommandAction, Contact, Priority } from '#contracts';
import { planCalls, type Plan, type PlanOptions } from './plan-calls.js';
import { inOrder, type WaitingCommand, type WaitingInteraction } from './write.js';

const text = fc.string({ minLength: 1, maxLength: 12 });
const tag = fc.constantFrom('a', 'b', 'c');
const field = fc.record({ id: fc.integer({ min: 1, max: 3 }), value: text });
const contact: fc.Arbitrary<Contact> = fc.record({
  phone: fc.option(fc.constantFrom('+491', '+492', '+493')),
  userId: fc.option(fc.constantFrom('u1', 'u2')),
  email: fc.option(fc.constantFrom('x@example.com')),
  name: fc.constant(null),
});
const action: fc.Arbitrary<CommandAction> = fc.oneof(
  fc.record({ kind: fc.constant('addComment' as const), body: text, public: fc.boolean() }),
  fc.record({
    kind: fc.constant('setFields' as const),
    tags: fc.array(tag, { maxLength: 3 }),
    customFields: fc.array(field, { maxLength: 3 }),
  }),
);

const waiting: fc.Arbitrary<WaitingInteraction[]> = fc
  .array(
    fc.record({
      ticketId: fc.option(fc.integer({ min: 1, max: 6 })),
      appendTo: fc.option(fc.integer({ min: 1, max: 6 })),
      priority: fc.constantFrom<Priority>('live', 'normal', 'backlog'),
      since: fc.integer({ min: 0, max: 5 }),
      solo: fc.boolean(),
      hasEnsure: fc.boolean(),
      mode: fc.constantFrom('new' as const, 'append' as const),
      contact,
      actions: fc.array(fc.tuple(action, fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 2 })), {
        minLength: 1,
        maxLength: 6,
      }),
    }),
    { maxLength: 25 },
  )
  .map((list) =>
    list.map(({ actions, hasEnsure, mode, contact: who, ...rest }, i) => {
      const interactionId = `call-${i}`;
      const commands = actions.map(([act, eventAt, attempts], j): WaitingCommand => ({
        commandId: `${interactionId}/${j}`,
        action: act,
        eventAt,
        eventRank: 0,
        ordinal: j,
        priority: rest.priority,
        attempts: attempts > 1 ? 1 : 0,
      }));
      const ensure = hasEnsure ? { subject: 's', mode, contact: who } : null;
      return { ...rest, interactionId, followUpOf: null, ensure, queuePath: null, commands };
    }),
  );

const options = (creates: 'single' | 'batch', updates: 'single' | 'batch', fewestPerJob: number): PlanOptions => ({
  creates,
  updates,
  fewestPerJob,
  externalIdPrefix: 'p-',
  taken: new Set(),
  contactOf: (who) =>
    who.phone === '+493' ? { standing: 'step', step: 'search', attempts: 0 } : { standing: 'anonymous' },
});
const writer = fc.constantFrom('single' as const, 'batch' as const);

function expectOfPlans(verify: (plan: Plan, interactions: WaitingInteraction[]) => boolean): void {
  fc.assert(
    fc.property(waiting, writer, writer, fc.constantFrom(1, 3), (interactions, creates, updates, fewest) =>
      verify(planCalls(interactions, options(creates, updates, fewest)), interactions),
    ),
  );
}

/** A separate, plain statement of what a ticket shows after calls: the comments one after the other, tags, fields. */
interface Shown {
  readonly comments: { body: string; public: boolean }[];
  readonly tags: Set<string>;
  readonly fields: Map<number, unknown>;
}

function showCommands(commands: readonly WaitingCommand[]): Shown {
  const shown: Shown = { comments: [], tags: new Set(), fields: new Map() };
  for (const { action: act } of commands) {
    if (act.kind === 'addComment') shown.comments.push({ body: act.body, public: act.public });
    else if (act.kind === 'setFields') {
      for (const one of act.tags) shown.tags.add(one);
      for (const { id, value } of act.customFields) shown.fields.set(id, value);
    }
  }
  return shown;
}

describe('a plan', () => {
  it('puts every interaction into at most one call, or says why not', () => {
    expectOfPlans(({ calls, contactSteps, held }, interactions) => {
      const placed = [...calls.flatMap(({ items }) => items), ...held].map(({ interactionId }) => interactionId);
      return new Set(placed).size === placed.length && placed.length + contactSteps.length === interactions.length;
    });
  });

  it('carries a prefix of each interaction’s commands, in order', () => {
    expectOfPlans(({ calls }, interactions) =>
      calls.every(({ items }) =>
        items.every(({ interactionId, commandIds }) => {
          const all = inOrder(interactions.find((one) => one.interactionId === interactionId)!.commands);
          return commandIds.length > 0 && commandIds.every((id, i) => all[i]!.commandId === id);
        }),
      ),
    );
  });

  it('shows on the ticket what the commands one by one would show', () => {
    expectOfPlans(({ calls }, interactions) =>
      calls.every(({ items }) =>
        items.every((item) => {
          const all = inOrder(interactions.find((one) => one.interactionId === item.interactionId)!.commands);
          const alone = showCommands(all.slice(0, item.commandIds.length));
          const body = alone.comments.map((one) => one.body).join('\n\n');
          const sameText = alone.comments.length === 0 ? item.comment === null : item.comment?.body === body;
          const sameSight = alone.comments.every((one) => one.public === item.comment?.public);
          const sameTags = JSON.stringify([...alone.tags].sort()) === JSON.stringify([...item.tags].sort());
          const fields = new Map(item.customFields.map(({ id, value }) => [id, value]));
          const sameFields =
            fields.size === alone.fields.size && [...fields].every(([id, value]) => alone.fields.get(id) === value);
          return sameText && sameSight && sameTags && sameFields;
        }),
      ),
    );
  });

  it('takes as many commands as one comment can hold', () => {
    expectOfPlans(({ calls }, interactions) =>
      calls.every(({ items }) =>
        items.every((item) => {
          const { commands, solo } = interactions.find((one) => one.interactionId === item.interactionId)!;
          const next = inOrder(commands)[item.commandIds.length];
          if (solo || !next) return true;
          return (
            next.action.kind === 'addComment' && item.comment !== null && next.action.public !== item.comment.public
          );
        }),
      ),
    );
  });

  it('touches each ticket, and makes tickets for each contact, in one item only', () => {
    expectOfPlans(({ calls }) => {
      const items = calls.flatMap((call) => call.items);
      const keys = items.flatMap(({ ticketId, contactKeys }) =>
        ticketId === null ? contactKeys : [`ticket ${ticketId}`],
      );
      return new Set(keys).size === keys.length;
    });
  });

  it('keeps each call within what the CRM takes, and of one sort', () => {
    expectOfPlans(({ calls }) =>
      calls.every(({ kind, writer: by, items }) => {
        const makes = kind === 'tickets.create' || kind === 'tickets.create_many';
        return (
          (by === 'single' ? items.length === 1 : items.length <= 100) &&
          kind.endsWith('_many') === (by === 'batch') &&
          items.every(({ ticketId }) => (ticketId === null) === makes)
        );
      }),
    );
  });

  it('never lets a less urgent interaction take what a more urgent one needs', () => {
    const rank = { live: 0, normal: 1, backlog: 2 };
    expectOfPlans(({ calls, held }, interactions) => {
      const of = (id: string): WaitingInteraction => interactions.find((one) => one.interactionId === id)!;
      const ticketOf = (one: WaitingInteraction): number | null =>
        one.ticketId ?? (one.ensure?.mode === 'append' ? one.appendTo : null);
      const going = calls.flatMap(({ items }) => items.map(({ interactionId }) => of(interactionId)));
      return held
        .filter(({ because }) => because === 'ticketBusy')
        .every(({ interactionId }) => {
          const late = of(interactionId);
          return going.some((one) => ticketOf(one) === ticketOf(late) && rank[one.priority] <= rank[late.priority]);
        });
    });
  });
});
