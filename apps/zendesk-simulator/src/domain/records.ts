import type { Json, JsonObject } from './json.js';

/** A user of the account: agents and end users alike. */
export interface User {
  readonly id: number;
  readonly createdAtMs: number;
  updatedAtMs: number;
  name: string;
  email: string | undefined;
  phone: string | undefined;
  externalId: string | undefined;
  role: 'end-user' | 'agent' | 'admin';
  organizationId: number | undefined;
  verified: boolean;
  tags: readonly string[];
  notes: string;
  details: string;
  fields: JsonObject;
}

/** An organization. */
export interface Organization {
  readonly id: number;
  readonly createdAtMs: number;
  updatedAtMs: number;
  name: string;
  externalId: string | undefined;
  tags: readonly string[];
  notes: string;
  details: string;
}

/** One entry of a ticket's history, with what the caller's `metadata` carried. */
export interface Audit {
  readonly id: number;
  readonly ticketId: number;
  readonly createdAtMs: number;
  readonly authorId: number;
  /** The list of its events, as JSON. */
  readonly eventsText: string;
  /** What `metadata` carried, as JSON. */
  readonly metadataText: string;
  readonly ip: string;
  readonly client: string;
}

/** A custom field's value on a ticket. */
export interface FieldValue {
  readonly id: number;
  readonly value: Json;
}

/** The states a ticket passes through. */
export type TicketStatus = 'new' | 'open' | 'pending' | 'hold' | 'solved' | 'closed';

/** A ticket. */
export interface Ticket {
  readonly id: number;
  readonly createdAtMs: number;
  updatedAtMs: number;
  externalId: string | undefined;
  subject: string;
  readonly description: string;
  status: TicketStatus;
  priority: string | undefined;
  type: string | undefined;
  requesterId: number;
  readonly submitterId: number;
  assigneeId: number | undefined;
  groupId: number | undefined;
  organizationId: number | undefined;
  brandId: number;
  formId: number | undefined;
  dueAt: string | undefined;
  problemId: number | undefined;
  tags: readonly string[];
  fields: readonly FieldValue[];
  isPublic: boolean;
  /** The closed ticket that this one follows. */
  readonly followsTicketId: number | undefined;
  readonly followUpIds: number[];
  readonly audits: Audit[];
  /** Position of its latest change among all changes, for exports. */
  changePosition: number;
}

/** The states a bulk job passes through. */
export type JobStatus = 'queued' | 'working' | 'completed' | 'failed' | 'killed';

/** A bulk job. */
export interface Job {
  readonly id: string;
  readonly kind: 'tickets.create_many' | 'tickets.update_many' | 'tickets.import_many';
  readonly jobType: string;
  readonly total: number;
  readonly submittedAtMs: number;
  status: JobStatus;
  progress: number | null;
  message: string | null;
  results: (JsonObject | undefined)[];
  endedAtMs: number | undefined;
}

/** An uploaded file: its bytes are not kept. */
export interface Upload {
  readonly token: string;
  readonly attachmentId: number;
  readonly fileName: string;
  readonly contentType: string;
  readonly sizeBytes: number;
  readonly expiresAtMs: number;
}
