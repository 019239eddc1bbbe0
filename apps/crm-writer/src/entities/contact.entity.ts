import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A customer as the CRM knows them, under one of their keys. */
@Entity('contact')
export class ContactEntity {
  @PrimaryColumn({ type: 'text' })
  account: string;

  @PrimaryColumn({ type: 'text' })
  key: string;

  @Column({ type: 'bigint', name: 'user_id', nullable: true })
  userId: number | null;

  @Column({ type: 'text', nullable: true })
  step: string | null;

  @Column({ type: 'text', name: 'refused_for', nullable: true })
  refusedFor: string | null;

  @Column({ type: 'text', name: 'busy_call_id', nullable: true })
  busyCallId: string | null;

  @Column({ type: 'timestamptz', name: 'not_before' })
  notBefore: Date;

  @Column({ type: 'smallint' })
  attempts: number;
}
