import { Column, Entity, PrimaryColumn } from 'typeorm';

/** Outcomes to be published. */
@Entity('outbox')
export class OutboxEntity {
  @PrimaryColumn({ type: 'bigint' })
  id: number;

  @Column({ type: 'text' })
  subject: string;

  @Column({ type: 'text', name: 'msg_id' })
  msgId: string;

  @Column({ type: 'bytea' })
  payload: Buffer;
}
