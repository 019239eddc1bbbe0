import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ROOT } from './source-files.js';

/** Lints one planted file with the repository's own rules and returns what they say of it. */
function lint(folder: string, path: string, text: string): { exitCode: number | null; findings: string } {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  const oxlint = join(ROOT, 'node_modules', 'oxlint', 'bin', 'oxlint');
  const run = spawnSync(process.execPath, [oxlint, '--deny-warnings', '--disable-nested-config', 'apps', 'libs'], {
    cwd: folder,
    encoding: 'utf8',
  });
  return { exitCode: run.status, findings: `${run.stdout}${run.stderr}` };
}

describe('a planted breach of the boundaries', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sluice house '));
    cpSync(join(ROOT, '.oxlintrc.json'), join(folder, '.oxlintrc.json'));
    for (const name of ['apps', 'libs']) mkdirSync(join(folder, name));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it.each([
    ["import { readFileSync } from 'node:fs';\nexport const a = readFileSync;", 'node:fs'],
    ["import { Injectable } from '@nestjs/common';\nexport const a = Injectable;", '@nestjs/common'],
    ["import { DataSource } from 'typeorm';\nexport const a = DataSource;", 'typeorm'],
    ["import { connectNats } from '#jetstream';\nexport const a = connectNats;", '#jetstream'],
    ["import { b } from '../shell.js';\nexport const a = b;", '../shell.js'],
    ['export const a = (): number => Date.now();', 'Date'],
    ['export const a = (): number => Math.random();', 'Math.random'],
    ['export const a = (): unknown => process.pid;', 'process'],
    ["export const a = (): unknown => fetch('http://127.0.0.1');", 'fetch'],
  ])('in domain/ is found: %s', (text, culprit) => {
    const { exitCode, findings } = lint(folder, 'apps/planted/src/domain/a.ts', text);
    expect(exitCode).not.toBe(0);
    expect(findings).toContain(culprit);
  });

  it.each([
    ['apps/planted/src/a.ts', "import { b } from '../../other/src/b.js';\nexport const a = b;"],
    ['apps/planted/src/zendesk/a.ts', "import { b } from '../../../other/src/b.js';\nexport const a = b;"],
    ['apps/planted/src/a.ts', "import { b } from '../../../libs/other/src/b.js';\nexport const a = b;"],
    ['libs/planted/src/a.ts', "import { b } from '../../../apps/other/src/b.js';\nexport const a = b;"],
  ])('between parts is found: %s', (path, text) => {
    expect(lint(folder, path, text).exitCode).not.toBe(0);
  });

  it('is not cried at clean code', () => {
    const text = "import { rankOf } from '#contracts';\nimport { b } from './b.js';\nexport const a = [rankOf, b];\n";
    expect(lint(folder, 'apps/planted/src/domain/a.ts', text).exitCode).toBe(0);
  });
});
