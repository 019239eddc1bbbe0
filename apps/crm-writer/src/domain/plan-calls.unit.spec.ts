import { describe, expect, it } from '@jest/globals';
import type { Contact } from '#contracts';
import type { ContactStanding } from './contact.js';
import { planCalls, type PlanOptions } from './plan-calls.js';
import type { WaitingInteraction } from './write.js';

const NOBODY: Contact = { phone: null, userId: null, email: null, name: null };
const options: PlanOptions = {
  creates: 'single',
  updates: 'single',
  fewestPerJob: 3,
  externalIdPrefix: 'ccai-',
  contactOf: () => ({ standing: 'anonymous' }),
  taken: new Set(),
};

function interaction(interactionId: string, more: Partial<WaitingInteraction> = {}): WaitingInteraction {
  return {
    interactionId,
    ticketId: null,
    followUpOf: null,
    priority: 'normal',
    since: 0,
    solo: false,
    ensure: { subject: 's', mode: 'new', contact: NOBODY },
    queuePath: null,
    appendTo: null,
    commands: [
      {
        commandId: `${interactionId}-c`,
        action: { kind: 'addComment', body: 'text', public: false },
        eventAt: 1,
        eventRank: 0,
        ordinal: 0,
        priority: 'normal',
        attempts: 0,
      },
    ],
    ...more,
  };
}

const ids = (calls: ReturnType<typeof planCalls>['calls']) =>
  calls.map(({ kind, items }) => `${kind} ${items.map(({ interactionId }) => interactionId).join(',')}`);

describe('planning calls', () => {
  it('goes by priority, then by age', () => {
    const waiting = [
      interaction('a', { since: 3 }),
      interaction('b', { since: 1 }),
      interaction('c', { since: 9, priority: 'live' }),
      interaction('d', { since: 0, priority: 'backlog' }),
    ];
    expect(ids(planCalls(waiting, options).calls)).toEqual(['c', 'b', 'a', 'd'].map((id) => `tickets.create ${id}`));
  });

  it('makes jobs of what a job can carry, and single calls of too few', () => {
    const waiting = Array.from({ length: 102 }, (_, i) => interaction(`i${i}`, { since: i }));
    const plan = planCalls(waiting, { ...options, creates: 'batch' });
    expect(plan.calls.map(({ kind, items }) => [kind, items.length])).toEqual([
      ['tickets.create_many', 100],
      ['tickets.create', 1],
      ['tickets.create', 1],
    ]);
  });

  it('keeps the halves of what failed as a whole among themselves, and takes the last one out', () => {
    const waiting = [
      ...Array.from({ length: 4 }, (_, i) => interaction(`half${i}`, { since: i, mostInJob: 2 })),
      ...Array.from({ length: 3 }, (_, i) => interaction(`new${i}`, { since: 10 + i })),
      interaction('last', { since: 99, mostInJob: 1 }),
    ];
    const plan = planCalls(waiting, { ...options, creates: 'batch', fewestPerJob: 1 });
    expect(ids(plan.calls)).toEqual([
      'tickets.create_many half0,half1',
      'tickets.create_many half2,half3',
      'tickets.create_many new0,new1,new2',
      'tickets.create last',
    ]);
  });

  it('makes one ticket at a time for one requester, by whatever key they are known', () => {
    const of = (phone: string) => ({ subject: 's', mode: 'new' as const, contact: { ...NOBODY, phone } });
    const waiting = [interaction('a', { ensure: of('+1') }), interaction('b', { since: 1, ensure: of('+2') })];
    const known = { ...options, contactOf: () => ({ standing: 'known' as const, userId: 5 }) };
    const plan = planCalls(waiting, known);
    expect(ids(plan.calls)).toEqual(['tickets.create a']);
    expect(plan.held).toEqual([{ interactionId: 'b', because: 'contactBusy' }]);
    expect(planCalls(waiting, { ...known, taken: new Set(['requester:5']) }).calls).toEqual([]);
  });

  it('keeps a ticket out of two calls, and what failed out of a job', () => {
    const waiting = [
      interaction('a', { ticketId: 7 }),
      interaction('b', { ticketId: 7 }),
      interaction('c', { ticketId: 8 }),
      interaction('d', { ticketId: 9 }),
      interaction('e', { ticketId: 10, commands: [{ ...interaction('e').commands[0]!, attempts: 1 }] }),
    ];
    const plan = planCalls(waiting, { ...options, updates: 'batch' });
    expect(ids(plan.calls)).toEqual(['tickets.update_many a,c,d', 'tickets.update e']);
    expect(plan.held).toEqual([{ interactionId: 'b', because: 'ticketBusy' }]);
  });

  it('appends to the open ticket of the same contact', () => {
    const ensure = { subject: 's', mode: 'append', contact: NOBODY } as const;
    const plan = planCalls([interaction('a', { ensure, appendTo: 7 }), interaction('b', { ensure })], options);
    expect(plan.calls.map(({ items }) => [items[0]!.ticketId, items[0]!.knownTicketId])).toEqual([
      [7, null],
      [null, null],
    ]);
  });

  it('makes a ticket beside one that is closed, and doesn’t append to it again', () => {
    const ensure = { subject: 's', mode: 'append', contact: NOBODY } as const;
    const [call] = planCalls([interaction('a', { ensure, appendTo: 7, followUpOf: 7 })], options).calls;
    expect(call).toMatchObject({ kind: 'tickets.create', items: [{ ticketId: null, followUpOf: 7 }] });
  });

  it('follows up though the first command’s text is forgotten', () => {
    const [call] = planCalls([interaction('a', { ensure: null, followUpOf: 7 })], options).calls;
    expect(call!.items[0]).toMatchObject({ subject: 'Follow-up of ticket #7', requester: { by: 'none' } });
  });

  it('takes one step for an unknown contact, however many wait for it', () => {
    const contact = { ...NOBODY, phone: '+491' };
    const ensure = { subject: 's', mode: 'new', contact } as const;
    const standing: ContactStanding = { standing: 'step', step: 'search', attempts: 0 };
    const plan = planCalls([interaction('a', { ensure }), interaction('b', { ensure })], {
      ...options,
      contactOf: () => standing,
    });
    expect(plan.calls).toEqual([]);
    expect(plan.contactSteps).toEqual([
      { step: 'search', contact, keys: ['phone:+491'], priority: 'normal', attempts: 0 },
    ]);
    expect(plan.held).toEqual([{ interactionId: 'b', because: 'contactBusy' }]);
  });

  it.each<[ContactStanding, object]>([
    [
      { standing: 'known', userId: 5 },
      { by: 'userId', userId: 5 },
    ],
    [
      { standing: 'byEmail', email: 'a@b.example', name: null },
      { by: 'email', email: 'a@b.example', name: null },
    ],
    [{ standing: 'anonymous' }, { by: 'none' }],
  ])('names the requester as far as known', (standing, requester) => {
    const [call] = planCalls([interaction('a')], { ...options, contactOf: () => standing }).calls;
    expect(call!.items[0]!.requester).toEqual(requester);
  });

  it('holds what can’t go, and says why', () => {
    const held = (waiting: WaitingInteraction, more: Partial<PlanOptions> = {}) =>
      planCalls([waiting], { ...options, ...more }).held[0]?.because;
    expect(held(interaction('a', { ensure: null }))).toBe('noTicketCommand');
    expect(held(interaction('a'), { taken: new Set(['a']) })).toBe('interactionBusy');
    expect(held(interaction('a', { ticketId: 7 }), { taken: new Set(['ticket:7']) })).toBe('ticketBusy');
    expect(held(interaction('a'), { contactOf: () => ({ standing: 'busy' }) })).toBe('contactBusy');
    expect(held(interaction('a'), { contactOf: () => ({ standing: 'refused', code: 'x' }) })).toBe('contactRefused');
  });
});
