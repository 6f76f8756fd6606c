import { Injectable } from '@nestjs/common';

import type { SagaEvent } from '../ordersaga.deserializer.js';

/** What this shop knows about an order. */
export interface OrderView {
  orderId: string;
  status: 'placed' | 'confirmed' | 'completed' | 'rejected' | 'cancelled' | 'failed';
  reason?: string;
  correlationId?: string;
  /** The types that were handled, in order. */
  handled: string[];
  /** How many events came once more and were dropped. */
  duplicates: number;
  /** The highest sequence that was handled. */
  sequence: number;
}

/** In memory, to be short: a real service keeps this in its database, sequence and effect in one transaction. */
@Injectable()
export class OrderBook {
  private readonly orders = new Map<string, OrderView>();

  find(orderId: string): OrderView | undefined {
    return this.orders.get(orderId);
  }

  place(orderId: string): OrderView {
    const view: OrderView = { orderId, status: 'placed', handled: [], duplicates: 0, sequence: 0 };
    this.orders.set(orderId, view);
    return view;
  }

  /**
   * Runs the work of an event unless it has been done. Each event comes at least once, and those of an order in the
   * order of their sequence; what is not above the highest sequence is a duplicate.
   */
  async once(event: SagaEvent, work: (view: OrderView) => Promise<void> | void): Promise<void> {
    const view = this.find(event.subject) ?? this.place(event.subject);
    const sequence = Number(event.sequence);
    if (sequence <= view.sequence) {
      view.duplicates++;
      return;
    }
    await work(view);
    view.sequence = sequence;
    view.correlationId = event.correlationid;
    view.handled.push(event.type);
  }
}
