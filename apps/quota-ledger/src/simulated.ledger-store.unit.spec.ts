import { systemClock } from '#clock';
import { describeLedgerStore } from './ledger.store.conformance.spec.js';
import { SimulatedLedgerStores, SimulatedTables } from './simulated.ledger-store.js';

describeLedgerStore('the simulated ledger store', async () => {
  const stores = new SimulatedLedgerStores(new SimulatedTables(), { nowMs: () => systemClock.nowMs() });
  return { own: () => stores.own() };
});
