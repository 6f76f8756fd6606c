import { Inject, Injectable } from '@nestjs/common';
import { ClientProxy } from '@nestjs/microservices';
import { lastValueFrom } from 'rxjs';

export const ORDERSAGA = 'ORDERSAGA';

/** A warehouse that packs at once and a carrier that is never late. */
@Injectable()
export class WarehouseService {
  constructor(@Inject(ORDERSAGA) private readonly ordersaga: ClientProxy) {}

  /**
   * Says that the goods left, and that they arrived. emit sends {pattern, data} and no id, so that ordersaga makes one of
   * the content: said twice it is one event, because the tracking number is the same each time. lastValueFrom waits
   * until the broker has confirmed.
   */
  async ship(orderId: string): Promise<void> {
    const parcel = { orderId, carrier: 'swift', trackingNumber: `SW-${orderId}` };
    await lastValueFrom(this.ordersaga.emit('shipment.dispatched', parcel));
    await lastValueFrom(this.ordersaga.emit('shipment.delivered', parcel));
  }
}
