import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import { environmentWith, ownEnvironment } from './environment.js';
import { homeDirectory } from './project-root.js';

/** The oldest nats-server with everything Sluice uses of JetStream. */
export const OLDEST_NATS_SERVER = '2.9.0';
const VERSION_WITHIN_MS = 10_000;
/** Where package managers put it, though an ordinary user's PATH may not say so. */
const USUAL_DIRECTORIES = ['/usr/local/bin', '/usr/bin', '/usr/sbin', '/usr/local/sbin', '/opt/homebrew/bin'];

export interface NatsServerProgram {
  readonly path: string;
  /** `2.10.27`, without a leading v. */
  readonly version: string;
}

/** Where Sluice keeps a nats-server of its own. */
export function ownNatsServer(): string {
  return path.join(homeDirectory(), 'bin', 'nats-server');
}

/**
 * The nats-server to use: the one named by NATS_SERVER, else the first usable one of PATH, the usual directories and
 * `.sluice/bin`. Null where there is none. Throws where NATS_SERVER names something unusable: that is never replaced
 * by something else in silence.
 */
export function findNatsServer(): NatsServerProgram | null {
  const named = ownEnvironment('NATS_SERVER');
  if (named !== null) {
    const program = programAt(named);
    if (program === null)
      throw new Error(`NATS_SERVER=${named} is no nats-server of version ${OLDEST_NATS_SERVER} or newer.`);
    return program;
  }
  const onPath = (ownEnvironment('PATH') ?? '').split(path.delimiter).filter((directory) => directory !== '');
  const goBin = path.join(ownEnvironment('HOME') ?? '/', 'go/bin');
  const candidates = [...onPath, ...USUAL_DIRECTORIES, goBin].map((directory) => path.join(directory, 'nats-server'));
  for (const candidate of new Set([...candidates, ownNatsServer()])) {
    const program = programAt(candidate);
    if (program !== null) return program;
  }
  return null;
}

/** The nats-server at this path with its version; null where there is none, it doesn't run, or it is too old. */
export function programAt(file: string): NatsServerProgram | null {
  try {
    accessSync(file, constants.X_OK);
  } catch {
    return null;
  }
  const run = spawnSync(file, ['--version'], {
    encoding: 'utf8',
    timeout: VERSION_WITHIN_MS,
    env: environmentWith({}),
  });
  const version = /v?(\d+\.\d+\.\d+)/.exec(run.stdout ?? '')?.[1];
  if (run.status !== 0 || version === undefined || !isAtLeast(version, OLDEST_NATS_SERVER)) return null;
  return { path: file, version };
}

/** Compares `major.minor.patch` by number. */
function isAtLeast(version: string, oldest: string): boolean {
  const [wanted, had] = [oldest, version].map((text) => text.split('.').map(Number));
  for (const position of [0, 1, 2]) {
    const difference = (had?.[position] ?? 0) - (wanted?.[position] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}
