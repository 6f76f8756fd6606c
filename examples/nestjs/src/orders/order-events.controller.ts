import { Controller, Logger } from '@nestjs/common';
import { Ctx, EventPattern, Payload, RmqContext } from '@nestjs/microservices';

import type { SagaEvent } from '../ordersaga.deserializer.js';
import { WarehouseService } from '../warehouse/warehouse.service.js';
import { OrderBook, type OrderView } from './order-book.js';

/** Listens to what becomes of orders. The queue is bound to exactly the patterns below. */
@Controller()
export class OrderEventsController {
  private readonly logger = new Logger(OrderEventsController.name);

  constructor(
    private readonly book: OrderBook,
    private readonly warehouse: WarehouseService,
  ) {}

  /** Money and stock are set aside: the warehouse shall dispatch. Only shipment orders have this one. */
  @EventPattern('order.confirmed')
  confirmed(@Payload() event: SagaEvent, @Ctx() context: RmqContext) {
    return this.handle(event, context, async (view) => {
      await this.warehouse.ship(event.subject);
      view.status = 'confirmed';
    });
  }

  @EventPattern('order.completed')
  completed(@Payload() event: SagaEvent, @Ctx() context: RmqContext) {
    return this.handle(event, context, (view) => this.end(view, 'completed', event));
  }

  @EventPattern('order.rejected')
  rejected(@Payload() event: SagaEvent, @Ctx() context: RmqContext) {
    return this.handle(event, context, (view) => this.end(view, 'rejected', event));
  }

  @EventPattern('order.cancelled')
  cancelled(@Payload() event: SagaEvent, @Ctx() context: RmqContext) {
    return this.handle(event, context, (view) => this.end(view, 'cancelled', event));
  }

  @EventPattern('order.failed')
  failed(@Payload() event: SagaEvent, @Ctx() context: RmqContext) {
    return this.handle(event, context, (view) => this.end(view, 'failed', event));
  }

  private end(view: OrderView, status: OrderView['status'], event: SagaEvent) {
    view.status = status;
    view.reason = event.data.reason as string | undefined;
    this.logger.log(`order ${event.subject} is ${status}, correlation ${event.correlationid}`);
  }

  /**
   * Acknowledges when the work is done, and puts the event back when it failed: the queue's delivery limit ends that.
   * Rejected, not nacked: from RabbitMQ 4.3 on a nack does not count.
   */
  private async handle(event: SagaEvent, context: RmqContext, work: (view: OrderView) => Promise<void> | void) {
    const channel = context.getChannelRef();
    const message = context.getMessage();
    try {
      await this.book.once(event, work);
    } catch (error) {
      this.logger.error(`${event.type} of ${event.subject}: ${error}`);
      channel.reject(message, true);
      return;
    }
    channel.ack(message);
  }
}
