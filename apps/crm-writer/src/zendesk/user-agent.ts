import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** Folders looked at, upwards, for the project's own package.json. */
const MAX_FOLDERS_UP = 8;

/** How Sluice names itself to the CRM: `sluice/<version of this release>`. */
export function userAgent(): string {
  let folder = import.meta.dirname;
  for (let up = 0; up < MAX_FOLDERS_UP; up += 1) {
    const file = path.join(folder, 'package.json');
    if (existsSync(file)) {
      const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version?: string };
      if (version !== undefined) return `sluice/${version}`;
    }
    folder = path.dirname(folder);
  }
  return 'sluice';
}
