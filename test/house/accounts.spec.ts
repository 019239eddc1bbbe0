import 'reflect-metadata';
import { describe, expect, it } from '@jest/globals';
import { getMetadataStorage } from 'class-validator';
import { CALL_KINDS, CRM_TYPES } from '#contracts';
import { parseAccounts } from '#accounts';
import { catalogueOf, licencesOf } from '#limits';
import * as sections from '../../libs/accounts/src/sections.js';
import { textOf } from './source-files.js';

const EXAMPLE = 'deploy/accounts.example.yaml';

describe('the example of accounts', () => {
  it('holds, as it stands and with everything in it that is only shown', () => {
    const text = textOf(EXAMPLE);
    const shown = text.replaceAll(/^( +)# (?= *[a-zA-Z-]+:)/gm, '$1');
    expect(shown).not.toBe(text);
    for (const yaml of [text, shown]) expect(parseAccounts(yaml)).toMatchObject({ ok: true });
    const parsed = parseAccounts(shown);
    if (!parsed.ok) throw new Error('unreachable');
    expect(parsed.accounts.map(({ crm }) => crm.type)).toEqual(['zendesk', 'salesforce']);
    expect(parsed.accounts[0]).toMatchObject({
      dryRun: true,
      integrations: { 'billing-sync': { share: { weight: 2 } } },
    });
  });
});

describe('docs/accounts.md', () => {
  const page = textOf('docs/accounts.md');

  it('names every key that a file of accounts may have', () => {
    const keys = Object.values(sections)
      .filter((section) => typeof section === 'function' && String(section).startsWith('class '))
      .flatMap((section) => getMetadataStorage().getTargetValidationMetadatas(section, '', false, false))
      .map(({ propertyName }) => propertyName);
    expect(new Set(keys).size).toBeGreaterThan(40);
    expect([...new Set(keys)].filter((key) => !new RegExp(`\\b${key}\\b`).test(page))).toEqual([]);
  });

  it('names every CRM with its licences and limits', () => {
    for (const type of CRM_TYPES) {
      const row = page.split('\n').find((line) => line.startsWith(`| \`${type}\``)) ?? '';
      const limits = licencesOf(type).flatMap((licence) => {
        const catalogue = catalogueOf(type, licence)!;
        return [...catalogue.limits, ...catalogue.holds].map(({ name }) => name);
      });
      expect([...licencesOf(type), ...limits].filter((name) => !row.includes(`\`${name}\``))).toEqual([]);
    }
  });
});

describe('docs/protocol.md', () => {
  it('names every kind of call', () => {
    expect(CALL_KINDS.filter((kind) => !textOf('docs/protocol.md').includes(`\`${kind}\``))).toEqual([]);
  });
});
