import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Batching, Command, Contact } from '#contracts';
import { comment, NOBODY, ticket } from '../../test/commands.js';
import { type ContactStanding, standingOf } from './contact.js';
import { RehearsedContacts, rehearseCalls, type ToRehearse } from './rehearse-calls.js';

const CALLER = { ...NOBODY, phone: '+12025550147', userId: 'u-1' };

function toRehearse(commands: readonly Command[], more: Partial<ToRehearse> = {}): ToRehearse {
  const opening = commands.map(({ data }) => data.action).find((action) => action.kind === 'ensureTicket');
  return {
    interactionId: commands[0]!.data.interactionId,
    ticketId: null,
    ticketPromised: false,
    followUpOf: null,
    priority: 'normal',
    since: commands[0]!.data.eventAt,
    solo: false,
    ensure: opening ?? null,
    queuePath: null,
    appendTo: null,
    commands: commands.map(({ id, data }) => ({ commandId: id, ...data, attempts: 0 })),
    ...more,
  };
}

describe('a dry run', () => {
  let contacts: RehearsedContacts;
  const nobodyKnown = (contact: Contact): ContactStanding => standingOf(contact, []);
  const rehearse = (
    interactions: readonly ToRehearse[],
    { batching = 'off' as Batching, contactOf = nobodyKnown } = {},
  ) => {
    const { calls, commands } = rehearseCalls(interactions, {
      batching,
      contactOf,
      contacts,
      externalIdPrefix: 'ccai-',
      timeScale: 1,
    });
    return { calls: Object.fromEntries(calls.map(({ kind, ...counts }) => [kind, Object.values(counts)])), commands };
  };

  beforeEach(() => {
    contacts = new RehearsedContacts();
  });

  it('merges what waits of an interaction, as the writer does', () => {
    const { calls, commands } = rehearse([
      toRehearse([ticket('call-1'), comment('call-1', 'a'), comment('call-1', 'b')]),
    ]);
    expect(calls).toEqual({ 'tickets.create': [1, 1] });
    expect(commands.map(({ writer, mergedWith }) => [writer, mergedWith])).toEqual(Array(3).fill(['single', 3]));
  });

  it('changes a ticket that is there, or that was promised before', () => {
    const there = toRehearse([comment('call-1', 'a')], { ticketId: 7, ticketPromised: true });
    const promised = toRehearse([comment('call-2', 'a')], { ticketPromised: true });
    const alike = toRehearse([comment('call-3', 'a')], { ticketPromised: true });
    expect(rehearse([there, promised, alike]).calls).toEqual({ 'tickets.update': [3, 3] });
  });

  it('counts jobs with the looks that they take', () => {
    const many = Array.from({ length: 150 }, (_, n) => toRehearse([ticket(`call-${n}`)]));
    expect(rehearse(many, { batching: 'always' }).calls).toEqual({
      'tickets.create_many': [2, 150],
      'jobs.show': [4, 0],
    });
  });

  it('looks a caller up and makes them once, under whichever key they come', () => {
    const first = toRehearse([ticket('call-1', { contact: CALLER })]);
    expect(rehearse([first]).calls).toEqual({
      'users.search': [1, 0],
      'users.create': [1, 0],
      'tickets.create': [1, 1],
    });
    const again = toRehearse([ticket('call-2', { contact: { ...CALLER, phone: null } })]);
    expect(rehearse([again]).calls).toEqual({ 'tickets.create': [1, 1] });
  });

  it('asks for nobody whom the writer knows, or whom a mail address names', () => {
    const known = (): ContactStanding => ({ standing: 'known', userId: 5 });
    expect(rehearse([toRehearse([ticket('call-1', { contact: CALLER })])], { contactOf: known }).calls).toEqual({
      'tickets.create': [1, 1],
    });
    const byMail = toRehearse([ticket('call-2', { contact: { ...NOBODY, email: 'a@example.com' } })]);
    expect(rehearse([byMail]).calls).toEqual({ 'tickets.create': [1, 1] });
  });

  it('leaves the second ticket of a caller for the next round, as two at once are refused', () => {
    const [one, two] = ['call-1', 'call-2'].map((id) => toRehearse([ticket(id, { contact: CALLER })]));
    const { commands } = rehearse([one!, two!]);
    expect(commands).toHaveLength(1);
    expect(rehearse([two!]).calls).toEqual({ 'tickets.create': [1, 1] });
  });
});
