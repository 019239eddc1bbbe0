import { open, opendir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#clock';
import type { Log } from '#telemetry';
import type { IngestHandler } from './ingest.handler.js';
import { metadataFiles } from './ingest.metrics.js';
import { parseJson } from './json-body.js';
import type { MetadataFolder } from './metadata.folders.js';

/** Files taken in per look through a folder; the rest follows at the next look, which comes at once. */
export const MAX_FILES_PER_LOOK = 100_000;
/** Files that are done and looked at again per look, to see whether they have changed; the others have their turn later. */
const MAX_RECHECKS_PER_LOOK = 2_000;
/** Files read side by side. */
const FILES_AT_ONCE = 8;
/** Files remembered per folder. Those beyond are taken in again at every look, which is slow but loses and doubles nothing. */
const MAX_FILES_REMEMBERED = 500_000;

const FILE_NAME = /^metadata-[A-Za-z0-9_-]{1,128}\.json$/;

export interface MetadataDutyOptions {
  readonly folder: MetadataFolder;
  readonly ingest: IngestHandler;
  /** Why the account's events can't be taken now; null when they can. */
  readonly trouble: () => string | null;
  readonly pollMs: number;
  readonly maxFileBytes: number;
  readonly clock: Clock;
  readonly log: Log;
}

type Done = 'taken' | 'bad' | 'later';

/**
 * Takes in the session metadata files that CCAI writes to a folder (Cloud Storage or SFTP, mounted or synchronised).
 *
 * A file is read once its size and time are the same at two looks, so that one that is just being written is left alone. Files are
 * never changed, moved or removed. What was taken is remembered in memory only: after a restart all files are taken again
 * and come out as duplicates, as a record's event id is made from its content. A file that can't be read as
 * metadata is told in the log once, and looked at again only when it changes.
 */
export class MetadataFolderDuty {
  readonly #options: MetadataDutyOptions;
  readonly #done = new Map<string, string>();
  #seen = new Map<string, string>();
  #looks = 0;
  #trouble: string | null = null;

  constructor(options: MetadataDutyOptions) {
    this.#options = options;
  }

  /** Looks through the folder again and again until `stopping`. Never rejects. */
  async run(stopping: AbortSignal): Promise<void> {
    const { pollMs, clock, folder, log } = this.#options;
    while (!stopping.aborted) {
      let more = false;
      try {
        more = await this.look(stopping);
        this.#trouble = null;
      } catch (error) {
        const reason = (error as Error).message;
        if (reason !== this.#trouble)
          log.warn('metadata files cannot be taken now; trying again', { account: folder.account, reason });
        this.#trouble = reason;
      }
      if (!more) await clock.sleep(pollMs, stopping).catch(() => undefined);
    }
  }

  /**
   * One look: takes in up to `MAX_FILES_PER_LOOK` files that are complete and not yet done. True where more of them wait.
   *
   * @throws where the folder can't be read or events can't be stored now
   */
  async look(stopping: AbortSignal): Promise<boolean> {
    const trouble = this.#options.trouble();
    if (trouble !== null) throw new Error(trouble);
    const { ready, more } = await this.#findReady();
    for (let from = 0; from < ready.length && !stopping.aborted; from += FILES_AT_ONCE)
      await this.#takeAll(ready.slice(from, from + FILES_AT_ONCE));
    return more;
  }

  /** The complete files that are not done, oldest names first as the folder gives them. */
  async #findReady(): Promise<{ readonly ready: readonly Found[]; readonly more: boolean }> {
    const { path } = this.#options.folder;
    const present = new Set<string>();
    const seen = new Map<string, string>();
    const ready: Found[] = [];
    let more = false;
    let index = 0;
    const recheckEvery = Math.ceil(this.#done.size / MAX_RECHECKS_PER_LOOK);
    this.#looks += 1;
    for await (const entry of await opendir(path, { bufferSize: 256 })) {
      if (!entry.isFile() || !FILE_NAME.test(entry.name)) continue;
      present.add(entry.name);
      const isDone = this.#done.has(entry.name) && !this.#seen.has(entry.name);
      if (isDone && (index++ + this.#looks) % recheckEvery !== 0) continue;
      const version = await versionOf(join(path, entry.name));
      if (version === null || this.#done.get(entry.name) === version) continue;
      seen.set(entry.name, version);
      if (this.#seen.get(entry.name) !== version) continue;
      if (ready.length < MAX_FILES_PER_LOOK) ready.push({ name: entry.name, version });
      else more = true;
    }
    for (const name of this.#done.keys()) if (!present.has(name)) this.#done.delete(name);
    this.#seen = seen;
    return { ready, more };
  }

  async #takeAll(files: readonly Found[]): Promise<void> {
    const { account } = this.#options.folder;
    const outcomes = await Promise.all(files.map(({ name }) => this.#take(name)));
    for (const [i, { name, version }] of files.entries()) {
      const outcome = outcomes[i]!;
      if (outcome === 'later') continue;
      metadataFiles.inc({ account, outcome });
      if (this.#done.size < MAX_FILES_REMEMBERED) this.#done.set(name, version);
    }
    if (outcomes.includes('later')) throw new Error('events cannot be stored now');
  }

  async #take(name: string): Promise<Done> {
    const { folder, ingest, log, maxFileBytes } = this.#options;
    const { account } = folder;
    const bad = (reason: string): Done => {
      log.warn('a metadata file is left out until it changes', {
        code: 'metadata_file_bad',
        account,
        file: name,
        reason,
      });
      return 'bad';
    };
    const content = await readBounded(join(folder.path, name), maxFileBytes);
    if (content === null) return bad(`it is larger than ${maxFileBytes} bytes, or gone`);
    const body = parseJson(content);
    if (!body.ok) return bad('it is not JSON in UTF-8');
    const taken = await ingest.take({ account, feed: 'metadata', door: 'folder', body: body.value, traceparent: null });
    switch (taken.kind) {
      case 'taken': {
        const [rejected] = taken.receipt.rejected;
        return rejected === undefined ? 'taken' : bad(rejected.code);
      }
      case 'refused':
        return bad(taken.code);
      case 'unavailable':
        return 'later';
      default:
        return taken satisfies never;
    }
  }
}

interface Found {
  readonly name: string;
  readonly version: string;
}

/** Changes whenever the file does; null where it has gone meanwhile. */
async function versionOf(path: string): Promise<string | null> {
  const found = await stat(path).catch(() => null);
  return found === null ? null : `${found.size}/${found.mtimeMs}`;
}

/** The file's bytes; null where it is larger than allowed or can't be read. */
async function readBounded(path: string, mostBytes: number): Promise<Buffer | null> {
  const file = await open(path, 'r').catch(() => null);
  if (file === null) return null;
  try {
    const { size } = await file.stat();
    if (size > mostBytes) return null;
    const content = Buffer.alloc(size);
    const { bytesRead } = await file.read(content, 0, size, 0);
    return content.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
