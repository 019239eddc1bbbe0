import { Column, Entity, PrimaryColumn } from 'typeorm';

/** Calls that only asked, counted. */
@Entity('read_count')
export class ReadCountEntity {
  @PrimaryColumn({ type: 'text' })
  account: string;

  @PrimaryColumn({ type: 'text' })
  kind: string;

  @Column({ type: 'bigint' })
  calls: number;
}
