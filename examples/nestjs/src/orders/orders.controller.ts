import { randomUUID } from 'node:crypto';

import { Body, Controller, Get, HttpCode, NotFoundException, Param, Post } from '@nestjs/common';

import { correlationId } from '../correlation.js';
import type { DomainEvent } from '../events/domain-event.js';
import { EventBusService } from '../events/event-bus.service.js';
import { OrderBook } from './order-book.js';

/** What a customer orders. Amounts are in minor units: 450 is 4.50 EUR. */
interface OrderData {
  orderId?: string;
  customerId: string;
  currency: string;
  lines: { sku: string; quantity: number; unitAmount: number }[];
  payment: { method: string };
  fulfillment?: 'immediate' | 'shipment';
}

@Controller('orders')
export class OrdersController {
  constructor(
    private readonly eventBus: EventBusService,
    private readonly book: OrderBook,
  ) {}

  /** Publishes order.created, and that is all: the saga does the rest, and its events tell how it went. */
  @Post()
  @HttpCode(202)
  async create(@Body() data: OrderData) {
    const order = { ...data, orderId: data.orderId ?? randomUUID() };
    this.book.place(order.orderId);
    const event: DomainEvent<OrderData> = {
      id: randomUUID(),
      type: 'order.created',
      timestamp: new Date(),
      aggregateId: order.orderId,
      data: order,
      correlationId: correlationId(),
    };
    await this.eventBus.publish(event);
    return { orderId: order.orderId, eventId: event.id, correlationId: event.correlationId };
  }

  @Get(':id')
  show(@Param('id') id: string) {
    const view = this.book.find(id);
    if (!view) {
      throw new NotFoundException(`there is no order ${id}`);
    }
    return view;
  }
}
