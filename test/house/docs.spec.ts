import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { envNameOf } from '#settings';
import { filesUnder, productSource, ROOT, textOf } from './source-files.js';

describe('the documentation', () => {
  it('explains every error code that the code can give', () => {
    const explained = textOf('docs/errors.md');
    const given = [
      /\bcode(?::| =) '([a-z][a-z0-9]*(?:_[a-z0-9]+)*)'/g,
      /\b(?:reject|rejected|park|lose|failedAgain|parkedOrAlone|DoorRejection|HttpRefusal|BusUnavailable)\(\s*'([a-z_0-9]+)'/g,
    ];
    const sources = productSource().filter(
      (path) => !path.startsWith('apps/zendesk-simulator/') && !path.includes('/sql/'),
    );
    const codes = new Set(
      sources.flatMap((path) =>
        given.flatMap((pattern) => [...textOf(path).matchAll(pattern)].map(([, code]) => code!)),
      ),
    );
    expect(codes.size).toBeGreaterThan(10);
    expect([...codes].filter((code) => !explained.includes(`\`${code}\``)).sort()).toEqual([]);
  });

  it('explains every setting that a service reads', () => {
    const explained = textOf('docs/settings.md');
    const kinds = 'text|integer|flag|choice|url|secretText|duration|folders';
    const setting = new RegExp(`^\\s+([a-z][A-Za-z0-9]*): (?:${kinds})\\(`, 'gm');
    const specs = productSource().filter((path) => /(\.settings|shared-settings)\.ts$/.test(path));
    const names = specs.flatMap((path) => [...textOf(path).matchAll(setting)].map(([, name]) => envNameOf(name!)));
    expect(names.length).toBeGreaterThan(10);
    expect(names.filter((name) => !explained.includes(`\`${name}\``)).sort()).toEqual([]);
  });

  it('has no link that leads nowhere', () => {
    const pages = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'SECURITY.md', ...filesUnder('docs', '.md')];
    const broken = pages.flatMap((page) =>
      [...textOf(page).matchAll(/\]\((?!https?:|mailto:|#)([^)#\s]+)/g)]
        .map(([, target]) => target!)
        .filter((target) => !existsSync(join(ROOT, dirname(page), target)))
        .map((target) => `${page}: ${target}`),
    );
    expect(broken).toEqual([]);
  });

  it('names only files that exist in the state charts', () => {
    const named = [...textOf('docs/flow.md').matchAll(/`((?:apps|libs)\/[\w./-]+\.ts)`/g)].map(([, path]) => path!);
    expect(named.length).toBeGreaterThan(5);
    expect(named.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });
});
