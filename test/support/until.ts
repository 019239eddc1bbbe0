import { setTimeout as after } from 'node:timers/promises';

const LOOK_EVERY_MS = 10;

/** Waits until the condition holds (or gives something), looking often; fails after the bound with what was waited for. */
export async function until<T>(
  what: string,
  condition: () => T | null | undefined | false | Promise<T | null | undefined | false>,
  boundMs = 10_000,
): Promise<T> {
  const endsAt = performance.now() + boundMs;
  for (;;) {
    const found = await condition();
    if (found !== null && found !== undefined && found !== false) return found;
    if (performance.now() > endsAt) throw new Error(`not within ${boundMs} ms: ${what}`);
    await after(LOOK_EVERY_MS);
  }
}
