import { Column, Entity, PrimaryColumn } from 'typeorm';

/** Calls that a dry run would have made. */
@Entity('rehearsed_call')
export class RehearsedCallEntity {
  @PrimaryColumn({ type: 'text' })
  account: string;

  @PrimaryColumn({ type: 'text' })
  kind: string;

  @Column({ type: 'bigint' })
  calls: number;

  /** Tickets that they would have made or changed. */
  @Column({ type: 'bigint' })
  tickets: number;

  @Column({ type: 'timestamptz' })
  since: Date;
}
