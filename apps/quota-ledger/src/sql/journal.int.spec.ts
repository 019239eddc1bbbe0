import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { inTransaction } from '#postgres';
import { until } from '../../../../test/support/until.js';
import { type LedgerDatabase, ledgerDatabase } from '../../test/ledger-database.js';
import { demoConfig } from '../domain/demo-books.fixture.spec.js';
import { openBooks } from '../domain/books.js';
import { snapshotOf } from '../domain/snapshot.js';
import type { TurnToRecord } from '../ledger.store.js';
import { beginTelling } from './begin-telling.js';
import { endTelling } from './end-telling.js';
import { lockPartition } from './lock-partition.js';
import { movePartition } from './move-partition.js';
import { pruneJournal } from './prune-journal.js';
import { raiseEpoch } from './raise-epoch.js';
import { readClock } from './read-clock.js';
import { readJournal } from './read-journal.js';
import { readPartition } from './read-partition.js';
import { readPartitions } from './read-partitions.js';
import { readSeqAt } from './read-seq-at.js';
import { readSnapshots } from './read-snapshots.js';
import { recordTurn } from './record-turn.js';
import { writeSnapshots } from './write-snapshots.js';

const LATE_MS = 60_000;

describe('the statements about the journal', () => {
  let db: LedgerDatabase;
  let nowMs: number;

  beforeAll(async () => {
    db = await ledgerDatabase();
  });
  afterAll(() => db?.drop());
  beforeEach(async () => {
    await db.empty();
    nowMs = await readClock(db.session);
  });

  const turn = (partition: number, seq: number, more: Partial<TurnToRecord> = {}): TurnToRecord => {
    const events = [
      { account: 'demo', integration: 'ccai', event: 'released' as const, entries: [{ holdId: `h${seq}` }] },
    ];
    return { partition, epoch: 1, seq, atMs: nowMs, events, ...more };
  };
  const record = (...turns: TurnToRecord[]) => recordTurn(db.session, turns);
  const seqs = async (partition: number): Promise<number[]> =>
    (await readJournal(db.tx, partition, 0, 1_000, 1_000)).map(({ seq }) => seq);
  /** Turns as they lie in the table, whatever their age. */
  const stored = async (partition: number, ...turns: [seq: number, atMs: number][]): Promise<void> => {
    for (const [seq, atMs] of turns)
      await db.tx.query(`INSERT INTO journal (partition, epoch, seq, at_ms, events) VALUES ($1, 1, $2, $3, '[]')`, [
        partition,
        seq,
        atMs,
      ]);
  };

  it('record a turn of several partitions at once, and tell the clock', async () => {
    for (const partition of [1, 2, 3]) await raiseEpoch(db.session, partition);
    const done = await record(turn(1, 1), turn(2, 7), turn(3, 1));
    expect(done).toEqual({ recorded: 3, nowMs: expect.any(Number) });
    expect(Math.abs(done.nowMs - nowMs)).toBeLessThan(LATE_MS);
    expect(await seqs(2)).toEqual([7]);
    const [row] = await readJournal(db.tx, 3, 0, 9, 9);
    expect(row).toMatchObject({ seq: 1, epoch: 1, atMs: nowMs });
    expect(JSON.parse(row!.events)).toEqual(turn(3, 1).events);
  });

  it('record each partition for itself, and nothing where another epoch has begun', async () => {
    for (const partition of [1, 2]) await raiseEpoch(db.session, partition);
    expect(await raiseEpoch(db.session, 2)).toBe(2);
    expect(await record(turn(1, 1), turn(2, 1))).toMatchObject({ recorded: 1 });
    expect([await seqs(1), await seqs(2)]).toEqual([[1], []]);
    expect(await record(turn(2, 1, { epoch: 2 }))).toMatchObject({ recorded: 1 });
    expect(await record(turn(5, 1))).toEqual({ recorded: 0, nowMs: 0 });
  });

  it('record nothing that was decided too long ago', async () => {
    await raiseEpoch(db.session, 1);
    expect(await record(turn(1, 1, { atMs: nowMs - LATE_MS }))).toMatchObject({ recorded: 0 });
    expect(await seqs(1)).toEqual([]);
  });

  it('refuse a second turn of the same number, however it was decided, and all that came with it', async () => {
    for (const partition of [1, 2]) await raiseEpoch(db.session, partition);
    await record(turn(1, 1));
    await expect(record(turn(2, 1), turn(1, 1, { events: [] }))).rejects.toThrow('journal_pkey');
    expect([await seqs(1), await seqs(2)]).toEqual([[1], []]);
  });

  it('read turns in order, after one, up to another, and no more than asked for', async () => {
    await stored(1, [3, 30], [1, 10], [2, 20], [4, 40]);
    await stored(2, [2, 20]);
    const read = async (after: number, through: number, limit: number) =>
      (await readJournal(db.tx, 1, after, through, limit)).map(({ seq }) => seq);
    expect(await read(0, 9, 9)).toEqual([1, 2, 3, 4]);
    expect(await read(1, 3, 9)).toEqual([2, 3]);
    expect(await read(0, 9, 2)).toEqual([1, 2]);
  });

  it('find the last turn before an instant', async () => {
    await stored(1, [1, 10], [2, 20], [3, 20], [4, 30]);
    await stored(2, [9, 5]);
    const found = await Promise.all([10, 11, 20, 21, 99].map((at) => readSeqAt(db.tx, 1, at)));
    expect(found).toEqual([0, 1, 1, 3, 4]);
  });

  it('raise an epoch with every owner, and tell how far a partition is', async () => {
    expect(await readPartition(db.tx, 1)).toBeNull();
    expect([await raiseEpoch(db.session, 1), await raiseEpoch(db.session, 1)]).toEqual([1, 2]);
    await stored(1, [1, 10], [2, 20]);
    const fresh = { epoch: 2, usageSeq: 0, snapshotSeq: 0, toldSeq: 0, tellingSeq: 0, lastSeq: 2 };
    expect(await readPartition(db.tx, 1)).toEqual({ ...fresh, nowMs: expect.any(Number) });
    await raiseEpoch(db.session, 0);
    await movePartition(db.tx, { partition: 1, epoch: 2, seq: 2 }, false);
    expect(await readPartitions(db.tx)).toEqual([
      { id: 0, epoch: 1, usageSeq: 0 },
      { id: 1, epoch: 2, usageSeq: 2 },
    ]);
  });

  it('store how far usage is, and snapshots only where told so', async () => {
    await raiseEpoch(db.session, 1);
    const to = (seq: number, epoch = 1) => ({ partition: 1, epoch, seq });
    expect(await movePartition(db.tx, to(5), false)).toBe(true);
    expect(await readPartition(db.tx, 1)).toMatchObject({ usageSeq: 5, snapshotSeq: 0 });
    expect(await movePartition(db.tx, to(5), true)).toBe(true);
    expect(await readPartition(db.tx, 1)).toMatchObject({ usageSeq: 5, snapshotSeq: 5 });
    for (const wrong of [to(4), to(9, 2), to(9, 0), { ...to(9), partition: 2 }])
      expect(await movePartition(db.tx, wrong, true)).toBe(false);
    expect(await readPartition(db.tx, 1)).toMatchObject({ usageSeq: 5, snapshotSeq: 5 });
  });

  it('keep everybody else from what is stored of a partition, until the transaction ends', async () => {
    for (const partition of [1, 2]) await raiseEpoch(db.session, partition);
    const moved: number[] = [];
    const move = (partition: number) =>
      movePartition(db.tx, { partition, epoch: 1, seq: 3 }, false).then(() => moved.push(partition));
    const waiting: Promise<number>[] = [];
    await inTransaction(db.pool, async (tx) => {
      await lockPartition(tx, 1);
      waiting.push(move(1));
      await move(2);
      const blocked = `SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`;
      await until('the other waits', async () => (await tx.query(blocked)).length === 1);
      expect(moved).toEqual([2]);
    });
    await Promise.all(waiting);
    expect(moved).toEqual([2, 1]);
  });

  it('begin telling before they end it, and never go back', async () => {
    await raiseEpoch(db.session, 1);
    const told = async () => {
      const { tellingSeq, toldSeq } = (await readPartition(db.tx, 1))!;
      return [tellingSeq, toldSeq];
    };
    const begin = (throughSeq: number, epoch = 1) => beginTelling(db.tx, { partition: 1, epoch, throughSeq });
    await endTelling(db.tx, 1, 4);
    expect(await told()).toEqual([0, 0]);
    expect(await begin(6)).toBe(true);
    expect([await begin(5), await begin(6), await begin(7, 2)]).toEqual([false, false, false]);
    expect(await told()).toEqual([6, 0]);
    await endTelling(db.tx, 1, 6);
    await endTelling(db.tx, 1, 3);
    expect(await told()).toEqual([6, 6]);
  });

  it('keep the newest books of each account', async () => {
    const books = snapshotOf(openBooks([{ version: 1, appliedAt: 0, config: demoConfig() }]));
    const asText = (version: number) => ({ account: 'demo', books: JSON.stringify({ ...books, version }) });
    await writeSnapshots(db.tx, 1, 4, [asText(1), { account: 'acme', books: JSON.stringify(books) }]);
    await writeSnapshots(db.tx, 1, 9, [asText(2)]);
    await writeSnapshots(db.tx, 2, 1, [{ account: 'elsewhere', books: '{}' }]);
    const read = (await readSnapshots(db.tx, 1)).toSorted((a, b) => (a.account < b.account ? -1 : 1));
    expect(read).toEqual([
      { account: 'acme', seq: 4, books: JSON.parse(JSON.stringify(books)) },
      { account: 'demo', seq: 9, books: { ...JSON.parse(JSON.stringify(books)), version: 2 } },
    ]);
  });

  it('remove old turns, but none that is not told or not in snapshots, and no more at once than asked for', async () => {
    await raiseEpoch(db.session, 1);
    await raiseEpoch(db.session, 2);
    await stored(1, [1, 10], [2, 20], [3, 30], [4, 40], [5, 50]);
    await stored(2, [1, 10]);
    expect(await pruneJournal(db.tx, 99, 100)).toBe(0);
    await movePartition(db.tx, { partition: 1, epoch: 1, seq: 4 }, true);
    expect(await pruneJournal(db.tx, 99, 100)).toBe(0);
    await beginTelling(db.tx, { partition: 1, epoch: 1, throughSeq: 5 });
    await endTelling(db.tx, 1, 5);
    expect(await pruneJournal(db.tx, 30, 1)).toBe(1);
    expect(await pruneJournal(db.tx, 30, 100)).toBe(1);
    expect(await seqs(1)).toEqual([3, 4, 5]);
    expect(await pruneJournal(db.tx, 99, 100)).toBe(2);
    expect([await seqs(1), await seqs(2)]).toEqual([[5], [1]]);
  });
});
