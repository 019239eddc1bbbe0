import { headers as newHeaders, type MsgHdrs } from '@nats-io/transport-node';

/** The header by which a stream recognises a repeated message. */
export const MSG_ID_HEADER = 'Nats-Msg-Id';

/** Headers of a published message. */
export function publishHeaders(msgId: string, more: Readonly<Record<string, string>> | undefined): MsgHdrs {
  const all = newHeaders();
  all.append(MSG_ID_HEADER, msgId);
  if (more) for (const [name, value] of Object.entries(more)) all.append(name, value);
  return all;
}
