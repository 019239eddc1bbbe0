import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A request to the ledger for a call that takes a place, until the call is claimed or the place given back. */
@Entity('asked')
export class AskedEntity {
  @PrimaryColumn({ type: 'text', name: 'request_id' })
  requestId: string;

  @Column({ type: 'text' })
  account: string;

  @Column({ type: 'text' })
  kind: string;

  @Column({ type: 'smallint' })
  priority: number;

  @Column({ type: 'timestamptz', name: 'asked_at' })
  askedAt: Date;

  @Column({ type: 'boolean', name: 'given_up' })
  givenUp: boolean;
}
