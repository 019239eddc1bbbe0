import { All, Controller, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { HttpFace } from './http-face.js';

const CONTROL_BODY_LIMIT_BYTES = 16 * 1024 * 1024;

/** The control door: no part of Zendesk, not counted as calls. */
@Controller('_control')
export class ControlController {
  constructor(private readonly face: HttpFace) {}

  @All(['', '*'])
  async serve(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const body = Buffer.isBuffer(request.body) ? request.body : undefined;
    const answer =
      body && body.length > CONTROL_BODY_LIMIT_BYTES
        ? { status: 413, body: { error: `at most ${CONTROL_BODY_LIMIT_BYTES} bytes` } }
        : this.face.control(request.raw, body);
    await reply
      .code(answer.status)
      .header('content-type', 'application/json; charset=utf-8')
      .send(JSON.stringify(answer.body));
  }
}
