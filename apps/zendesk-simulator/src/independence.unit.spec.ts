import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';

const HERE = import.meta.dirname;

function importsUnder(folder: string): string[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.endsWith('.ts') && !name.endsWith('.spec.ts'),
  );
  return files.flatMap((name) =>
    [...readFileSync(join(folder, name), 'utf8').matchAll(/(?:from|import) '([^']+)'/g)].map(([, from]) => from ?? ''),
  );
}

describe('the witness', () => {
  it('shares no library with what it judges', () => {
    const imports = importsUnder(HERE);
    expect(imports.length).toBeGreaterThan(100);
    expect(imports.filter((from) => from.startsWith('#'))).toEqual([]);
  });

  it('has a core that needs nothing but itself', () => {
    expect(importsUnder(join(HERE, 'domain')).filter((from) => !from.startsWith('./'))).toEqual([]);
  });
});
