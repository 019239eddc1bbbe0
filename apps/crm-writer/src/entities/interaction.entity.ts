import { Column, Entity, PrimaryColumn } from 'typeorm';

/** What is remembered of an interaction, and what the queue is ordered by. */
@Entity('interaction')
export class InteractionEntity {
  @PrimaryColumn({ type: 'text' })
  account: string;

  @PrimaryColumn({ type: 'text', name: 'interaction_id' })
  interactionId: string;

  @Column({ type: 'text', name: 'contact_key', nullable: true })
  contactKey: string | null;

  @Column({ type: 'text', name: 'queue_path', nullable: true })
  queuePath: string | null;

  @Column({ type: 'bigint', name: 'ticket_id', nullable: true })
  ticketId: number | null;

  @Column({ type: 'boolean', name: 'ticket_open' })
  ticketOpen: boolean;

  @Column({ type: 'timestamptz', name: 'ticket_at', nullable: true })
  ticketAt: Date | null;

  @Column({ type: 'bigint', name: 'follow_up_of', nullable: true })
  followUpOf: number | null;

  @Column({ type: 'text', name: 'busy_call_id', nullable: true })
  busyCallId: string | null;

  @Column({ type: 'boolean' })
  solo: boolean;

  @Column({ type: 'integer' })
  waiting: number;

  @Column({ type: 'smallint' })
  priority: number;

  @Column({ type: 'bigint' })
  since: number;

  @Column({ type: 'boolean' })
  runnable: boolean;

  /** Most items of a job that it may be in, after jobs that failed as a whole; null = as many as a job takes. */
  @Column({ type: 'smallint', name: 'most_in_job', nullable: true })
  mostInJob: number | null;

  @Column({ type: 'timestamptz', name: 'not_before' })
  notBefore: Date;
}
