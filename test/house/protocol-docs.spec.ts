import { describe, expect, it } from '@jest/globals';
import { CALL_KINDS, LEDGER_EVENTS, PRIORITIES, QUOTA_VERBS, REFUSAL_REASONS } from '#contracts';
import { textOf } from './source-files.js';

describe('the page about the quota protocol', () => {
  const page = textOf('docs/protocol.md');

  it('opens with the example that is tried on the running ledger, as it is', () => {
    const [, shown] = /```python\n([\s\S]*?)\n```/.exec(page) ?? [];
    expect(shown).toBe(textOf('examples/quota_client.py').trimEnd());
    expect(page.indexOf('```python')).toBeLessThan(page.indexOf('\n## '));
  });

  it('names every verb, kind, reason, priority and event', () => {
    const words = [...CALL_KINDS, ...REFUSAL_REASONS, ...PRIORITIES, ...LEDGER_EVENTS];
    expect(words.filter((word) => !page.includes(`\`${word}\``))).toEqual([]);
    expect(QUOTA_VERBS.filter((verb) => !page.includes(`\n## ${verb}\n`))).toEqual([]);
  });
});
