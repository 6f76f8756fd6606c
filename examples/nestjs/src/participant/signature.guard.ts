import { createHmac, timingSafeEqual } from 'node:crypto';

import { CanActivate, ExecutionContext, Injectable, type RawBodyRequest, UnauthorizedException } from '@nestjs/common';
import type { Request } from 'express';

/** Verifies requests as Standard Webhooks describe. Without PARTICIPANT_SECRET requests are not signed. */
@Injectable()
export class SignatureGuard implements CanActivate {
  private readonly secret = parseSecret(process.env.PARTICIPANT_SECRET);

  canActivate(context: ExecutionContext) {
    const request = context.switchToHttp().getRequest<RawBodyRequest<Request>>();
    // A handler has the name of its operation. The ID names operation and keys, so that a recorded request is not accepted on another path.
    const id = [context.getHandler().name, request.params.key, request.params.refund].filter((part) => part !== undefined).join('/');
    if (this.secret && !signed(this.secret, request, id)) {
      throw new UnauthorizedException('the signature is missing, wrong or too old');
    }
    return true;
  }
}

function signed(secret: Buffer, request: RawBodyRequest<Request>, id: string) {
  const timestamp = request.header('webhook-timestamp') ?? '';
  if (request.header('webhook-id') !== id || !/^\d+$/.test(timestamp) || Math.abs(Date.now() / 1000 - Number(timestamp)) > 300) {
    return false;
  }
  const mac = createHmac('sha256', secret).update(`${id}.${timestamp}.`);
  const want = Buffer.from('v1,' + mac.update(request.rawBody ?? '').digest('base64'));
  // There are two signatures while a secret is replaced.
  return (request.header('webhook-signature') ?? '').split(' ').some((one) => {
    const found = Buffer.from(one);
    return found.length === want.length && timingSafeEqual(found, want);
  });
}

function parseSecret(text?: string) {
  if (!text) {
    return undefined;
  }
  const secret = Buffer.from(text.replace(/^whsec_/, ''), 'base64');
  if (!text.startsWith('whsec_') || secret.length < 24) {
    throw new Error('PARTICIPANT_SECRET: expected whsec_ and the base64 of at least 24 bytes');
  }
  return secret;
}
