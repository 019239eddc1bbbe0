import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 50;
/** How long a server left behind may take to end itself after being asked, ms. */
const LEFTOVER_STOPS_WITHIN_MS = 15_000;
const LEFTOVER_DIES_WITHIN_MS = 5_000;

/** A data directory belongs to a Sluice that is running; two servers on one directory would destroy it. */
export class DataDirectoryInUse extends Error {
  readonly code = 'data_directory_in_use';
}

interface ProcessFacts {
  readonly parent: number;
  readonly command: string;
}

/**
 * Ends the server that an earlier, killed starter left on a data directory. `pidFile` holds the server's process
 * number; a number that now belongs to some other program is left alone. Throws DataDirectoryInUse where the server's
 * starter is alive.
 */
export async function endLeftover(pidFile: string, program: string, stopSignal: NodeJS.Signals): Promise<void> {
  const pid = pidIn(pidFile);
  if (pid === null) return;
  const server = factsOf(pid);
  if (server === null || !server.command.includes(program)) return;
  const starter = factsOf(server.parent);
  // A starter is a Node process; an orphan has been adopted by init or by a session's reaper.
  if (starter !== null && server.parent !== 1 && /\bnode\b/.test(starter.command))
    throw new DataDirectoryInUse(
      `${program} (process ${pid}) runs already, started by process ${server.parent}: stop that one first, ` +
        `or choose another data directory. (${pidFile})`,
    );
  process.kill(pid, stopSignal);
  if (await isGoneWithin(pid, LEFTOVER_STOPS_WITHIN_MS)) return;
  process.kill(pid, 'SIGKILL');
  await isGoneWithin(pid, LEFTOVER_DIES_WITHIN_MS);
  rmSync(pidFile, { force: true });
}

async function isGoneWithin(pid: number, boundMs: number): Promise<boolean> {
  for (let waitedMs = 0; waitedMs <= boundMs; waitedMs += POLL_MS) {
    if (factsOf(pid) === null) return true;
    await sleep(POLL_MS);
  }
  return false;
}

function pidIn(file: string): number | null {
  if (!existsSync(file)) return null;
  const pid = Number.parseInt(readFileSync(file, 'utf8'), 10);
  return Number.isInteger(pid) && pid > 1 ? pid : null;
}

/** What runs as this process; null where nothing does. From /proc where there is one: slim images have no `ps`. */
function factsOf(pid: number): ProcessFacts | null {
  if (existsSync('/proc/self/stat')) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (state === 'Z') return null;
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      return { parent: Number(parent), command };
    } catch {
      return null;
    }
  }
  const ps = spawnSync('ps', ['-o', 'ppid=,command=', '-p', String(pid)], { encoding: 'utf8' });
  const match = /^\s*(\d+)\s+(.*)$/m.exec(ps.stdout ?? '');
  return match === null ? null : { parent: Number(match[1]), command: match[2] ?? '' };
}
