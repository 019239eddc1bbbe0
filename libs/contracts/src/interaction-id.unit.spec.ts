import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { channelOf, escapeToken, interactionIdOf } from './interaction-id.js';

describe('an interaction id', () => {
  it('keeps a call and a chat of the same number apart', () => {
    expect(interactionIdOf('call', 138)).toBe('call-138');
    expect(interactionIdOf('chat', 138)).toBe('chat-138');
    expect(channelOf('chat-138')).toBe('chat');
  });

  it('escapes what would mean something in a subject', () => {
    expect(interactionIdOf('call', 'a.b*c>d e')).toBe('call-a~2Eb~2Ac~3Ed~20e');
    expect(escapeToken('~')).toBe('~7E');
    expect(escapeToken('é')).toBe('~C3~A9');
  });

  it('is one subject token, and two sessions never share one', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', minLength: 1 }),
        fc.string({ unit: 'grapheme', minLength: 1 }),
        (a, b) => {
          expect(interactionIdOf('call', a)).toMatch(/^call-[A-Za-z0-9_~-]+$/);
          expect(interactionIdOf('call', a) === interactionIdOf('call', b)).toBe(a === b);
        },
      ),
    );
  });
});
