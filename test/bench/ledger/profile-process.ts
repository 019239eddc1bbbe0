/*
 * Loaded into a process with `--import <this file>?<profile>` it has V8 profile all its life, and writes the profile down
 * when it exits. (`--cpu-prof` does the same, but isn't allowed in NODE_OPTIONS.)
 */
import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector';

const file = decodeURIComponent(new URL(import.meta.url).search.slice(1));
const session = new Session();
session.connect();
session.post('Profiler.enable');
session.post('Profiler.start');
process.once('exit', () => {
  // Answered before it returns, as the session is of this very thread.
  session.post('Profiler.stop', (error, told) => {
    if (!error) writeFileSync(file, JSON.stringify(told.profile));
  });
});
