import { Body, Controller, Get, Param, Put } from '@nestjs/common';

import { conflict, invalid, settled } from './problem.js';
import { type Payment, Store } from './store.js';

/** The content of a request about a payment. Unknown fields are ignored. */
interface Charge {
  orderId: string;
  flow?: string;
  amount: number;
  currency: string;
  method: string;
  paymentId?: string;
  refundAmount: number;
}

/** The provider's code of every refusal. A real service stores the one that its provider has answered. */
const REFUSAL = 'card_declined';

@Controller('payments/:key')
export class PaymentController {
  constructor(private readonly store: Store) {}

  @Get()
  findPayment(@Param('key') key: string) {
    const found = this.store.payments.get(key);
    if (!found || found.state === 'undone') {
      return { state: found?.state ?? 'absent' };
    }
    if (found.state === 'refused') {
      return { state: 'refused', reason: REFUSAL };
    }
    return { state: Object.keys(found.refunds).length > 0 ? 'refunded' : found.state, paymentId: found.paymentId };
  }

  @Put('authorization')
  authorize(@Param('key') key: string, @Body() charge: Charge) {
    let found = this.find(key, charge);
    if (!found) {
      // The first request decides, and the decision stays. Here a real service calls its provider, with the key as idempotency key.
      const state = charge.method === 'tok_declined' ? 'refused' : 'authorized';
      found = { content: content(charge), paymentId: `pay_${key}`, amount: charge.amount, state, refunds: {} };
      this.store.savePayment(key, found);
    }
    switch (found.state) {
      case 'refused':
        return { result: 'refused', reason: REFUSAL };
      case 'undone':
        return { result: 'undone' };
    }
    return { result: 'done', paymentId: found.paymentId, captured: found.state === 'captured' };
  }

  @Put('capture')
  capture(@Param('key') key: string, @Body() charge: Charge) {
    const found = this.find(key, charge);
    if (found?.state === 'undone') {
      throw settled('the payment was voided');
    }
    if (!found || found.state === 'refused') {
      throw invalid('the payment is not authorized');
    }
    if (found.state === 'authorized') {
      this.store.savePayment(key, { ...found, state: 'captured' });
    }
    return { result: 'done', paymentId: found.paymentId };
  }

  @Put('void')
  void(@Param('key') key: string, @Body() charge: Charge) {
    const found = this.find(key, charge);
    switch (found?.state) {
      case 'captured':
        throw settled('the payment was captured');
      case 'refused':
        return { result: 'refused', reason: REFUSAL };
      case 'authorized':
        this.store.savePayment(key, { ...found, state: 'undone' });
        break;
      case undefined:
        // The authorization that comes later finds this.
        this.store.savePayment(key, { amount: 0, state: 'undone', fenced: true, refunds: {} });
    }
    return { result: 'undone' };
  }

  @Put('refunds/:refund')
  refund(@Param('key') key: string, @Param('refund') refundKey: string, @Body() charge: Charge) {
    const found = this.find(key, charge);
    const before = found?.refunds[refundKey];
    if (before !== undefined && before !== charge.refundAmount) {
      throw conflict('the refund key was used for another amount');
    }
    if (before === undefined) {
      const left = found ? Object.values(found.refunds).reduce((rest, amount) => rest - amount, found.amount) : 0;
      if (found?.state !== 'captured' || !(charge.refundAmount > 0) || charge.refundAmount > left) {
        throw invalid(`the payment is not captured, or only ${left} of it can still be refunded`);
      }
      this.store.savePayment(key, { ...found, refunds: { ...found.refunds, [refundKey]: charge.refundAmount } });
    }
    return { result: 'done', paymentId: found?.paymentId };
  }

  /** What was decided about a key, unless it was decided about another payment. */
  private find(key: string, charge: Charge): Payment | undefined {
    const found = this.store.payments.get(key);
    const other = charge.paymentId !== undefined && charge.paymentId !== found?.paymentId;
    if (found && !found.fenced && (found.content !== content(charge) || other)) {
      throw conflict('the key was used for other content');
    }
    return found;
  }
}

const content = ({ orderId, flow, amount, currency, method }: Charge) =>
  JSON.stringify([orderId, flow ?? '', amount, currency, method]);
