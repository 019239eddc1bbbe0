export { CommitUncertain, PostgresUnavailable, OwnershipLost } from './errors.js';
export { openPostgres, type PostgresOptions, poolOf } from './open-postgres.js';
export { checkPostgres, inTransaction, type TransactionOptions, type Tx } from './in-transaction.js';
export { acquireOwnership, type Ownership, type OwnershipOptions, type Prepared } from './ownership.js';
export { POOL, postgresModule } from './postgres-module.js';
