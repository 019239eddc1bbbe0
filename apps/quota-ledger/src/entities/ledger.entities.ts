import type { AccountConfig, CallKey, CallKind, Priority, Settled } from '#contracts';
import { Column, Entity, Index, PrimaryColumn, PrimaryGeneratedColumn } from 'typeorm';
import type { CallRun } from '../domain/call-runs.js';

/*
 * The ledger's tables as TypeORM knows them. They map and do nothing: what reads and writes is in sql/, what makes the tables
 * in migrations/, and a test compares both. Instants are epoch ms.
 */

@Entity('ownership')
export class OwnershipEntity {
  @PrimaryColumn('integer')
  partition: number;

  @Column('bigint')
  epoch: number;

  @Column('bigint', { name: 'open_since_ms' })
  openSinceMs: number;
}

@Entity('account_version')
export class AccountVersionEntity {
  @PrimaryColumn('text')
  account: string;

  @PrimaryColumn('integer')
  version: number;

  @Column('bigint', { name: 'applied_at_ms' })
  appliedAtMs: number;

  @Column('text')
  origin: 'file' | 'operator';

  @Column('jsonb')
  config: AccountConfig;
}

@Entity('call_grant')
@Index('call_grant_request', ['account', 'integration', 'requestId'], { unique: true })
@Index('call_grant_arrives', ['account', 'arrivesByMs'])
export class CallGrantEntity {
  @PrimaryColumn('text')
  id: string;

  @Column('text')
  account: string;

  @Column('text')
  integration: string;

  @Column('text', { name: 'request_id' })
  requestId: string;

  @Column('text')
  kind: CallKind;

  @Column('text')
  priority: Priority;

  @Column('bigint', { name: 'granted_at_ms' })
  grantedAtMs: number;

  @Column('bigint', { name: 'not_before_ms' })
  notBeforeMs: number;

  @Column('bigint', { name: 'valid_until_ms' })
  validUntilMs: number;

  @Column('bigint', { name: 'arrives_by_ms' })
  arrivesByMs: number;

  @Column('bigint', { name: 'settle_by_ms' })
  settleByMs: number;

  @Column('bigint', { name: 'minute_ms' })
  minuteMs: number;

  @Column('bigint', { name: 'day_ms' })
  dayMs: number;

  @Column('integer')
  calls: number;

  @Column('integer')
  used: number;

  @Column('integer')
  returned: number;

  @Column('integer')
  expired: number;

  @Column('integer')
  open: number;

  @Column('json', { nullable: true })
  keys: (CallKey | null)[] | null;

  @Column('json')
  runs: CallRun[];

  @Column('json', { nullable: true })
  settles: { requestId: string; answer: Settled }[] | null;
}

@Entity('hold')
export class HoldEntity {
  @PrimaryColumn('text')
  account: string;

  @PrimaryColumn('text', { name: 'limit_name' })
  limitName: string;

  @PrimaryColumn('text')
  id: string;

  @Column('text')
  integration: string;

  @Column('text', { name: 'grant_id' })
  grantId: string;

  @Column('bigint', { name: 'taken_at_ms' })
  takenAtMs: number;
}

@Entity('limit_closing')
export class LimitClosingEntity {
  @PrimaryColumn('text')
  account: string;

  @PrimaryColumn('text', { name: 'limit_name' })
  limitName: string;

  @PrimaryColumn('text')
  key: string;

  @Column('bigint', { name: 'until_ms' })
  untilMs: number;
}

@Entity('foreign_calls')
export class ForeignCallsEntity {
  @PrimaryColumn('text')
  account: string;

  @PrimaryColumn('text', { name: 'limit_name' })
  limitName: string;

  @PrimaryColumn('bigint', { name: 'at_ms' })
  atMs: number;

  @Column('integer')
  calls: number;
}

class UsageColumns {
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
}

@Entity('usage_minute')
export class UsageMinuteEntity extends UsageColumns {}

@Entity('usage_day')
export class UsageDayEntity extends UsageColumns {}

@Entity('ledger_event')
export class LedgerEventEntity {
  @PrimaryGeneratedColumn('identity', { type: 'bigint', generatedIdentity: 'ALWAYS' })
  id: number;

  @Column('text')
  account: string;

  @Column('text')
  integration: string;

  @Column('text')
  event: string;

  @Column('bigint', { name: 'at_ms' })
  atMs: number;

  @Column('json')
  entries: object[];
}

@Entity('relay_position')
export class RelayPositionEntity {
  @PrimaryColumn('integer')
  partition: number;

  @Column('bigint', { name: 'last_id' })
  lastId: number;
}

export const LEDGER_ENTITIES = [
  OwnershipEntity,
  AccountVersionEntity,
  CallGrantEntity,
  HoldEntity,
  LimitClosingEntity,
  ForeignCallsEntity,
  UsageMinuteEntity,
  UsageDayEntity,
  LedgerEventEntity,
  RelayPositionEntity,
];
