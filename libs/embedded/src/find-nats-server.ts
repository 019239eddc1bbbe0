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

/** Where programs are looked for, and where one of our own is kept. */
export interface Machine {
  /** `$NATS_SERVER`: exactly this one. */
  readonly named: string | null;
  readonly directories: readonly string[];
  /** Sluice's own folder; its nats-server is `<home>/bin/nats-server`. */
  readonly home: string;
  /** Whether we may change the system. */
  readonly isRoot: boolean;
}

/** This machine, as the environment tells. */
export function thisMachine(): Machine {
  const own = ownEnvironment();
  const onPath = own.path.split(path.delimiter).filter((directory) => directory !== '');
  const goBin = path.join(own.home || '/', 'go/bin');
  return {
    named: own.natsServer === '' ? null : own.natsServer,
    directories: [...new Set([...onPath, ...USUAL_DIRECTORIES, goBin])],
    home: homeDirectory(),
    isRoot: process.getuid?.() === 0,
  };
}

/** Where Sluice keeps a nats-server of its own. */
export function ownNatsServer(machine: Machine): string {
  return path.join(machine.home, 'bin', 'nats-server');
}

/**
 * The nats-server to use: the one named by NATS_SERVER, else the first usable one of PATH, the usual directories and
 * `.sluice/bin`. Null where there is none. Throws where NATS_SERVER names something unusable: that is never replaced
 * by something else in silence.
 */
export function findNatsServer(machine: Machine = thisMachine()): NatsServerProgram | null {
  const { named, directories } = machine;
  if (named !== null) {
    const program = programAt(named);
    if (program === null)
      throw new Error(`NATS_SERVER=${named} is no nats-server of version ${OLDEST_NATS_SERVER} or newer.`);
    return program;
  }
  const candidates = directories.map((directory) => path.join(directory, 'nats-server'));
  for (const candidate of [...candidates, ownNatsServer(machine)]) {
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
