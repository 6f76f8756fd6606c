import { ArgumentsHost, Catch, ExceptionFilter, HttpException } from '@nestjs/common';
import type { Response } from 'express';

/** The opposite already happened. */
export const settled = (detail: string) => new HttpException({ code: 'settled', detail }, 409);
/** The key belongs to other content. */
export const conflict = (detail: string) => new HttpException({ code: 'conflict', detail }, 409);
/** The request can never succeed. */
export const invalid = (detail: string) => new HttpException({ code: 'invalid', detail }, 422);

/** Answers errors as application/problem+json. An unexpected one is a 500: ordersaga repeats the request. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  catch(error: unknown, host: ArgumentsHost) {
    const [status, body] = error instanceof HttpException ? [error.getStatus(), error.getResponse()] : [500, {}];
    if (status === 500) {
      console.error(error);
    }
    const response = host.switchToHttp().getResponse<Response>();
    response.status(status).type('application/problem+json').send(JSON.stringify(body));
  }
}
