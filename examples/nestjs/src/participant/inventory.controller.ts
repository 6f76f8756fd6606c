import { Body, Controller, Get, Param, Put } from '@nestjs/common';

import { conflict, invalid, settled } from './problem.js';
import { left, type Line, type Reservation, Store } from './store.js';

/** The content of a request about a reservation. Unknown fields are ignored. */
interface Order {
  orderId: string;
  lines: Line[];
}

@Controller('reservations/:key')
export class InventoryController {
  constructor(private readonly store: Store) {}

  @Get()
  findReservation(@Param('key') key: string) {
    const found = this.store.reservations.get(key);
    if (!found || found.fenced) {
      return { state: found?.state ?? 'absent' };
    }
    return { state: found.state, reason: found.reason, lines: found.lines };
  }

  @Put()
  reserve(@Param('key') key: string, @Body() order: Order) {
    let found = this.find(key, order);
    if (!found) {
      // The first request decides, and the decision stays.
      found = this.decide(order);
      this.store.saveReservation(key, found);
    }
    switch (found.state) {
      case 'refused':
        return { result: 'refused', reason: found.reason, lines: found.lines.filter((line) => line.reason) };
      case 'undone':
        return { result: 'undone' };
    }
    return { result: 'done' };
  }

  @Put('commit')
  commit(@Param('key') key: string, @Body() order: Order) {
    const found = this.find(key, order);
    if (!found) {
      throw invalid('nothing was reserved');
    }
    if (found.state === 'refused' || found.state === 'undone') {
      throw settled(`the reservation is ${found.state}`);
    }
    if (found.state === 'reserved') {
      this.store.saveReservation(key, { ...found, state: 'committed' });
    }
    return { result: 'done' };
  }

  @Put('release')
  release(@Param('key') key: string, @Body() order: Order) {
    const found = this.find(key, order);
    if (found?.state === 'committed') {
      throw settled('the reservation was committed');
    }
    if (!found) {
      // The reservation that comes later finds this.
      this.store.saveReservation(key, { lines: [], state: 'undone', fenced: true });
    } else if (found.state === 'reserved') {
      this.store.saveReservation(key, { ...found, state: 'undone' });
    }
    return { result: 'undone' };
  }

  @Put('returns/:refund')
  returnGoods(@Param('key') key: string, @Param('refund') returnKey: string, @Body() order: Order) {
    const found = this.store.reservations.get(key);
    const before = found?.returns?.[returnKey];
    const other = before !== undefined && content(order.orderId, before) !== content(order.orderId, order.lines);
    if ((found && !found.fenced && found.orderId !== order.orderId) || other) {
      throw conflict('the key was used for other content');
    }
    if (before) {
      return { result: 'done' };
    }
    if (found?.state !== 'committed') {
      throw invalid('the goods have not left the stock');
    }
    for (const { sku, quantity } of order.lines) {
      if (!(quantity > 0) || quantity > left(found, sku)) {
        throw invalid('less of it has left the stock');
      }
    }
    const returns = { ...found.returns, [returnKey]: order.lines };
    this.store.saveReservation(key, { ...found, returns });
    return { result: 'done' };
  }

  /** What was decided about a key, unless it was decided about another order. */
  private find(key: string, order: Order) {
    const found = this.store.reservations.get(key);
    if (found && !found.fenced && content(found.orderId, found.lines) !== content(order.orderId, order.lines)) {
      throw conflict('the key was used for other content');
    }
    return found;
  }

  /** All lines are reserved, or none. */
  private decide({ orderId, lines }: Order): Reservation {
    const decided = lines.map(({ sku, quantity }): Line => {
      const available = this.store.stock.get(sku);
      if (available !== undefined && quantity <= available) {
        return { sku, quantity };
      }
      return { sku, quantity, reason: available === undefined ? 'unknown_sku' : 'out_of_stock', available: available ?? 0 };
    });
    const reason = decided.find((line) => line.reason)?.reason;
    return { orderId, lines: decided, state: reason ? 'refused' : 'reserved', reason };
  }
}

const content = (orderId: string | undefined, lines: Line[]) =>
  JSON.stringify([orderId, lines.map(({ sku, quantity }) => [sku, quantity])]);
