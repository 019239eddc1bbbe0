import fc from 'fast-check';
import { describe, expect, it } from '@jest/globals';
import {
  type Command,
  INTERACTION_EVENTS,
  type InteractionEvent,
  type InteractionEventData,
  type TicketPolicy,
} from '#contracts';
import { DEFAULT_POLICY } from '#accounts';
import { eventOf, NOW } from '../../test/sample-event.js';
import { liquidRender } from '../liquid-render.js';
import { planCommands } from './plan-commands.js';

const render = liquidRender();
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null });
const word = fc.constantFrom('a', 'b c', '{{ x }}', '\n', 'é☎', '<b>');

const facts: fc.Arbitrary<Partial<InteractionEventData>> = fc.record({
  queuePath: optional(word),
  agent: optional(
    fc.record({ id: optional(word), name: optional(word), email: fc.constant(null), virtual: fc.boolean() }),
  ),
  customerMessages: optional(fc.nat(5)),
  endedAt: optional(fc.constant(NOW)),
  callSeconds: optional(fc.nat(500)),
  recordingUrl: optional(fc.constant('https://r.example.com/1')),
  rating: optional(fc.integer({ min: 1, max: 5 })),
  feedback: optional(word),
  voicemail: fc.boolean(),
  abandoned: fc.boolean(),
  dispositions: fc.array(fc.record({ code: optional(word), customCodeId: fc.constant(null), note: optional(word) }), {
    maxLength: 2,
  }),
});

const policy: fc.Arbitrary<TicketPolicy> = fc.record({
  ticketAt: fc.constantFrom('assigned', 'connected'),
  chatAfterCustomerMessages: fc.nat(3),
  mode: fc.constantFrom('new', 'append'),
  subject: fc.constantFrom(DEFAULT_POLICY.subject, '', '{% bad'),
  body: fc.constantFrom(DEFAULT_POLICY.body, '{{ feedback }}'),
  bodyPublic: fc.boolean(),
  comments: fc.constantFrom(DEFAULT_POLICY.comments, {}, { started: { body: 'hello', public: false } }),
  tags: fc.constantFrom([], ['ccai'], ['ccai', 'ccai_abandoned']),
  customFields: fc.constantFrom([], [
    { id: 1, value: '{{ rating }}', type: 'number' },
    { id: 2, value: '{{ agent.name }}', type: 'text' },
  ] as const),
  backlogAfterMs: fc.constantFrom(0, 60_000),
});

/** Everything that happened to one interaction: each step at most once, in a session that had an assigned agent or an end. */
const history: fc.Arbitrary<readonly InteractionEvent[]> = fc
  .record({ channel: fc.constantFrom('call', 'chat'), steps: fc.array(facts, { minLength: 7, maxLength: 7 }) })
  .map(({ channel, steps }) =>
    INTERACTION_EVENTS.map((name, index) =>
      eventOf(name, { ...steps[index], channel }, { occurredAt: NOW + index * 1_000 }),
    ),
  );

/** As it arrives: some twice, some never, in any order. */
const arrivals = history.chain((events) =>
  fc.array(fc.constantFrom(...events), { minLength: 1, maxLength: 14 }).map((arrived) => ({ arrived, events })),
);

const plan = (event: InteractionEvent, using: TicketPolicy): readonly Command[] =>
  planCommands({ event, policy: using, policyVersion: 1, render, nowMs: NOW + 10_000 });

describe('planning the events of an interaction', () => {
  it('names exactly one ticket, however they come, as soon as one of its last events is there', () => {
    fc.assert(
      fc.property(arrivals, policy, ({ arrived }, using) => {
        const commands = arrived.flatMap((event) => plan(event, using));
        const tickets = new Set(commands.filter(({ type }) => type === 'ensureTicket').map(({ id }) => id));
        const isSure = arrived.some(({ type }) => ['ended', 'dispositioned', 'metadata'].includes(type));
        const callAssigned = arrived.some(({ type, data }) => type === 'assigned' && data.channel === 'call');
        if (isSure || (callAssigned && using.ticketAt === 'assigned')) expect(tickets.size).toBe(1);
        expect(tickets.size).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('gives the same commands for an event whatever came before, at most one of each kind', () => {
    fc.assert(
      fc.property(arrivals, policy, ({ arrived, events }, using) => {
        const alone = new Map(events.map((event) => [event.id, plan(event, using)]));
        for (const event of arrived) {
          const commands = plan(event, using);
          expect(commands).toEqual(alone.get(event.id));
          expect(new Set(commands.map(({ type }) => type)).size).toBe(commands.length);
          expect(commands.every(({ data }, i) => i === 0 || data.ordinal > commands[i - 1]!.data.ordinal)).toBe(true);
        }
      }),
    );
  });

  it('names no two commands alike, apart from the ticket', () => {
    fc.assert(
      fc.property(history, policy, (events, using) => {
        const others = events.flatMap((event) => plan(event, using)).filter(({ type }) => type !== 'ensureTicket');
        expect(new Set(others.map(({ id }) => id)).size).toBe(others.length);
      }),
    );
  });

  it('never makes an empty comment, ticket or change', () => {
    fc.assert(
      fc.property(history, policy, (events, using) => {
        for (const { data } of events.flatMap((event) => plan(event, using))) {
          const { action } = data;
          if (action.kind === 'setFields') expect(action.tags.length + action.customFields.length).toBeGreaterThan(0);
          else expect(action.body.trim()).not.toBe('');
          if (action.kind === 'ensureTicket') expect(action.subject).toMatch(/^\S.*\S$|^\S$/);
        }
      }),
    );
  });
});
