import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative, sep } from 'node:path';

/** The repository's own folder. */
export const ROOT = join(import.meta.dirname, '..', '..');

const SKIPPED = new Set(['node_modules', 'dist', 'coverage', '.git', '.sluice']);

/** Every file below a folder of the repository whose name ends so, as paths from the root with `/`. */
export function filesUnder(folder: string, ending: string): string[] {
  const found: string[] = [];
  const walk = (directory: string): void => {
    for (const name of readdirSync(directory)) {
      if (SKIPPED.has(name)) continue;
      const path = join(directory, name);
      if (statSync(path).isDirectory()) walk(path);
      else if (name.endsWith(ending)) found.push(relative(ROOT, path).split(sep).join('/'));
    }
  };
  walk(join(ROOT, folder));
  return found.sort();
}

/** A file's text. */
export function textOf(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** Product source: TypeScript of apps and libs without specs. */
export function productSource(): string[] {
  return [...filesUnder('apps', '.ts'), ...filesUnder('libs', '.ts')].filter((path) => !path.endsWith('.spec.ts'));
}
