export { CommitUncertain, PostgresUnavailable, OwnershipLost } from './errors.js';
export { openPostgres, type PostgresOptions, poolOf } from './open-postgres.js';
export { checkPostgres, inTransaction, type TransactionOptions, type Tx } from './in-transaction.js';
export { LockSession, type LockSessionOptions, type Prepared } from './lock-session.js';
export { acquireOwnership, type Ownership, type OwnershipOptions } from './ownership.js';
export { POOL, postgresModule } from './postgres-module.js';
