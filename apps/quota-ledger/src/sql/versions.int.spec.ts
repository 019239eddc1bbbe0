import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type LedgerDatabase, ledgerDatabase } from '../../test/ledger-database.js';
import { demoConfig } from '../domain/demo-books.fixture.spec.js';
import type { NewVersion } from '../ledger.store.js';
import { insertVersions } from './insert-versions.js';
import { readVersions } from './read-versions.js';

describe('the statements about versions of accounts', () => {
  let db: LedgerDatabase;

  beforeAll(async () => {
    db = await ledgerDatabase();
  });
  afterAll(() => db?.drop());
  beforeEach(() => db.empty());

  const version = (name: string, number: number): NewVersion => {
    return { version: number, origin: 'operator', config: { ...demoConfig(), name } };
  };
  const inserted = (leastMs: number, ...versions: NewVersion[]) => insertVersions(db.tx, versions, leastMs);

  it('number them as they come, whatever their account, and read them by account', async () => {
    await inserted(0, version('demo', 1), version('acme', 1));
    await inserted(0, version('demo', 2));
    const read = await readVersions(db.tx, 0);
    expect(read.map(({ id, account, version: number }) => [id, account, number])).toEqual([
      [2, 'acme', 1],
      [1, 'demo', 1],
      [3, 'demo', 2],
    ]);
    expect(read[1]).toMatchObject({ origin: 'operator', config: JSON.parse(JSON.stringify(demoConfig())) });
    expect((await readVersions(db.tx, 2)).map(({ id }) => id)).toEqual([3]);
  });

  it('put them in force now, but not before decisions that were made', async () => {
    const later = 9_000_000_000_000;
    await inserted(0, version('demo', 1));
    await inserted(later, version('demo', 2));
    const [first, second] = await readVersions(db.tx, 0);
    expect(first!.appliedAt).toBeGreaterThan(1_700_000_000_000);
    expect(second!.appliedAt).toBe(later);
  });

  it('refuse a number that an account has already', async () => {
    await inserted(0, version('demo', 1));
    await expect(inserted(0, version('acme', 1), version('demo', 1))).rejects.toThrow('account_version_pkey');
    expect(await readVersions(db.tx, 0)).toHaveLength(1);
  });
});
