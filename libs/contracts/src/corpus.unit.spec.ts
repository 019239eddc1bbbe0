import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parseCommand } from './command.js';
import { encodeEnvelope, type Parsed } from './envelope.js';
import { parseInteractionEvent } from './interaction-event.js';
import { parseOutcome } from './outcome.js';

const CORPUS = join(import.meta.dirname, '..', 'corpus', 'v1');
const PARSERS: Record<string, (bytes: Uint8Array) => Parsed<unknown>> = {
  interaction: parseInteractionEvent,
  command: parseCommand,
  outcome: parseOutcome,
};

/** Messages of version 1 as they were first written. They are never changed: whatever a release can't read of them is lost to its users. */
const files = readdirSync(CORPUS);

describe('a message of version 1', () => {
  it.each(files)('is read by this release: %s', (file) => {
    const bytes = readFileSync(join(CORPUS, file));
    const parsed = PARSERS[file.split('.')[0]!]!(bytes);
    expect(parsed).toMatchObject({ ok: true, value: { schemaVersion: 1, id: expect.any(String) } });
  });

  it('reads the same after another trip', () => {
    for (const file of files.filter((name) => name.startsWith('command'))) {
      const first = parseCommand(readFileSync(join(CORPUS, file)));
      if (!first.ok) throw new Error(first.reason);
      expect(parseCommand(encodeEnvelope(first.value))).toEqual(first);
    }
  });
});

describe('a message that is none', () => {
  const good = JSON.parse(readFileSync(join(CORPUS, 'interaction.assigned.json'), 'utf8')) as Record<string, unknown>;
  const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

  it.each([
    ['no JSON', new TextEncoder().encode('{')],
    ['no UTF-8', new Uint8Array([0xff, 0xfe])],
    ['no object', encode(null)],
    ['an unknown type', encode({ ...good, type: 'exploded' })],
    ['a version to come', encode({ ...good, schemaVersion: 2 })],
    ['no instant', encode({ ...good, occurredAt: 'yesterday' })],
    ['no account', encode({ ...good, account: '' })],
    ['no data', encode({ ...good, data: null })],
    ['another event inside', encode({ ...good, data: { ...(good['data'] as object), event: 'ended' } })],
  ])('is named, not thrown: %s', (_what, bytes) => {
    const parsed = parseInteractionEvent(bytes);
    expect(parsed).toEqual({ ok: false, reason: expect.any(String) });
  });
});
