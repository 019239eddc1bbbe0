import type { AccountConfig } from '#contracts';
import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import type { AccountSnapshot } from '../domain/snapshot.js';

/*
 * The ledger's tables as TypeORM knows them. They map and do nothing: what reads and writes is in sql/, what makes the tables
 * in migrations/, and a test compares both. Instants are epoch ms.
 */

@Entity('partition')
export class PartitionEntity {
  @PrimaryColumn('integer')
  id: number;

  @Column('bigint')
  epoch: number;

  @Column('bigint', { name: 'owned_since_ms' })
  ownedSinceMs: number;

  @Column('bigint', { name: 'usage_seq', default: 0 })
  usageSeq: number;

  @Column('bigint', { name: 'snapshot_seq', default: 0 })
  snapshotSeq: number;

  @Column('bigint', { name: 'told_seq', default: 0 })
  toldSeq: number;

  @Column('bigint', { name: 'telling_seq', default: 0 })
  tellingSeq: number;
}

@Entity('account_version')
@Index('account_version_id', ['id'], { unique: true })
export class AccountVersionEntity {
  @PrimaryColumn('text')
  account: string;

  @PrimaryColumn('integer')
  version: number;

  @Column('bigint')
  id: number;

  @Column('bigint', { name: 'applied_at_ms' })
  appliedAtMs: number;

  @Column('text')
  origin: 'file' | 'operator';

  @Column('jsonb')
  config: AccountConfig;
}

@Entity('journal')
export class JournalEntity {
  @PrimaryColumn('integer')
  partition: number;

  @PrimaryColumn('bigint')
  seq: number;

  @Column('bigint')
  epoch: number;

  @Column('bigint', { name: 'at_ms' })
  atMs: number;

  @Column('text')
  events: string;
}

@Entity('account_snapshot')
export class AccountSnapshotEntity {
  @PrimaryColumn('text')
  account: string;

  @Column('integer')
  partition: number;

  @Column('bigint')
  seq: number;

  @Column('json')
  books: AccountSnapshot;
}

abstract class UsageColumns {
  @PrimaryColumn('text')
  account: string;

  @PrimaryColumn('bigint', { name: 'starts_at_ms' })
  startsAtMs: number;

  @PrimaryColumn('text')
  integration: string;

  @Column('bigint')
  granted: number;

  @Column('bigint')
  used: number;

  @Column('bigint')
  returned: number;

  @Column('bigint')
  expired: number;

  @Column('bigint')
  open: number;

  @Column('bigint', { name: 'crm_refused' })
  crmRefused: number;

  @Column('bigint', { name: 'would_refuse' })
  wouldRefuse: number;
}

@Entity('usage_minute')
export class UsageMinuteEntity extends UsageColumns {}

@Entity('usage_hour')
export class UsageHourEntity extends UsageColumns {}

@Entity('usage_day')
export class UsageDayEntity extends UsageColumns {}

/** All tables of the ledger. */
export const LEDGER_ENTITIES = [
  PartitionEntity,
  AccountVersionEntity,
  JournalEntity,
  AccountSnapshotEntity,
  UsageMinuteEntity,
  UsageHourEntity,
  UsageDayEntity,
];
