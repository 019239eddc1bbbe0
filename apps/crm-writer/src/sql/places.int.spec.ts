import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Tx } from '#postgres';
import { type WriterDatabase, writerDatabase } from '../../test/writer-database.js';
import type { AskedPlace } from '../write.store.js';
import { askForPlace } from './ask-for-place.js';
import { claimPlace } from './claim-place.js';
import { forgetPlace } from './forget-place.js';
import { takePlacesLeft } from './take-places-left.js';

const ACCOUNT = 'acme';
const asked = (requestId: string): AskedPlace => ({ requestId, kind: 'tickets.create_many', priority: 'normal' });

describe('a place that is asked for', () => {
  let database: WriterDatabase;
  const tx: Tx = {
    query: async <R>(sql: string, params: readonly unknown[] = []) =>
      (await database.pool.query(sql, params as unknown[])).rows as R[],
  };

  beforeAll(async () => {
    database = await writerDatabase('places spec', 2);
  });

  afterAll(async () => {
    await database?.drop();
  });

  it('belongs to the call that claims it, once', async () => {
    expect(await askForPlace(tx, ACCOUNT, asked('claimed'))).toBe(true);
    expect(await claimPlace(tx, 'claimed')).toBe(true);
    expect(await claimPlace(tx, 'claimed')).toBe(false);
    expect(await takePlacesLeft(tx, ACCOUNT, 0, 10)).toEqual([]);
  });

  it('can be claimed or asked for no more once it is being given back, until that is heard', async () => {
    await askForPlace(tx, ACCOUNT, asked('left'));
    expect(await takePlacesLeft(tx, ACCOUNT, 60_000, 10)).toEqual([]);
    expect(await takePlacesLeft(tx, 'other', 0, 10)).toEqual([]);
    expect(await takePlacesLeft(tx, ACCOUNT, 0, 10)).toEqual([asked('left')]);
    expect(await claimPlace(tx, 'left')).toBe(false);
    expect(await askForPlace(tx, ACCOUNT, asked('left'))).toBe(false);
    expect(await takePlacesLeft(tx, ACCOUNT, 0, 10)).toEqual([asked('left')]);
    await forgetPlace(tx, 'left');
    expect(await takePlacesLeft(tx, ACCOUNT, 0, 10)).toEqual([]);
  });

  it('is taken oldest first, so many at a time', async () => {
    for (const requestId of ['a', 'b', 'c']) await askForPlace(tx, ACCOUNT, asked(requestId));
    expect((await takePlacesLeft(tx, ACCOUNT, 0, 2)).map(({ requestId }) => requestId).sort()).toEqual(['a', 'b']);
  });
});
