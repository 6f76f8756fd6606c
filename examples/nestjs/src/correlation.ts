import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';

import { Injectable, NestMiddleware } from '@nestjs/common';
import type { NextFunction, Request, Response } from 'express';

const storage = new AsyncLocalStorage<string>();

/** The correlation id of the request that is being served; a new one outside of requests. */
export const correlationId = () => storage.getStore() ?? randomUUID();

/** Takes over the caller's x-correlation-id, or begins one. Every event of the order will carry it. */
@Injectable()
export class CorrelationMiddleware implements NestMiddleware {
  use(req: Request, res: Response, next: NextFunction) {
    const id = req.header('x-correlation-id') ?? randomUUID();
    res.setHeader('x-correlation-id', id);
    storage.run(id, next);
  }
}
