import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** Linux counts CPU in hundredths of a second, whatever the kernel's own tick is. */
const TICK_MS = 10;
const STATE = 0;
const PARENT = 1;
const USER_TICKS = 11;
const SYSTEM_TICKS = 12;

/** CPU that a process has used so far, ms, its children that live included; null where the system doesn't tell. */
export function cpuSpentMs(pid: number): number | null {
  if (!existsSync('/proc/self/stat')) return null;
  let ticks = 0;
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const fields = statOf(name);
    if (fields === null || fields[STATE] === 'Z') continue;
    if (Number(name) === pid || Number(fields[PARENT]) === pid)
      ticks += Number(fields[USER_TICKS]) + Number(fields[SYSTEM_TICKS]);
  }
  return ticks * TICK_MS;
}

/** What follows the name in parentheses, which may itself hold blanks. */
function statOf(pid: string): string[] | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null; // it has just ended
  }
}
