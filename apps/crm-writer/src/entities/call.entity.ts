import { Column, Entity, PrimaryColumn } from 'typeorm';

/** One HTTP request, stored before it is sent. */
@Entity('call')
export class CallEntity {
  @PrimaryColumn({ type: 'text', name: 'call_id' })
  callId: string;

  @Column({ type: 'text' })
  account: string;

  @Column({ type: 'text' })
  kind: string;

  @Column({ type: 'text' })
  writer: string;

  @Column({ type: 'smallint' })
  priority: number;

  @Column({ type: 'text' })
  state: string;

  @Column({ type: 'text', name: 'grant_id' })
  grantId: string;

  @Column({ type: 'text', name: 'hold_ids', array: true })
  holdIds: string[];

  @Column({ type: 'boolean', name: 'holds_released' })
  holdsReleased: boolean;

  @Column({ type: 'text' })
  method: string;

  @Column({ type: 'text' })
  path: string;

  @Column({ type: 'bytea', nullable: true })
  body: Buffer | null;

  @Column({ type: 'text', name: 'idempotency_key', nullable: true })
  idempotencyKey: string | null;

  @Column({ type: 'text', name: 'contact_keys', array: true })
  contactKeys: string[];

  @Column({ type: 'integer' })
  sends: number;

  @Column({ type: 'timestamptz', name: 'first_sent_at' })
  firstSentAt: Date;

  @Column({ type: 'timestamptz', name: 'under_way_until' })
  underWayUntil: Date;

  @Column({ type: 'timestamptz', name: 'ask_at', nullable: true })
  askAt: Date | null;

  @Column({ type: 'integer' })
  asks: number;

  @Column({ type: 'boolean', name: 'jobs_settled' })
  jobsSettled: boolean;

  /** Its items are asked for although its job may still run. */
  @Column({ type: 'boolean', name: 'may_run' })
  mayRun: boolean;

  /** Since when no job of it can change anything any more. */
  @Column({ type: 'timestamptz', name: 'settled_at', nullable: true })
  settledAt: Date | null;

  @Column({ type: 'text', array: true, nullable: true })
  suspects: string[] | null;

  @Column({ type: 'integer', nullable: true })
  status: number | null;

  @Column({ type: 'bytea', nullable: true })
  response: Buffer | null;

  @Column({ type: 'timestamptz', name: 'answered_at', nullable: true })
  answeredAt: Date | null;

  @Column({ type: 'timestamptz', name: 'closed_at', nullable: true })
  closedAt: Date | null;
}
