import { Column, Entity, PrimaryColumn } from 'typeorm';

/** What a call does for one interaction, in the submitted order. */
@Entity('item')
export class ItemEntity {
  @PrimaryColumn({ type: 'text', name: 'call_id' })
  callId: string;

  @PrimaryColumn({ type: 'integer', name: 'item_index' })
  itemIndex: number;

  @Column({ type: 'text' })
  account: string;

  @Column({ type: 'text', name: 'interaction_id' })
  interactionId: string;

  @Column({ type: 'text', name: 'command_ids', array: true })
  commandIds: string[];

  @Column({ type: 'bigint', name: 'ticket_id', nullable: true })
  ticketId: number | null;

  @Column({ type: 'bigint', name: 'follow_up_of', nullable: true })
  followUpOf: number | null;

  @Column({ type: 'text', name: 'external_id' })
  externalId: string;

  @Column({ type: 'boolean', name: 'has_comment' })
  hasComment: boolean;

  @Column({ type: 'integer' })
  attempts: number;

  @Column({ type: 'text' })
  state: string;

  @Column({ type: 'text', nullable: true })
  code: string | null;

  @Column({ type: 'boolean' })
  own: boolean;

  @Column({ type: 'integer' })
  asks: number;

  @Column({ type: 'timestamptz', name: 'ask_at' })
  askAt: Date;

  @Column({ type: 'text', nullable: true })
  cursor: string | null;
}
