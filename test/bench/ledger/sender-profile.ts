import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import path from 'node:path';

/** Runs `work` under V8's own profiler, and leaves `<name>.cpuprofile` in the folder; without a folder just runs it. */
export async function profiled<T>(folder: string | null, name: string, work: () => Promise<T>): Promise<T> {
  if (folder === null) return work();
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.start');
  try {
    return await work();
  } finally {
    const { profile } = await session.post('Profiler.stop');
    session.disconnect();
    writeFileSync(path.join(folder, `${name}.cpuprofile`), JSON.stringify(profile));
  }
}
