import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A bulk job running at the CRM. */
@Entity('job')
export class JobEntity {
  @PrimaryColumn({ type: 'text' })
  account: string;

  @PrimaryColumn({ type: 'text', name: 'job_id' })
  jobId: string;

  @Column({ type: 'text', name: 'call_id' })
  callId: string;

  @Column({ type: 'integer' })
  total: number;

  @Column({ type: 'integer' })
  polls: number;

  @Column({ type: 'integer' })
  misses: number;

  @Column({ type: 'timestamptz', name: 'poll_at' })
  pollAt: Date;

  @Column({ type: 'boolean' })
  over: boolean;
}
