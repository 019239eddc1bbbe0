import { describe, expect, it } from '@jest/globals';
import type { ResponseBody } from '../domain/judge-response.js';
import { auditsIn, ticketIdIn, ticketsIn, userIdIn, usersIn } from './answers.js';

const json = (value: unknown): ResponseBody => ({ type: 'json', value });

describe('an answer of Zendesk', () => {
  it('names the ticket or user that was made', () => {
    expect(ticketIdIn(json({ ticket: { id: 7 } }))).toBe(7);
    expect(userIdIn(json({ user: { id: 8 } }))).toBe(8);
  });

  it('names none where it holds none', () => {
    for (const body of [json({}), json(null), json({ ticket: { id: '7' } }), { type: 'text', text: 'x' } as const]) {
      expect(ticketIdIn(body)).toBeNull();
      expect(ticketsIn(body)).toBeNull();
      expect(auditsIn(body)).toBeNull();
      expect(usersIn(body)).toEqual([]);
    }
  });

  it('lists tickets and users', () => {
    expect(
      ticketsIn(json({ tickets: [{ id: 1, external_id: 'x' }, { id: 2, updated_at: '2026-01-01T00:00:00Z' }, null] })),
    ).toEqual([
      { id: 1, externalId: 'x', updatedAtMs: null },
      { id: 2, externalId: null, updatedAtMs: 1_767_225_600_000 },
    ]);
    expect(
      usersIn(
        json({
          users: [
            { id: 1, phone: '+491', updated_at: '2026' },
            { id: 2, phone: null },
          ],
        }),
      ),
    ).toEqual([
      { id: 1, phone: '+491', updatedAt: '2026' },
      { id: 2, phone: null, updatedAt: '' },
    ]);
  });

  it('lists the marks in audits, and where they go on', () => {
    const audits = [{ metadata: { custom: { sluice: { commands: ['a', 7] } } } }, { metadata: { system: {} } }, {}];
    expect(auditsIn(json({ audits, next_page: 'https://x.example/api/v2/tickets/7/audits?page=2' }))).toEqual({
      marks: [['a'], [], []],
      next: '?page=2',
    });
    const links = { next: 'https://x.example/api/v2/tickets/7/audits?page%5Bafter%5D=c' };
    expect(auditsIn(json({ audits, meta: { has_more: true }, links }))?.next).toBe('?page%5Bafter%5D=c');
    expect(auditsIn(json({ audits, meta: { has_more: false }, links }))?.next).toBeNull();
    expect(auditsIn(json({ audits, next_page: null }))?.next).toBeNull();
  });
});
