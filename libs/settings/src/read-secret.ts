import { readFileSync } from 'node:fs';

/** A secret's reference can't be followed. Says which one and why, never a value. */
export class SecretUnavailable extends Error {
  readonly code = 'secret_unavailable';
  constructor(
    readonly ref: string,
    reason: string,
  ) {
    super(`secret ${ref}: ${reason}`);
    this.name = 'SecretUnavailable';
  }
}

/**
 * The secret that `env:NAME` (an environment variable of this process) or `file:/path` (a file readable by it, trailing
 * line break removed) stands for.
 *
 * @throws SecretUnavailable where it is absent, empty or the reference is of neither form
 */
export function readSecret(ref: string, env: Readonly<Record<string, string | undefined>> = process.env): string {
  const value = ref.startsWith('env:') ? fromEnv(ref, env) : ref.startsWith('file:') ? fromFile(ref) : undefined;
  if (value === undefined) throw new SecretUnavailable(ref, 'must be env:NAME or file:/path');
  if (value === '') throw new SecretUnavailable(ref, 'is empty');
  return value;
}

function fromEnv(ref: string, env: Readonly<Record<string, string | undefined>>): string {
  const value = env[ref.slice('env:'.length)];
  if (value === undefined) throw new SecretUnavailable(ref, 'this environment variable is not set');
  return value;
}

function fromFile(ref: string): string {
  try {
    return readFileSync(ref.slice('file:'.length), 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    throw new SecretUnavailable(ref, `can't be read (${(error as NodeJS.ErrnoException).code})`);
  }
}
