export const AMQP_URL = process.env.AMQP_URL ?? 'amqp://guest:guest@127.0.0.1:5672/';
export const PORT = Number(process.env.PORT ?? 3000);

/** The exchange that everybody publishes to. */
export const EXCHANGE = 'domain_events';
/** This shop's own queue. Every service has one; nobody else reads it. */
export const QUEUE = process.env.SHOP_QUEUE ?? 'shop.orders';
/** The queue of ordersaga, for what is sent straight to it. */
export const ORDERSAGA_INBOX = 'ordersaga.inbox';
