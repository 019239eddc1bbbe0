import { All, Controller, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { HttpFace } from './http-face.js';

/** Everything that isn't the control door is a call of a Zendesk client. */
@Controller()
export class ZendeskController {
  constructor(private readonly face: HttpFace) {}

  @All('*')
  serve(@Req() request: FastifyRequest, @Res() reply: FastifyReply): void {
    reply.hijack();
    this.face.serve(request.raw, reply.raw, bytesOf(request));
  }
}

function bytesOf(request: FastifyRequest): Buffer | undefined {
  return Buffer.isBuffer(request.body) ? request.body : undefined;
}
