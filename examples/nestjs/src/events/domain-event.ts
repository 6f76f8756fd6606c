/** An event as this shop's services publish it. ordersaga reads it as it is. */
export interface DomainEvent<T = unknown> {
  id: string;
  type: string;
  timestamp: Date;
  aggregateId: string;
  data: T;
  correlationId: string;
}
