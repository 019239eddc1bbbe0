import { type Answer, answer } from './exchange.js';
import { type Call, linkTo } from './call.js';
import { attachmentTooLarge, badRequest, recordNotFound } from './errors.js';
import { hexFrom } from './random.js';

/** POST /uploads?filename=: the token that a comment attaches the file with; it lives three days. */
export function postUpload(call: Call): Answer {
  const { world, request } = call;
  const fileName = call.query.get('filename');
  if (!fileName) return badRequest('filename is required');
  const sizeBytes = request.bodyBytes ?? request.body?.length ?? 0;
  if (sizeBytes > world.options.uploadLimitBytes) return attachmentTooLarge();
  const token = call.query.get('token') ?? hexFrom(world.random, 24);
  const attachmentId = world.nextAuditId++;
  const contentType = request.headers['content-type'] ?? 'application/binary';
  const expiresAtMs = world.nowMs + world.options.uploadLifeMs;
  world.uploads.set(token, { token, attachmentId, fileName, contentType, sizeBytes, expiresAtMs });
  world.schedule.at(expiresAtMs, () => world.uploads.delete(token));
  const attachment = {
    id: attachmentId,
    url: linkTo(call, `attachments/${attachmentId}.json`),
    file_name: fileName,
    content_url: `${call.origin}/attachments/token/${token}/?name=${encodeURIComponent(fileName)}`,
    mapped_content_url: `${call.origin}/attachments/token/${token}/?name=${encodeURIComponent(fileName)}`,
    content_type: contentType,
    size: sizeBytes,
    inline: false,
    deleted: false,
    malware_access_override: false,
    malware_scan_result: 'not_scanned',
    thumbnails: [],
  };
  return answer(201, { upload: { token, attachment, attachments: [attachment] } });
}

/** DELETE /uploads/{token} */
export function deleteUpload(call: Call): Answer {
  return call.world.uploads.delete(call.segments[1] ?? '') ? { status: 204, body: null, text: '' } : recordNotFound();
}
