import { describe, expect, it } from '@jest/globals';
import { commandIdOf } from './command.js';

describe("a command's id", () => {
  it('is the same whenever it is planned', () => {
    const once = commandIdOf('demo', 'call-1', 'event-1', 'addComment', 0);
    expect(commandIdOf('demo', 'call-1', 'event-1', 'addComment', 0)).toBe(once);
    expect(once).toMatch(/^[0-9a-f]{32}$/);
  });

  it('differs with everything it is about', () => {
    const ids = [
      commandIdOf('demo', 'call-1', 'event-1', 'addComment', 0),
      commandIdOf('other', 'call-1', 'event-1', 'addComment', 0),
      commandIdOf('demo', 'call-2', 'event-1', 'addComment', 0),
      commandIdOf('demo', 'call-1', 'event-2', 'addComment', 0),
      commandIdOf('demo', 'call-1', 'event-1', 'setFields', 0),
      commandIdOf('demo', 'call-1', 'event-1', 'addComment', 1),
    ];
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('is one per interaction for its ticket, whichever event asked for it', () => {
    expect(commandIdOf('demo', 'call-1', 'assigned', 'ensureTicket', 0)).toBe(
      commandIdOf('demo', 'call-1', 'ended', 'ensureTicket', 3),
    );
  });
});
