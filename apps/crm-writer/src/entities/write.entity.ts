import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A command on its way to the CRM. */
@Entity('write')
export class WriteEntity {
  @PrimaryColumn({ type: 'text', name: 'command_id' })
  commandId: string;

  @Column({ type: 'text' })
  account: string;

  @Column({ type: 'text', name: 'interaction_id' })
  interactionId: string;

  @Column({ type: 'text' })
  kind: string;

  @Column({ type: 'jsonb' })
  action: object;

  @Column({ type: 'bigint', name: 'event_at' })
  eventAt: number;

  @Column({ type: 'integer', name: 'event_rank' })
  eventRank: number;

  @Column({ type: 'integer' })
  ordinal: number;

  @Column({ type: 'smallint' })
  priority: number;

  @Column({ type: 'bigint', name: 'not_after', nullable: true })
  notAfter: number | null;

  @Column({ type: 'integer', name: 'policy_version' })
  policyVersion: number;

  @Column({ type: 'text', name: 'causation_id' })
  causationId: string;

  @Column({ type: 'text', nullable: true })
  traceparent: string | null;

  @Column({ type: 'text' })
  state: string;

  @Column({ type: 'text', name: 'grant_id', nullable: true })
  grantId: string | null;

  @Column({ type: 'text', name: 'call_id', nullable: true })
  callId: string | null;

  @Column({ type: 'smallint' })
  attempts: number;

  @Column({ type: 'bigint', name: 'ticket_id', nullable: true })
  ticketId: number | null;

  @Column({ type: 'text', name: 'reason_code', nullable: true })
  reasonCode: string | null;

  @Column({ type: 'text', name: 'reason_text', nullable: true })
  reasonText: string | null;

  /** How often the operator took it up again after it was parked. */
  @Column({ type: 'smallint' })
  redriven: number;

  /** Of a dry run, and no call was planned for it yet. */
  @Column({ type: 'boolean', name: 'to_plan' })
  toPlan: boolean;

  @Column({ type: 'timestamptz', name: 'taken_in_at' })
  takenInAt: Date;

  @Column({ type: 'timestamptz', name: 'final_at', nullable: true })
  finalAt: Date | null;
}
