import { describeLedgerStore } from './ledger.store.conformance.spec.js';
import { SimulatedLedgerStore, SimulatedTables } from './simulated.ledger-store.js';

describeLedgerStore('the simulated ledger store', async () => {
  const tables = new SimulatedTables();
  return {
    open: async () => new SimulatedLedgerStore(tables, { nowMs: () => Date.now() }),
    endAll: async () => {
      for (const store of tables.open) store.end();
    },
  };
});
