import { AskedEntity } from './asked.entity.js';
import { CallEntity } from './call.entity.js';
import { ContactEntity } from './contact.entity.js';
import { InteractionEntity } from './interaction.entity.js';
import { ItemEntity } from './item.entity.js';
import { JobEntity } from './job.entity.js';
import { OutboxEntity } from './outbox.entity.js';
import { ReadCountEntity } from './read-count.entity.js';
import { RehearsedCallEntity } from './rehearsed-call.entity.js';
import { WriteEntity } from './write.entity.js';

/** Every table of the writer's schema. */
export const ENTITIES = [
  WriteEntity,
  InteractionEntity,
  CallEntity,
  ItemEntity,
  JobEntity,
  AskedEntity,
  ContactEntity,
  OutboxEntity,
  ReadCountEntity,
  RehearsedCallEntity,
];
