import { existsSync } from 'node:fs';
import path from 'node:path';
import { type Child, type Exit, startChild, within } from './child.js';
import { projectRoot } from './project-root.js';

const READY_WITHIN_MS = 60_000;
/** Services promise to be gone 10 s after SIGTERM. */
const STOP_WITHIN_MS = 12_000;

/** Everything under `apps/` that runs by itself. */
export const APPS = ['ingest', 'command-planner', 'quota-ledger', 'crm-writer', 'zendesk-simulator'] as const;
export type AppName = (typeof APPS)[number];

export interface AppOptions {
  readonly app: AppName;
  /** Its settings. Nothing else of our own environment reaches it, beside the machine's basics. */
  readonly env: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  /** Standard error is appended here. */
  readonly logFile: string;
  readonly readyWithinMs?: number;
}

/** One of Sluice's apps, running as a process of its own. */
export interface App {
  readonly app: AppName;
  /** Where it answers HTTP; the same after `restart`. */
  readonly url: string;
  readonly pid: number;
  readonly logFile: string;
  /** Resolves when the process that runs now is gone, for whatever reason. */
  readonly exited: Promise<Exit>;
  hasExited(): boolean;
  /** Asks it to stop, kills it where it doesn't in time. */
  stop(): Promise<Exit>;
  /** kill -9, at once: as a crash would. */
  kill9(): Promise<Exit>;
  /** Starts it again after `stop` or `kill9`, with the same settings and the same HTTP port. */
  restart(env?: Readonly<Record<string, string>>): Promise<void>;
}

/** An app didn't come up; the message ends with the end of its log. */
export class AppNotReady extends Error {
  readonly code = 'app_not_ready';
}

/** Starts a built app (`dist/apps/<app>/src/main.js`) on a free port; resolves once it says that it is ready. */
export async function startApp(options: AppOptions): Promise<App> {
  let { child, url } = await launch(options, options.env);
  const port = Number(new URL(url).port);
  return {
    app: options.app,
    url,
    logFile: options.logFile,
    get pid() {
      return child.pid;
    },
    get exited() {
      return child.exited;
    },
    hasExited: () => child.hasExited(),
    stop: () => child.stop(),
    kill9: () => child.kill9(),
    restart: async (env = {}) => {
      await child.stop();
      ({ child, url } = await launch(options, { ...options.env, ...env }, port));
    },
  };
}

/** The ledger makes many short-lived objects: with more room for young ones fewer outlive their use (as in docker-compose.yml). */
const NODE_OPTIONS_OF: Readonly<Record<string, readonly string[]>> = { 'quota-ledger': ['--max-semi-space-size=64'] };

async function launch(
  { app, args = [], logFile, readyWithinMs = READY_WITHIN_MS }: AppOptions,
  env: Readonly<Record<string, string>>,
  httpPort = 0,
): Promise<{ child: Child; url: string }> {
  const main = path.join(projectRoot(), `dist/apps/${app}/src/main.js`);
  if (!existsSync(main)) throw new AppNotReady(`${app} isn't built (${main}): npm run build`);
  let tellReady: (url: string) => void;
  const ready = new Promise<string>((resolve) => (tellReady = resolve));
  // The simulator is a program for people too: it has a command line instead of settings.
  const isSimulator = app === 'zendesk-simulator';
  const told = isSimulator ? [...args, '--json', `--port=${httpPort}`] : args;
  const child = await startChild({
    command: process.execPath,
    args: ['--enable-source-maps', ...(NODE_OPTIONS_OF[app] ?? []), main, ...told],
    env: { NODE_ENV: 'production', ...(httpPort === 0 ? {} : { HTTP_PORT: String(httpPort) }), ...env },
    cwd: projectRoot(),
    logFile,
    onLine: (line) => {
      const url = readyUrlIn(line, app);
      if (url !== null) tellReady(url);
    },
    stopSignal: 'SIGTERM',
    stopWithinMs: STOP_WITHIN_MS,
  });
  const gone = child.exited.then(({ code, signal }) => {
    throw new Error(`it ended (${signal ?? `exit code ${code}`})`);
  });
  try {
    const late = `it wasn't ready within ${readyWithinMs} ms`;
    return { child, url: await within(Promise.race([ready, gone]), readyWithinMs, late) };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const tail = child.logTail();
    await child.stop();
    throw new AppNotReady(`${app} didn't start: ${why}. The end of ${logFile}:\n${tail}`, { cause });
  }
}

/** The address in `{"ready":"<app>","http":"…"}`; null for every other line. */
function readyUrlIn(line: string, app: AppName): string | null {
  try {
    const said = JSON.parse(line) as { readonly ready?: unknown; readonly http?: unknown } | null;
    return said?.ready === app && typeof said.http === 'string' ? said.http : null;
  } catch {
    return null;
  }
}
