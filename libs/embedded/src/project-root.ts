import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder that holds Sluice's package.json, found from this file: the same from the sources and from dist/. */
export function projectRoot(): string {
  let folder = path.dirname(fileURLToPath(import.meta.url));
  while (!existsSync(path.join(folder, 'package.json'))) {
    const parent = path.dirname(folder);
    if (parent === folder) throw new Error('Sluice was moved apart: no package.json above ' + import.meta.url);
    folder = parent;
  }
  return folder;
}

/** Everything that Sluice keeps on this machine by itself (servers' data, logs, a nats-server); git ignores it. */
export function homeDirectory(): string {
  return path.join(projectRoot(), '.sluice');
}
