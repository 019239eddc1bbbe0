import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';

/** Longest wait for a process beside us to answer, beyond the time that its work was given. */
const ANSWER_LIMIT_MS = 30_000;

/** A program of this bench that runs as a process of its own, asked over Node's channel between processes. Ends with us. */
export class SideProcess<Asked extends object, Told extends object> {
  readonly #child: ChildProcess;

  constructor(program: URL, execArgv: readonly string[] = []) {
    this.#child = fork(fileURLToPath(program), { execArgv: ['--enable-source-maps', ...execArgv], detached: false });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Resolves with its next message. */
  ask(asked: Asked, forMs = 0): Promise<Told> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => end(() => reject(new Error('no answer in time'))), forMs + ANSWER_LIMIT_MS);
      const gone = (code: number | null): void => end(() => reject(new Error(`it ended (exit code ${code})`)));
      const told = (message: unknown): void => end(() => resolve(message as Told));
      const end = (settle: () => void): void => {
        clearTimeout(late);
        this.#child.off('message', told).off('exit', gone);
        settle();
      };
      this.#child.once('message', told).once('exit', gone);
      this.#child.send(asked);
    });
  }

  /** Resolves once it is gone. */
  stop(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) return resolve();
      const kill = setTimeout(() => this.#child.kill('SIGKILL'), ANSWER_LIMIT_MS);
      this.#child.once('exit', () => {
        clearTimeout(kill);
        resolve();
      });
      this.#child.disconnect();
    });
  }
}

/** The other side: answers each message, until the one who asks is gone. A failure ends the process. */
export function answerParent<Asked extends object, Told extends object>(
  answer: (asked: Asked) => Promise<Told> | Told,
): void {
  process.on('message', (asked: Asked) => {
    void Promise.resolve(answer(asked)).then(
      (told) => process.send?.(told),
      (error: unknown) => {
        process.stderr.write(`${inspect(error)}\n`);
        process.exit(1);
      },
    );
  });
  process.once('disconnect', () => process.exit(0));
  // The terminal's Ctrl-C reaches us too; the one who asks decides.
  process.on('SIGINT', () => undefined);
}
