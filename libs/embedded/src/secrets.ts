import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const PASSWORD_BYTES = 24;

/**
 * A password for each user, in a file of its own that only we can read (`<directory>/<user>`): made the first time, the
 * same ever after. Answers user → password.
 */
export function passwordsFor(users: readonly string[], directory: string): Record<string, string> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return Object.fromEntries(users.map((user) => [user, passwordIn(path.join(directory, user))]));
}

function passwordIn(file: string): string {
  if (!existsSync(file)) secretFile(file, randomBytes(PASSWORD_BYTES).toString('base64url'));
  return readFileSync(file, 'utf8').trim();
}

/** Writes a secret where only we can read it; answers the file's name. */
export function secretFile(file: string, content: string): string {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(file, content, { mode: 0o600 });
  return file;
}
