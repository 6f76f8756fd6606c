import { BadGatewayException, Body, Controller, HttpCode, Inject, Param, Post, UnprocessableEntityException } from '@nestjs/common';
import { ClientProxy } from '@nestjs/microservices';
import { lastValueFrom, timeout } from 'rxjs';

import { ORDERSAGA } from '../warehouse/warehouse.service.js';

/** How long to wait for a reply. An event about an order that is not known yet waits for it, up to 5 minutes, and its reply too. */
const REPLY_TIMEOUT_MS = 10_000;

/** The reply to an event that was taken. What becomes of its order is told by the order's events. */
export interface Accepted {
  status: 'accepted';
  type: string;
  eventId: string;
  subject: string;
  correlationId: string;
}

/** The error of an event that became a dead letter. */
export interface Refused {
  status: 'error';
  code: string;
  message: string;
  errors?: { pointer: string; detail: string }[];
}

@Controller('orders')
export class CancellationsController {
  constructor(@Inject(ORDERSAGA) private readonly ordersaga: ClientProxy) {}

  /** Requests a cancellation with send, which waits for the reply, where emit waits for the broker alone. */
  @Post(':id/cancellation')
  @HttpCode(202)
  async cancel(@Param('id') orderId: string, @Body() body?: { reason?: string }): Promise<Accepted> {
    const request = this.ordersaga.send<Accepted>('order.cancellation_requested', { orderId, reason: body?.reason });
    try {
      return await lastValueFrom(request.pipe(timeout(REPLY_TIMEOUT_MS)));
    } catch (error) {
      if ((error as Refused)?.status === 'error') {
        throw new UnprocessableEntityException(error);
      }
      // No reply says nothing: the event is in ordersaga's queue, and the reply may be late or lost.
      throw new BadGatewayException('ordersaga has not replied; the cancellation may still happen');
    }
  }
}
