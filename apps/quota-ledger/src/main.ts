import { startQuotaLedger } from './start-quota-ledger.js';

await startQuotaLedger();
