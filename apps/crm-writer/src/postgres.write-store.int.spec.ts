import { afterAll, beforeAll } from '@jest/globals';
import { type Outcome, parseOutcome } from '#contracts';
import { type WriterDatabase, writerDatabase } from '../test/writer-database.js';
import { describeWriteStore } from './write.store.conformance.spec.js';

let database: WriterDatabase;

beforeAll(async () => {
  database = await writerDatabase('conformance');
});

afterAll(() => database?.drop());

describeWriteStore('the writer’s memory in Postgres', async () => ({
  store: database.store,
  outcomes: async (account) => {
    const rows = await database.sql(`SELECT payload FROM outbox WHERE msg_id LIKE $1 || '.%' ORDER BY id`, [account]);
    return rows.map(({ payload }): Outcome => {
      const parsed = parseOutcome(payload as Buffer);
      if (!parsed.ok) throw new Error(parsed.reason);
      return parsed.value;
    });
  },
}));
