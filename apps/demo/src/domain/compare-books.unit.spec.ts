import { describe, expect, it } from '@jest/globals';
import { compareBooks } from './compare-books.js';

const clean = {
  ticketsPerExternalId: { 'ccai-call-1': 1, 'ccai-chat-1': 1 },
  marks: { a: 1, b: 1 },
  usersPerContact: { '+12025550100': 1 },
};

describe('the comparison with the books of the CRM', () => {
  it('finds nothing where everything is there once', () => {
    expect(compareBooks(['call-1', 'chat-1'], ['a', 'b'], 'ccai-', clean)).toEqual({
      tickets: 2,
      lost: [],
      doubled: [],
      strangers: [],
    });
  });

  it('finds a lost ticket and a lost command', () => {
    expect(compareBooks(['call-1', 'chat-1', 'call-2'], ['a', 'b', 'c'], 'ccai-', clean).lost).toEqual([
      'ticket ccai-call-2',
      'command c',
    ]);
  });

  it('finds whatever is there twice', () => {
    const books = {
      ticketsPerExternalId: { 'ccai-call-1': 2 },
      marks: { a: 2 },
      usersPerContact: { '+12025550100': 2 },
    };
    expect(compareBooks(['call-1'], ['a'], 'ccai-', books).doubled).toEqual([
      'ticket ccai-call-1 × 2',
      'command a × 2',
      'contact +12025550100 × 2',
    ]);
  });

  it('finds a ticket that no interaction asked for', () => {
    expect(compareBooks(['call-1'], [], 'ccai-', clean).strangers).toEqual(['ccai-chat-1']);
  });
});
