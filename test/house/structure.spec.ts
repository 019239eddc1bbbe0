import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { filesUnder, productSource, ROOT, textOf } from './source-files.js';

const offenders = (paths: string[], pattern: RegExp): string[] => paths.filter((path) => pattern.test(textOf(path)));

describe('the house', () => {
  it('lists the names it exports, one by one', () => {
    expect(offenders(productSource(), /^export \* from/m)).toEqual([]);
  });

  it('reads the environment in libs/settings only', () => {
    const elsewhere = productSource().filter((path) => !path.startsWith('libs/settings/'));
    expect(offenders(elsewhere, /process\.env\b/)).toEqual([]);
  });

  it('has a spec beside every SQL statement', () => {
    const statements = filesUnder('apps', '.ts').filter(
      (path) => /\/sql\/[^/]+\.ts$/.test(path) && !path.endsWith('.spec.ts'),
    );
    const untested = statements.filter((path) => {
      const folder = path.slice(0, path.lastIndexOf('/'));
      const specs = filesUnder(folder, '.int.spec.ts').map(textOf).join('\n');
      const name = path.slice(path.lastIndexOf('/') + 1);
      return !specs.includes(`./${name.replace(/\.ts$/, '.js')}`);
    });
    expect(untested).toEqual([]);
  });

  it('has no drawer for everything', () => {
    const names = productSource().filter((path) =>
      /(^|[/.-])(utils?|common|helpers?|manager|impl)([/.-]|$)/i.test(path),
    );
    expect(names).toEqual([]);
  });

  it('keeps every library that package.json names', () => {
    const { imports } = JSON.parse(textOf('package.json')) as { imports: Record<string, { source: string }> };
    const missing = Object.values(imports).filter(({ source }) => !existsSync(join(ROOT, source)));
    expect(missing).toEqual([]);
  });

  it('leaves nothing for later in the code', () => {
    expect(offenders(productSource(), /\b(TODO|FIXME|XXX|HACK)\b/)).toEqual([]);
  });
});
