import { closeSync, existsSync, fsyncSync, openSync, readFileSync, truncateSync, writeSync } from 'node:fs';

import { Injectable, OnApplicationShutdown } from '@nestjs/common';

export interface Line {
  sku: string;
  quantity: number;
  reason?: 'out_of_stock' | 'unknown_sku';
  available?: number;
}

/** What was decided about a reservation. fenced: the release came first. */
export interface Reservation {
  orderId?: string;
  lines: Line[];
  state: 'reserved' | 'refused' | 'undone' | 'committed';
  fenced?: boolean;
  reason?: string;
  /** The goods that came back, by their keys. */
  returns?: Record<string, Line[]>;
}

/** How many of a SKU a reservation has taken and not returned. */
export const left = ({ lines, returns }: Reservation, sku: string) => {
  const sum = (all: Line[]) => all.reduce((total, line) => total + (line.sku === sku ? line.quantity : 0), 0);
  return sum(lines) - sum(Object.values(returns ?? {}).flat());
};

/** What was decided about a payment. fenced: the void came first. */
export interface Payment {
  content?: string;
  paymentId?: string;
  amount: number;
  state: 'authorized' | 'refused' | 'undone' | 'captured';
  fenced?: boolean;
  refunds: Record<string, number>;
}

/**
 * Everything that was decided, one record a line, written before it is answered. Requests are decided one after another, because no handler
 * waits for anything. A real service uses a table with the key as its primary key, and decides in a transaction.
 */
@Injectable()
export class Store implements OnApplicationShutdown {
  readonly stock = new Map([
    ['tea', 100],
    ['pot', 100],
  ]);
  readonly reservations = new Map<string, Reservation>();
  readonly payments = new Map<string, Payment>();
  private readonly file: number;

  constructor() {
    const name = process.env.PARTICIPANT_FILE ?? 'participant.jsonl';
    if (existsSync(name)) {
      const content = readFileSync(name);
      const whole = content.lastIndexOf('\n') + 1; // half a line at the end was never answered
      for (const line of content.toString('utf8', 0, whole).split('\n').filter(Boolean)) {
        const { key, reservation, payment } = JSON.parse(line);
        this.apply(key, reservation, payment);
      }
      truncateSync(name, whole);
    }
    this.file = openSync(name, 'a');
  }

  saveReservation(key: string, reservation: Reservation) {
    this.write({ key, reservation });
    this.apply(key, reservation, undefined);
  }

  savePayment(key: string, payment: Payment) {
    this.write({ key, payment });
    this.apply(key, undefined, payment);
  }

  onApplicationShutdown() {
    closeSync(this.file);
  }

  private write(record: object) {
    writeSync(this.file, JSON.stringify(record) + '\n');
    fsyncSync(this.file);
  }

  private apply(key: string, reservation?: Reservation, payment?: Payment) {
    if (reservation) {
      this.take(this.reservations.get(key), -1);
      this.take(reservation, 1);
      this.reservations.set(key, reservation);
    }
    if (payment) {
      this.payments.set(key, payment);
    }
  }

  /** What is reserved or committed is not available to others. */
  private take(reservation: Reservation | undefined, times: number) {
    if (reservation?.state === 'reserved' || reservation?.state === 'committed') {
      for (const { sku } of reservation.lines) {
        this.stock.set(sku, (this.stock.get(sku) ?? 0) - left(reservation, sku) * times);
      }
    }
  }
}
